"""Avatar and pose to Gaussians in the world: skinning of means and covariances."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.binding import Binding
from persona.geometry.rotations import quaternion_to_matrix

MAX_STRETCH = 3.0
"""Most that a surface may lengthen a Gaussian [-]; beyond it a splat would be a streak."""


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


def skinning_maps(
    rest_means: Float[Tensor, "n 3"], binding: Binding, T_posed_rest: Float[Tensor, "55 4 4"]
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"], Float[Tensor, "n 3 3"]]:
    """Give each Gaussian's blended map and the deformation gradient of the posed surface.

    The posed mean is ``A x + t``. Its derivative along the surface is not ``A`` alone: where
    shares change, neighbours are carried by different bones, and
    ``F = A + sum_k (T_k x) (grad w_k)^T``. Without the second term cloth that is pulled apart
    at a joint tears into dots.

    Returns:
        A, t and F.
    """
    rows = T_posed_rest[:, :3].reshape(-1, 12)[binding.bone_ids]
    blended = torch.einsum("nk,nkc->nc", binding.bone_weights, rows).reshape(-1, 3, 4)
    by_bone = rows.reshape(*rows.shape[:2], 3, 4)
    carried = torch.einsum("nkij,nj->nki", by_bone[..., :3], rest_means) + by_bone[..., 3]
    stretch = torch.einsum("nki,nkj->nij", carried, binding.weight_gradients)
    linear = blended[..., :3]
    return linear, blended[..., 3], linear + stretch


def pose_covariances(
    canonical: CanonicalGaussians, deformation: Float[Tensor, "n 3 3"]
) -> tuple[Float[Tensor, "n 6"], Float[Tensor, "n 3"]]:
    """Carry covariances and normals along; in-plane stretch is held below `MAX_STRETCH`.

    Returns:
        Covariances as xx, xy, xz, yy, yz, zz [m^2] and unit normals, both in the world frame.
    """
    axes = quaternion_to_matrix(canonical.quats_wxyz)
    tangents = deformation @ axes[..., :2]
    length = tangents.norm(dim=1, keepdim=True)
    tangents = tangents * (MAX_STRETCH / length.clamp(min=1e-9)).clamp(max=1.0)
    normal = torch.linalg.cross(tangents[..., 0], tangents[..., 1])
    normal = torch.nn.functional.normalize(normal, dim=1)
    factors = torch.cat([tangents, normal[..., None]], -1) * canonical.log_scales.exp()[:, None]
    x, y, z = factors.unbind(1)
    pairs = ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z))
    return torch.stack([(a * b).sum(1) for a, b in pairs], 1), normal
