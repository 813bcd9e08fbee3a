"""How much of what people's joints can do a set of motions does, and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.anatomy import AXES, Axis, anatomical_angles, joint_turns
from persona.core.errors import InputError
from persona.geometry.rotations import matrix_to_axis_angle
from persona.records.motion import Motion

SPEED_SHARES: Final = (0.5, 0.95, 1.0)
"""Percentiles of joint speeds that are stated, as shares of the frames."""


@dataclass(frozen=True, kw_only=True)
class AxisCoverage:
    """What a set of motions does about one axis."""

    axis: Axis
    """Which, and how far people can go."""
    low: float
    """Farthest against the axis [deg]."""
    high: float
    """Farthest along it [deg]."""

    @property
    def share(self) -> float:
        """Part of people's range that lies between `low` and `high`, 0 to 1."""
        inside = min(self.high, self.axis.most) - max(self.low, self.axis.least)
        return max(inside, 0.0) / (self.axis.most - self.axis.least)

    @property
    def beyond(self) -> float:
        """How far the motions leave people's range, 0 if they do not [deg]."""
        return max(self.axis.least - self.low, self.high - self.axis.most, 0.0)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What a set of motions does with the body."""

    axes: tuple[AxisCoverage, ...]
    """One entry for each of `anatomy.AXES`."""
    speeds: dict[str, tuple[float, ...]]
    """Joint -> speed of its turning [deg/s] at each of `SPEED_SHARES`, left and right together."""

    @property
    def share(self) -> float:
        """Mean of the axes' shares."""
        return sum(entry.share for entry in self.axes) / len(self.axes)


def cover(motions: Sequence[Motion]) -> Coverage:
    """State the coverage of a set of motions; left and right count as one.

    Raises:
        InputError: There are no motions.
    """
    if not motions:
        raise InputError(
            "the coverage of no motions was asked for",
            why="there is nothing to measure",
            fix="give at least one motion",
        )
    poses = [motion.params.full_pose.double() for motion in motions]
    angles = anatomical_angles(torch.cat(poses))
    axes = []
    for axis in AXES:
        values = angles[axis.joint, axis.name]
        values = values[values.isfinite()]
        low, high = (float(v) for v in values.aminmax()) if len(values) else (0.0, 0.0)
        axes.append(AxisCoverage(axis=axis, low=low, high=high))
    return Coverage(axes=tuple(axes), speeds=_speeds(motions, poses))


def _speeds(
    motions: Sequence[Motion], poses: Sequence[Float[Tensor, "_ 55 3"]]
) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[Tensor]] = {}
    for motion, pose in zip(motions, poses, strict=True):
        path = torch.cat([pose, pose[:1]]) if motion.loops else pose
        for name, turns in joint_turns(path).items():
            sides = turns.reshape(-1, path.shape[0], 3, 3)  # the middle, or left and right
            steps = sides[:, :-1].transpose(-1, -2) @ sides[:, 1:]
            speed = matrix_to_axis_angle(steps).norm(dim=-1) * motion.fps
            found.setdefault(name, []).append(torch.rad2deg(speed).reshape(-1))
    shares = torch.tensor(SPEED_SHARES, dtype=torch.float64)
    # A motion of one frame has no speed.
    return {
        name: tuple(torch.cat([*speeds, torch.zeros(1).double()]).quantile(shares).tolist())
        for name, speeds in found.items()
    }
