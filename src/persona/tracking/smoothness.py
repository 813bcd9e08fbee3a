"""Terms between frames: bodies do not jolt, and feet that stand do not slide."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.body.skeleton import JOINT_NAMES
from persona.geometry.rotations import matrix_to_axis_angle
from persona.tracking.banded import Chain
from persona.tracking.rig import JOINTS, SOLES, UNKNOWNS, Pose, Posed
from persona.tracking.terms import Slopes

ACCELERATIONS: Final[dict[str, float]] = {
    "pelvis": 12.0, "spine": 8.0, "neck": 20.0, "head": 20.0, "collar": 12.0,
    "shoulder": 30.0, "elbow": 40.0, "wrist": 40.0, "hip": 25.0, "knee": 35.0,
    "ankle": 30.0, "foot": 30.0,
}  # fmt: skip
"""Ordinary angular acceleration of joints [rad/s^2]; more is possible, and costs little more."""
SHIFT_ACCELERATION: Final = 4.0
"""Ordinary acceleration of the whole body [m/s^2]."""
JOLT: Final = 4.0
"""Sigmas from which an acceleration is believed to be one."""
LONGEST_STEP: Final = 1 / 25
"""Times between frames above this count as this [s]: files that say 5 or 8 frames a second were
found to hold every frame of 25, and what moves in true steps of 0.2 s does not tell of jolts."""
STAND_SIGMA: Final = 0.002
"""How far a standing sole may move from one frame to the next [m]."""
FLOOR_SIGMA: Final = 0.05
"""How far a standing sole may be from the floor [m], whose tilt is known to ten degrees."""


@dataclass(frozen=True)
class Ground:
    """Where feet stand, and on what."""

    standing: Bool[Tensor, "t 2 3"]
    """Heel, ball and toe of the left foot, then of the right."""
    up: Float[Tensor, "t 3"]
    """Upward direction of each frame's shot, in its world."""
    height: Float[Tensor, " t"]
    """Height of the floor along it [m]."""

    def pick(self, frames: slice) -> "Ground":
        """Keep some frames."""
        return Ground(self.standing[frames], self.up[frames], self.height[frames])


@cache
def _ordinary() -> Float[Tensor, " u"]:
    sizes = []
    for name in JOINT_NAMES[:JOINTS]:
        bare = name.removeprefix("left_").removeprefix("right_").rstrip("123")
        sizes += [ACCELERATIONS[bare]] * 3
    return torch.tensor(sizes + [SHIFT_ACCELERATION] * 3, dtype=torch.float64)


@dataclass(frozen=True)
class Smoothness:
    """The price of accelerations within shots."""

    steps: Float[Tensor, " s"]
    """Time to the next frame, as it counts [s]."""
    linked: Bool[Tensor, " s"]
    """Whether the next frame belongs to the same shot."""
    strength: float = 1.0
    """1 is ordinary; 0 leaves every frame alone."""

    @classmethod
    def of(
        cls, times: Float[Tensor, " t"], shots: Int[Tensor, " t"], *, strength: float = 1.0
    ) -> "Smoothness":
        """Measure a clip's steps."""
        steps = (times[1:] - times[:-1]).clamp(1e-3, LONGEST_STEP)
        return cls(steps, shots[1:] == shots[:-1], strength)

    def accelerations(self, pose: Pose) -> Float[Tensor, "r u"]:
        """Give the acceleration of every unknown at inner frames, in ordinary ones."""
        turns = matrix_to_axis_angle(pose.turns[:-1].mT @ pose.turns[1:]).flatten(1)
        moves = torch.cat([turns, pose.shift[1:] - pose.shift[:-1]], 1)
        speed = moves / self.steps[:, None]
        apart = (self.steps[1:] + self.steps[:-1]) / 2
        both = (self.linked[1:] & self.linked[:-1])[:, None]
        unit = self.strength / (_ordinary() * apart[:, None])
        return torch.where(both, (speed[1:] - speed[:-1]) * unit, 0.0)

    def cost(self, pose: Pose) -> float:
        """Sum the loss."""
        square = _grouped(self.accelerations(pose))
        return float((square / (1 + square / JOLT**2)).sum())

    def add_to(self, chain: Chain, pose: Pose) -> None:
        """Add the terms of all inner frames to a system."""
        if len(self.steps) < 2:
            return
        value = self.accelerations(pose)
        trust = (1 + _grouped(value) / JOLT**2).square().reciprocal().repeat_interleave(3, 1)
        apart = (self.steps[1:] + self.steps[:-1]) / 2
        both = (self.linked[1:] & self.linked[:-1])[:, None]
        unit = torch.where(both, self.strength / (_ordinary() * apart[:, None]), 0.0)
        before, after = unit / self.steps[:-1, None], unit / self.steps[1:, None]
        here = -(before + after)
        own = chain.own.diagonal(dim1=1, dim2=2)
        link = chain.next.diagonal(dim1=1, dim2=2)
        for offset, weight in enumerate((before, here, after)):
            span = slice(offset, offset + len(value))
            own[span] += trust * weight * weight
            chain.slope[span] += trust * weight * value
        link[:-1] += trust * before * here
        link[1:] += trust * here * after
        chain.second += trust * before * after


def _grouped(value: Float[Tensor, "r u"]) -> Float[Tensor, "r g"]:
    """Square lengths of the three numbers of every joint, and of the shift."""
    return value.unflatten(1, (UNKNOWNS // 3, 3)).square().sum(-1)


def _both_stand(ground: Ground, linked: Bool[Tensor, " s"]) -> Float[Tensor, "s 6"]:
    standing = ground.standing.flatten(1)
    return (standing[1:] & standing[:-1] & linked[:, None]).double()


def standing_cost(ground: Ground, linked: Bool[Tensor, " s"], posed: Posed) -> float:
    """Sum the loss of standing soles that slide or leave the floor."""
    soles = posed.points[:, SOLES]
    slide = (soles[1:] - soles[:-1]).square().sum(-1) * _both_stand(ground, linked)
    height = (soles * ground.up[:, None]).sum(-1) - ground.height[:, None]
    off = (height * ground.standing.flatten(1)).square()
    return float(slide.sum() / STAND_SIGMA**2 + off.sum() / FLOOR_SIGMA**2)


def add_standing(
    chain: Chain, ground: Ground, linked: Bool[Tensor, " s"], posed: Posed, slopes: Slopes
) -> None:
    """Add the terms of standing soles to a system."""
    soles, by_pose = posed.points[:, SOLES], slopes[:, SOLES]
    both = _both_stand(ground, linked)[..., None] / STAND_SIGMA**2
    slide = ((soles[1:] - soles[:-1]) * both).flatten(1)
    flat = by_pose.flatten(1, 2)
    weighted = (by_pose[1:] * both[..., None]).flatten(1, 2)
    before = (by_pose[:-1] * both[..., None]).flatten(1, 2)
    chain.own[1:] += weighted.mT @ flat[1:]
    chain.own[:-1] += before.mT @ flat[:-1]
    chain.next -= weighted.mT @ flat[:-1]
    chain.slope[1:] += (flat[1:].mT @ slide[..., None])[..., 0]
    chain.slope[:-1] -= (flat[:-1].mT @ slide[..., None])[..., 0]
    rise = torch.einsum("ta,tnau->tnu", ground.up, by_pose)
    height = (soles * ground.up[:, None]).sum(-1) - ground.height[:, None]
    stands = ground.standing.flatten(1).double() / FLOOR_SIGMA**2
    chain.own += rise.mT @ (rise * stands[..., None])
    chain.slope += (rise.mT @ (height * stands)[..., None])[..., 0]
