"""Walk: an easy pace towards the viewer, rolling from heel to toe."""

from typing import Final

import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor

from persona.animation.curves import loop_curve, sine
from persona.animation.legs import rotation_x, rotation_y, sole_offsets
from persona.animation.posture import hang_arms, relax_hands, unrest
from persona.animation.sketch import BASE_FPS, Sketch
from persona.records.motion import Motion

STRIDE_FRAMES: Final = 33
"""Left heel to left heel: 1.1 s, an unhurried walk."""
STRIDES: Final = 4
"""Strides before the clip repeats: enough for the head to wander once."""
STRIDE_LENGTH: Final = 1.13
"""From one left heel print to the next [m], for the mean body."""
TOE_OFF: Final = 0.61
"""Share of a stride at which a foot leaves the floor."""
UNDER_HIP: Final = 0.26
"""Share of a stride at which the ankle of the standing foot passes under the pelvis."""
HALF_WIDTH: Final = 0.062
"""From the line of progress to each ankle [m]."""
TOE_BEND: Final = 34.0
"""Most that the toes bend at the roll off [deg]."""
TOE_OUT: Final = 6.0
"""Turn of a planted foot [deg]."""

FOOT_PITCH: Final = (
    *((0.0, -19.0), (0.04, -9.0), (0.085, 0.0), (0.2, 0.0), (0.33, 0.0), (0.42, 5.0), (0.5, 17.0)),
    *((0.56, 33.0), (0.61, 49.0), (0.655, 51.0), (0.74, 31.0), (0.82, 4.0), (0.91, -14.0)),
)
"""Heel lift over a stride [deg]: strike, flat, roll off, swing, reach."""
SWING_HEIGHT: Final = ((0.14, 0.204), (0.30, 0.203), (0.50, 0.158), (0.72, 0.118), (0.88, 0.101))
"""Height of the ankle at shares of the swing [m]; the toes clear the floor by 2 cm."""


def walk() -> Motion:
    """Compose four strides; the next repetition starts where this one ends."""
    sketch = Sketch(STRIDE_FRAMES * STRIDES, fps=BASE_FPS)
    stride = sketch.phase * STRIDES
    _move_feet(sketch, stride)
    _move_pelvis(sketch, stride)
    _move_trunk(sketch, stride)
    forward = torch.cos(2 * torch.pi * (stride - 0.02))
    # The left arm goes with the right leg.
    left, right = 3.0 - 17.0 * forward, 3.0 + 17.0 * forward
    lag = torch.cos(2 * torch.pi * (stride - 0.06))
    hang_arms(
        sketch,
        swing=(left, right),
        elbow=(18.0 - 9.0 * lag, 18.0 + 9.0 * lag),
        out=(1.0 + 1.5 * forward.square(), 1.0 + 1.5 * forward.square()),
    )
    relax_hands(sketch, curl=(1.1 - 0.15 * lag, 1.1 + 0.15 * lag))
    return sketch.motion("walk", loops=True)


def _move_feet(sketch: Sketch, stride: Float[Tensor, " t"]) -> None:
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
    phase = torch.stack([stride, stride + 0.5], -1)
    sketch.foot_yaw[:] = signs * TOE_OUT
    sketch.knee_yaw[:] = signs * TOE_OUT * 0.6
    sketch.foot_pitch[:] = _foot_pitch(phase)
    sketch.toe_bend[:] = _toe_bend(phase, sketch.foot_pitch)

    ankles = sketch.zeros(2, 3)
    for foot in (0, 1):
        path = _ankle_path(sketch, foot)
        step = phase[:, foot] % 1.0
        ankles[:, foot] = torch.from_numpy(path(step.numpy()))
        # The path knows one stride; the strides before it have carried the foot this far.
        ankles[:, foot, 2] += STRIDE_LENGTH * (phase[:, foot].floor() - 0.5 * foot)
    sketch.carry_feet(ankles)


def _ankle_path(sketch: Sketch, foot: int) -> CubicSpline:
    """Give the ankle of one foot over one stride from its own heel strike [m], x, y, z."""
    sign = 1.0 - 2.0 * foot
    stance = torch.linspace(0.0, TOE_OFF, 32, dtype=torch.float64)
    standing = _standing_ankle(sketch, stance, foot)
    middle = torch.tensor([share for share, _ in SWING_HEIGHT], dtype=torch.float64)
    swing = TOE_OFF + (1 - TOE_OFF) * middle
    ahead = _standing_ankle(sketch, torch.linspace(0.0, 0.04, 3, dtype=torch.float64), foot)
    ahead[:, 2] += STRIDE_LENGTH

    start, end = standing[-1], ahead[0]
    flying = torch.zeros(len(SWING_HEIGHT), 3, dtype=torch.float64)
    # The foot swings past the standing leg, nearer to the line of progress than it is placed.
    flying[:, 0] = start[0] - sign * 0.012 * torch.sin(torch.pi * middle)
    flying[:, 1] = torch.tensor([height for _, height in SWING_HEIGHT], dtype=torch.float64)
    share = middle * middle * (3 - 2 * middle)
    flying[:, 2] = start[2] + (end[2] - start[2]) * (0.95 * share + 0.05 * middle)
    phases = torch.cat([stance, swing, torch.linspace(1.0, 1.04, 3, dtype=torch.float64)])
    return CubicSpline(phases.numpy(), torch.cat([standing, flying, ahead]).numpy())


def _standing_ankle(sketch: Sketch, phase: Float[Tensor, " p"], foot: int) -> Float[Tensor, "p 3"]:
    """Roll one foot over its heel, then over its ball; where it stands flat is fixed [m]."""
    count = phase.shape[0]
    pitch = torch.deg2rad(_foot_pitch(phase))
    bend = torch.deg2rad(_toe_bend(phase, _foot_pitch(phase)))
    yaw = rotation_y(torch.deg2rad(torch.tensor((1.0 - 2.0 * foot) * TOE_OUT)).double())
    turn = torch.zeros(count, 2, 3, 3, dtype=torch.float64)
    toes = turn.clone()
    turn[:] = yaw @ rotation_x(pitch)[:, None]
    toes[:] = rotation_x(-bend)[:, None]
    offsets = sole_offsets(sketch.rig, turn, toes)[:, foot]
    flat = yaw.expand(1, 2, 3, 3)
    eye = torch.eye(3, dtype=torch.float64).expand(1, 2, 3, 3)
    rest = sole_offsets(sketch.rig, flat, eye)[0, foot]

    planted = torch.tensor(
        [(1.0 - 2.0 * foot) * HALF_WIDTH, 0.0, UNDER_HIP * STRIDE_LENGTH], dtype=torch.float64
    )
    planted[1] = -rest[0, 1]
    point = (pitch > 0).long()  # heel until flat, ball from then on
    ankle = planted + rest[point] - offsets[torch.arange(count), point]
    ankle[:, 1] -= (ankle[:, None, 1] + offsets[..., 1]).amin(-1).clamp(max=0.0)
    return ankle


def _foot_pitch(phase: Tensor) -> Tensor:
    """Heel lift [deg]; exactly zero while the foot is flat."""
    flat = phase.reshape(-1)
    step = flat % 1.0
    pitch = loop_curve(flat, FOOT_PITCH)
    # A spline overshoots where the foot goes flat; a foot does not.
    pitch = torch.where(step < 0.085, pitch.clamp(max=0.0), pitch)
    pitch = torch.where((step >= 0.085) & (step <= 0.33), torch.zeros_like(pitch), pitch)
    pitch = torch.where((step > 0.33) & (step < TOE_OFF), pitch.clamp(min=0.0), pitch)
    return pitch.reshape(phase.shape)


def _toe_bend(phase: Tensor, pitch: Tensor) -> Tensor:
    """Toes stay flat while the heel rises, as far as they bend, and straighten in the air [deg]."""
    bent = TOE_BEND * torch.tanh(pitch.clamp(min=0.0) / TOE_BEND)
    swing = ((phase % 1.0 - TOE_OFF) / 0.2).clamp(0.0, 1.0)
    return bent * (1 - swing * swing * (3 - 2 * swing))


def _move_pelvis(sketch: Sketch, stride: Float[Tensor, " t"]) -> None:
    # Highest over the standing leg, lowest with both feet down; towards the standing leg.
    sketch.pelvis[:, 1] = -0.030 + 0.017 * torch.cos(4 * torch.pi * (stride - 0.29))
    sketch.pelvis[:, 0] = 0.020 * sine(stride, 0.04)
    sketch.pelvis[:, 2] = STRIDE_LENGTH * stride + 0.009 * sine(2 * stride, 0.02)
    sketch.turn(
        "pelvis",
        ("y", -5.0 * torch.cos(2 * torch.pi * (stride - 0.02))),
        ("z", 3.0 * sine(stride, 0.0)),
        ("x", 2.0 + 0.8 * torch.cos(4 * torch.pi * stride)),
    )


def _move_trunk(sketch: Sketch, stride: Float[Tensor, " t"]) -> None:
    counter = torch.cos(2 * torch.pi * (stride - 0.03))
    tilt = sine(stride, 0.0)
    nod = torch.cos(4 * torch.pi * (stride - 0.05))
    for joint, share in (("spine1", 0.25), ("spine2", 0.35), ("spine3", 0.4)):
        sketch.turn(
            joint,
            ("y", 10.0 * share * counter),
            ("z", -4.2 * share * tilt),
            ("x", 1.5 * share + 1.2 * share * nod),
        )
    look = unrest(sketch, seed=3)
    # The head keeps looking ahead: it undoes most of what the trunk does below it.
    for joint, share in (("neck", 0.45), ("head", 0.55)):
        sketch.turn(
            joint,
            ("y", share * (-4.5 * counter + 2.5 * look)),
            ("z", share * (1.0 * tilt + 1.0 * unrest(sketch, seed=5))),
            ("x", share * (-3.0 - 1.8 * nod)),
        )
