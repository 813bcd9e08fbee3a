"""The vector of unknowns: where each body parameter sits in it, and the way back to records."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.conventions import JOINT_COUNT
from persona.records.body_params import BodyParams

Unknowns = Float[Tensor, "starts unknowns"]
"""One row of unknowns for every start."""

SCALE_COUNT: Final = 7
"""Bone-length groups, see `persona.body.skeleton.BONE_GROUPS`."""


@dataclass(frozen=True)
class Layout:
    """Slices of the vector: pose, shape (betas then expression), bone scales, translation."""

    beta_count: int
    """Shape coefficients."""
    expression_count: int
    """Expression coefficients."""

    @property
    def pose(self) -> slice:
        """55 axis-angles [rad]."""
        return slice(0, 3 * JOINT_COUNT)

    @property
    def betas(self) -> slice:
        """Shape coefficients [standard deviations]."""
        return slice(self.pose.stop, self.pose.stop + self.beta_count)

    @property
    def expression(self) -> slice:
        """Expression coefficients [-]."""
        return slice(self.betas.stop, self.betas.stop + self.expression_count)

    @property
    def shape(self) -> slice:
        """Betas and expression together: everything that blends the rest shape."""
        return slice(self.betas.start, self.expression.stop)

    @property
    def scales(self) -> slice:
        """Logarithms of the bone-length factors [-]."""
        return slice(self.expression.stop, self.expression.stop + SCALE_COUNT)

    @property
    def transl(self) -> slice:
        """Translation [m]."""
        return slice(self.scales.stop, self.scales.stop + 3)

    @property
    def size(self) -> int:
        """Unknowns in all."""
        return self.transl.stop

    def joint(self, joint: int) -> slice:
        """The axis-angle of one joint."""
        return slice(3 * joint, 3 * joint + 3)

    def columns(self, *parts: slice) -> list[int]:
        """List the positions inside several slices."""
        return [i for part in parts for i in range(part.start, part.stop)]

    def zeros(self, starts: int = 1) -> Unknowns:
        """Give the mean body in T-pose at the origin."""
        return torch.zeros(starts, self.size)

    def pose_of(self, unknowns: Unknowns) -> Float[Tensor, "starts 55 3"]:
        """View the pose part as axis-angles [rad]."""
        return unknowns[:, self.pose].reshape(-1, JOINT_COUNT, 3)

    def to_params(self, unknowns: Float[Tensor, " unknowns"]) -> BodyParams:
        """Turn one row into body parameters; bone scales are the caller's."""
        pose = unknowns[self.pose].reshape(JOINT_COUNT, 3)
        return BodyParams(
            betas=unknowns[self.betas].clone(),
            expression=unknowns[self.expression].clone(),
            global_orient=pose[0].clone(),
            body_pose=pose[1:22].clone(),
            jaw_pose=pose[22].clone(),
            leye_pose=pose[23].clone(),
            reye_pose=pose[24].clone(),
            left_hand_pose=pose[25:40].clone(),
            right_hand_pose=pose[40:55].clone(),
            transl=unknowns[self.transl].clone(),
        )
