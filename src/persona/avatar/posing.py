"""Gaussians in the rest pose, and how they hang on a body that moves."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.binding import Binding
from persona.body import SmplxBody
from persona.geometry.rotations import quaternion_to_matrix
from persona.kernels import Puppet, PuppetPose, Rig, posing_reference
from persona.records.body_params import BodyParams


@dataclass(frozen=True, kw_only=True)
class CanonicalGaussians:
    """Gaussians in the rest pose (T-pose) of the person's own body; rows belong together."""

    means: Float[Tensor, "n 3"]
    """Centres [m], body frame."""
    quats_wxyz: Float[Tensor, "n 4"]
    """Axes; the third is the surface normal."""
    log_scales: Float[Tensor, "n 3"]
    """Natural logarithm of the standard deviations along the axes [log m]."""
    opacities: Float[Tensor, " n"]
    """In [0, 1]."""
    colors: Float[Tensor, "n 3"]
    """sRGB in [0, 1]."""


def rig_of(canonical: CanonicalGaussians, binding: Binding, body: SmplxBody) -> Rig:
    """Join Gaussians, binding and body into what `kernels.pose_gaussians` poses.

    Gaussians of a shell lie on no triangle: no flesh moves them.
    """
    on_mesh = binding.face_ids >= 0
    shares = torch.where(on_mesh[:, None], binding.barycentric, 0.0)
    return Rig(
        means=canonical.means,
        tangents=quaternion_to_matrix(canonical.quats_wxyz)[..., :2],
        scales=canonical.log_scales.exp(),
        corners=body.faces[binding.face_ids.clamp(min=0)],
        corner_shares=shares,
        bone_ids=binding.bone_ids,
        bone_weights=binding.bone_weights,
        weight_gradients=binding.weight_gradients,
        vertex_count=body.vertex_count,
        bone_count=body.weights.shape[1],
    )


def puppet_of(
    canonical: CanonicalGaussians, rig: Rig, body: SmplxBody, rest_joints: Float[Tensor, "55 3"]
) -> Puppet:
    """Join a rig and the body under it into what `kernels.draw_posed` draws."""
    blocks = body.correctives
    nobody = torch.zeros(0, dtype=torch.int64, device=rest_joints.device)
    return Puppet(
        rig=rig,
        opacities=canonical.opacities,
        features=canonical.colors,
        parents=body.parents,
        rest_joints=rest_joints,
        joint_dirs=body.joint_dirs[..., body.shapedirs.shape[2] :],
        expression_dirs=body.exprdirs,
        corrective_joints=torch.cat(
            [torch.full_like(block.vertex_ids, block.joint) for block in blocks] or [nobody]
        ),
        corrective_vertices=torch.cat([block.vertex_ids for block in blocks] or [nobody]),
        corrective_directions=torch.cat(
            [block.directions for block in blocks] or [rest_joints.new_zeros(0, 3, 9)]
        ),
    )


def puppet_pose(params: BodyParams, expression_count: int) -> PuppetPose:
    """Give one pose without batch axes as a puppet takes it; missing expressions are zero."""
    missing = expression_count - params.expression.shape[-1]
    return PuppetPose(
        rotations=params.full_pose,
        expression=torch.nn.functional.pad(params.expression, (0, missing)),
        translation=params.transl,
    )


def skinning_maps(
    rest_means: Float[Tensor, "n 3"], binding: Binding, T_posed_rest: Float[Tensor, "55 4 4"]
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"], Float[Tensor, "n 3 3"]]:
    """Give each Gaussian's blended map and the deformation gradient of the posed surface.

    The posed mean is ``A x + t``; its derivative along the surface is F, see
    `kernels.pose_gaussians`. Differentiable, and slower: posing does not need the maps.

    Returns:
        A, t and F.
    """
    return posing_reference.skinning_maps(
        rest_means,
        binding.bone_ids,
        binding.bone_weights,
        binding.weight_gradients,
        T_posed_rest,
    )
