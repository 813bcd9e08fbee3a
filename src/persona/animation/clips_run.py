"""Run: a steady jog towards the viewer, both feet in the air between steps."""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import sine
from persona.animation.gait import Gait, move_feet
from persona.animation.posture import hang_arms, relax_hands, unrest
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

GRAVITY: Final = 9.81
"""Fall of what flies [m/s^2]."""
STRIDE_SECONDS: Final = 0.72
"""Left foot to left foot: 167 steps a minute."""
STRIDES: Final = 5
"""Strides before the clip repeats."""
STRIDE_LENGTH: Final = 2.0
"""From one left print to the next [m], for the mean body: 2.8 m/s."""
STANCE_SECONDS: Final = 0.26
"""How long a foot is on the floor; what is left of half a stride is flight."""
LENGTH_POWER: Final = 0.7
"""Who runs faster mostly takes longer strides: they grow with this power of the speed."""
STANCE_POWER: Final = -0.8
"""The time on the floor goes with this power of the speed."""
AHEAD: Final = 0.20
"""How far before the pelvis a foot is put down at ease [m], at its ankle; as strides, it grows."""
LANDING_HEIGHT: Final = -0.060
"""Height of the pelvis at touch-down and toe-off, relative to standing straight [m]."""
FOOT_PITCH: Final = (
    *((0.0, -8.0), (0.14, 0.0), (0.3, 0.0), (0.5, 2.0), (0.75, 20.0), (1.0, 47.0)),
    *((1.2, 68.0), (1.45, 76.0), (1.8, 50.0), (2.2, 10.0), (2.5, -9.0)),
)
"""Heel lift [deg] over a stride: time on the floor is 0 to 1, 1 to 2.77 in the air."""
FLAT: Final = (0.14, 0.42)
"""Shares of the stance between which the foot is flat."""
ROLL: Final = 0.12
"""How far the ankle goes while the standing foot rolls off [m]."""
SWING: Final = (
    *((0.15, 0.265, -0.43), (0.32, 0.420, -0.30), (0.50, 0.385, -0.03)),
    *((0.70, 0.235, 0.24), (0.86, 0.140, 0.30)),
)
"""Share of the swing, height of the ankle and its place ahead of the pelvis [m]: the heel comes up
behind, the foot is already on its way back when it lands."""


def run(*, speed: float = 1.0) -> Motion:
    """Compose five strides; the next repetition starts where this one ends.

    Between toe-off and touch-down the pelvis flies: it rises and falls by gravity alone, in the
    time that the speed's stride and stance leave. In between the legs catch it like a spring.
    """
    length = STRIDE_LENGTH * speed**LENGTH_POWER
    sketch = Sketch(STRIDE_SECONDS * STRIDES, speed=speed ** (1 - LENGTH_POWER))
    seconds = STRIDE_SECONDS * speed ** (LENGTH_POWER - 1)
    standing = STANCE_SECONDS * speed**STANCE_POWER
    stride = sketch.phase * STRIDES
    move_feet(sketch, stride, _gait(length, standing / seconds))
    sketch.pelvis[:, 0] = 0.008 * sine(stride, 0.0)
    sketch.pelvis[:, 1] = LANDING_HEIGHT + bounce(stride, step=seconds / 2, standing=standing)
    sketch.pelvis[:, 2] = length * stride
    _move_trunk(sketch, stride, speed)
    _move_arms(sketch, stride, speed)
    return sketch.motion("run", loops=True)


def bounce(stride: Float[Tensor, " t"], *, step: float, standing: float) -> Float[Tensor, " t"]:
    """Give the height of a runner over that of touch-down [m].

    In flight it is a throw. On the floor the legs push with half a sine, as strong as it takes to
    throw the runner up again: the force's mean over a step is the weight.

    Args:
        stride: Strides since a touch-down; every half one a foot comes down.
        step: From one touch-down to the next [s].
        standing: How long a foot is on the floor [s].
    """
    time = (stride * 2 % 1.0) * step
    start = GRAVITY * (step - standing) / 2
    pushed = time - standing / torch.pi * torch.sin(torch.pi * time / standing)
    on_floor = -start * time + GRAVITY * (step * pushed - time.square()) / 2
    flown = time - standing
    in_air = start * flown - GRAVITY * flown.square() / 2
    return torch.where(time < standing, on_floor, in_air)


def _gait(length: float, toe_off: float) -> Gait:
    def share(stances: float) -> float:
        last = STRIDE_SECONDS / STANCE_SECONDS
        air = (stances - 1) / (last - 1)
        return stances * toe_off if stances <= 1 else toe_off + air * (1 - toe_off)

    ahead = AHEAD * length / STRIDE_LENGTH

    def way(swing: float, before_pelvis: float) -> float:
        pelvis = length * (toe_off + (1 - toe_off) * swing)
        return (pelvis + before_pelvis - ahead - ROLL) / (length - ROLL)

    return Gait(
        stride_length=length,
        toe_off=toe_off,
        under_hip=ahead / length,
        half_width=0.045,
        toe_out=5.0,
        foot_pitch=tuple((share(when), pitch) for when, pitch in FOOT_PITCH),
        flat=(share(FLAT[0]), share(FLAT[1])),
        swing=tuple((when, height, way(when, z)) for when, height, z in SWING),
        swing_inward=0.0,
    )


def _move_trunk(sketch: Sketch, stride: Float[Tensor, " t"], speed: float) -> None:
    forward = torch.cos(2 * torch.pi * (stride - 0.02))
    tilt = sine(stride, 0.02)
    nod = torch.cos(4 * torch.pi * (stride - 0.1))
    lean = 7.0 * speed
    sketch.turn("pelvis", ("y", -8.0 * forward), ("z", 3.5 * tilt), ("x", lean + 1.5 * nod))
    for joint, share in (("spine1", 0.25), ("spine2", 0.35), ("spine3", 0.4)):
        sketch.turn(
            joint,
            ("y", 20.0 * share * forward),
            ("z", -5.0 * share * tilt),
            ("x", share * (3.0 - 2.0 * nod)),
        )
    look = unrest(sketch, seed=7)
    for joint, share in (("neck", 0.45), ("head", 0.55)):
        sketch.turn(
            joint,
            ("y", share * (-11.0 * forward + 2.0 * look)),
            ("z", share * 1.5 * tilt),
            ("x", -share * (lean + 2.0)),
        )


def _move_arms(sketch: Sketch, stride: Float[Tensor, " t"], speed: float) -> None:
    # Each arm goes with the other leg; elbows open a little behind and close in front.
    forward = math.sqrt(speed) * torch.cos(2 * torch.pi * (stride - 0.04))
    hang_arms(
        sketch,
        swing=(-8.0 - 30.0 * forward, -8.0 + 30.0 * forward),
        out=(7.0, 7.0),
    )
    for side, sign in (("left", 1.0), ("right", -1.0)):
        sketch.turn(f"{side}_elbow", ("y", -sign * (86.0 - sign * 12.0 * forward)), ("x", 10.0))
    relax_hands(sketch, curl=(2.0, 2.0))
