"""Feet of a gait: planted from strike to toe-off, rolling from heel to toe, then swung ahead."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor

from persona.animation.curves import Keys, loop_curve
from persona.animation.legs import rotation_x, rotation_y, sole_offsets
from persona.animation.sketch import TOE_BEND, Sketch


@dataclass(frozen=True, kw_only=True)
class Gait:
    """How the feet of a walk or a run go, over one stride of either foot."""

    stride_length: float
    """From one print of a foot to its next [m], for the mean body."""
    toe_off: float
    """Share of a stride at which a foot leaves the floor."""
    under_hip: float
    """Share of a stride at which the ankle of the standing foot passes under the pelvis."""
    half_width: float
    """From the line of progress to each ankle [m]."""
    toe_out: float
    """Turn of a planted foot [deg]."""
    foot_pitch: Keys
    """Heel lift over a stride [deg]: strike, flat, roll off, swing, reach."""
    flat: tuple[float, float]
    """Shares of a stride between which the standing foot is flat."""
    swing: tuple[tuple[float, float, float], ...]
    """Share of the swing, height of the ankle [m], share of the way it has gone."""
    swing_inward: float = 0.012
    """How much nearer to the line of progress the foot swings than it is placed [m]."""


def move_feet(sketch: Sketch, stride: Float[Tensor, " t"], gait: Gait) -> None:
    """Place and turn both feet; ``stride`` counts strides from a strike of the left heel."""
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
    phase = torch.stack([stride, stride + 0.5], -1)
    sketch.foot_yaw[:] = signs * gait.toe_out
    sketch.knee_yaw[:] = signs * gait.toe_out * 0.6
    sketch.foot_pitch[:] = _foot_pitch(phase, gait)
    sketch.toe_bend[:] = _toe_bend(phase, sketch.foot_pitch, gait)

    ankles = sketch.zeros(2, 3)
    for foot in (0, 1):
        path = _ankle_path(sketch, foot, gait)
        step = phase[:, foot] % 1.0
        ankles[:, foot] = torch.from_numpy(path(step.numpy()))
        # The path knows one stride; the strides before it have carried the foot this far.
        ankles[:, foot, 2] += gait.stride_length * (phase[:, foot].floor() - 0.5 * foot)
    sketch.carry_feet(ankles)


def _ankle_path(sketch: Sketch, foot: int, gait: Gait) -> CubicSpline:
    """Give the ankle of one foot over one stride from its own heel strike [m], x, y, z."""
    sign = 1.0 - 2.0 * foot
    stance = torch.linspace(0.0, gait.toe_off, 32, dtype=torch.float64)
    standing = _standing_ankle(sketch, stance, foot, gait)
    middle, heights, way = torch.tensor(gait.swing, dtype=torch.float64).unbind(-1)
    swing = gait.toe_off + (1 - gait.toe_off) * middle
    early = torch.linspace(0.0, 0.04, 3, dtype=torch.float64)
    ahead = _standing_ankle(sketch, early, foot, gait)
    ahead[:, 2] += gait.stride_length

    start, end = standing[-1], ahead[0]
    flying = torch.zeros(len(gait.swing), 3, dtype=torch.float64)
    flying[:, 0] = start[0] - sign * gait.swing_inward * torch.sin(torch.pi * middle)
    flying[:, 1] = heights
    flying[:, 2] = start[2] + (end[2] - start[2]) * way
    phases = torch.cat([stance, swing, 1.0 + early])
    return CubicSpline(phases.numpy(), torch.cat([standing, flying, ahead]).numpy())


def _standing_ankle(
    sketch: Sketch, phase: Float[Tensor, " p"], foot: int, gait: Gait
) -> Float[Tensor, "p 3"]:
    """Roll one foot over its heel, then over its ball; where it stands flat is fixed [m]."""
    count = phase.shape[0]
    sign = 1.0 - 2.0 * foot
    pitch = _foot_pitch(phase, gait)
    bend = torch.deg2rad(_toe_bend(phase, pitch, gait))
    pitch = torch.deg2rad(pitch)
    yaw = rotation_y(torch.deg2rad(torch.tensor(sign * gait.toe_out)).double())
    turn = torch.zeros(count, 2, 3, 3, dtype=torch.float64)
    toes = turn.clone()
    turn[:] = yaw @ rotation_x(pitch)[:, None]
    toes[:] = rotation_x(-bend)[:, None]
    offsets = sole_offsets(sketch.rig, turn, toes)[:, foot]
    flat = yaw.expand(1, 2, 3, 3)
    eye = torch.eye(3, dtype=torch.float64).expand(1, 2, 3, 3)
    rest = sole_offsets(sketch.rig, flat, eye)[0, foot]

    planted = torch.tensor(
        [sign * gait.half_width, 0.0, gait.under_hip * gait.stride_length], dtype=torch.float64
    )
    planted[1] = -rest[0, 1]
    point = (pitch > 0).long()  # heel until flat, ball from then on
    ankle = planted + rest[point] - offsets[torch.arange(count), point]
    ankle[:, 1] -= (ankle[:, None, 1] + offsets[..., 1]).amin(-1).clamp(max=0.0)
    return ankle


def _foot_pitch(phase: Tensor, gait: Gait) -> Tensor:
    """Heel lift [deg]; exactly zero while the foot is flat."""
    flat = phase.reshape(-1)
    step = flat % 1.0
    pitch = loop_curve(flat, gait.foot_pitch)
    # A spline overshoots where the foot goes flat; a foot does not.
    start, end = gait.flat
    pitch = torch.where(step < start, pitch.clamp(max=0.0), pitch)
    pitch = torch.where((step >= start) & (step <= end), torch.zeros_like(pitch), pitch)
    pitch = torch.where((step > end) & (step < gait.toe_off), pitch.clamp(min=0.0), pitch)
    return pitch.reshape(phase.shape)


def _toe_bend(phase: Tensor, pitch: Tensor, gait: Gait) -> Tensor:
    """Toes stay flat while the heel rises, as far as they bend, and straighten in the air [deg]."""
    bent = TOE_BEND * torch.tanh(pitch.clamp(min=0.0) / TOE_BEND)
    swing = ((phase % 1.0 - gait.toe_off) / 0.2).clamp(0.0, 1.0)
    return bent * (1 - swing * swing * (3 - 2 * swing))
