"""BodyParams: shape, pose and expression in SMPL-X terms, independent of any model file."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

SHAPE_COUNT = 10
"""Shape coefficients kept by default."""
EXPRESSION_COUNT = 10
"""Expression coefficients kept by default."""


@dataclass(frozen=True, kw_only=True)
class BodyParams:
    """SMPL-X parameters; leading axes are batch or time and agree or broadcast."""

    betas: Float[Tensor, "*batch s"]
    """Shape coefficients [standard deviations]."""
    expression: Float[Tensor, "*batch e"]
    """Expression coefficients [-]."""
    global_orient: Float[Tensor, "*batch 3"]
    """Rotation of the pelvis, axis-angle [rad]."""
    body_pose: Float[Tensor, "*batch 21 3"]
    """Rotations of joints 1 to 21 relative to their parents, axis-angle [rad]."""
    jaw_pose: Float[Tensor, "*batch 3"]
    """Axis-angle [rad]."""
    leye_pose: Float[Tensor, "*batch 3"]
    """Axis-angle [rad]."""
    reye_pose: Float[Tensor, "*batch 3"]
    """Axis-angle [rad]."""
    left_hand_pose: Float[Tensor, "*batch 15 3"]
    """Rotations of joints 25 to 39, axis-angle [rad]; zero is a flat hand."""
    right_hand_pose: Float[Tensor, "*batch 15 3"]
    """Rotations of joints 40 to 54, axis-angle [rad]; zero is a flat hand."""
    transl: Float[Tensor, "*batch 3"]
    """Added to every vertex after posing [m], world frame."""

    @property
    def full_pose(self) -> Float[Tensor, "*batch 55 3"]:
        """All 55 rotations in SMPL-X order, axis-angle [rad]."""
        head = torch.stack([self.jaw_pose, self.leye_pose, self.reye_pose], -2)
        parts = [self.global_orient[..., None, :], self.body_pose, head]
        return torch.cat([*parts, self.left_hand_pose, self.right_hand_pose], -2)

    def with_full_pose(self, full_pose: Float[Tensor, "*batch 55 3"]) -> "BodyParams":
        """Give the same body in another pose."""
        return replace(
            self,
            global_orient=full_pose[..., 0, :],
            body_pose=full_pose[..., 1:22, :],
            jaw_pose=full_pose[..., 22, :],
            leye_pose=full_pose[..., 23, :],
            reye_pose=full_pose[..., 24, :],
            left_hand_pose=full_pose[..., 25:40, :],
            right_hand_pose=full_pose[..., 40:55, :],
        )

    def frame(self, index: int) -> "BodyParams":
        """Pick one entry of the leading axis."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


def rest_params(
    *batch: int, shape_count: int = SHAPE_COUNT, expression_count: int = EXPRESSION_COUNT
) -> BodyParams:
    """Give the mean body in T-pose at the origin."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(*batch, *shape)

    return BodyParams(
        betas=zeros(shape_count),
        expression=zeros(expression_count),
        global_orient=zeros(3),
        body_pose=zeros(21, 3),
        jaw_pose=zeros(3),
        leye_pose=zeros(3),
        reye_pose=zeros(3),
        left_hand_pose=zeros(15, 3),
        right_hand_pose=zeros(15, 3),
        transl=zeros(3),
    )
