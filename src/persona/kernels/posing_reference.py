"""Skin means and stretch covariances in plain torch: the specification."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from persona.kernels.posing import Rig


def pose_gaussians(
    rig: "Rig",
    flesh: Tensor,
    T_posed_rest: Tensor,
    *,
    max_stretch: float,
    offsets: Tensor | None = None,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pose all Gaussians at once; see `persona.kernels.posing.pose_gaussians`."""
    means = rig.means + (flesh[rig.corners] * rig.corner_shares[..., None]).sum(1)
    if offsets is not None:
        means = means + offsets
    linear, shift, deformation = skinning_maps(
        means, rig.bone_ids, rig.bone_weights, rig.weight_gradients, T_posed_rest
    )
    posed = torch.einsum("nij,nj->ni", linear, means) + shift
    covariances, normals = stretch_surfels(
        rig.tangents, rig.scales, deformation, max_stretch=max_stretch
    )
    return posed, covariances, normals


def skinning_maps(
    rest_means: Tensor,
    bone_ids: Tensor,
    bone_weights: Tensor,
    weight_gradients: Tensor,
    T_posed_rest: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend bones at each Gaussian: the map ``A x + t`` (n,3,3), (n,3) and its derivative F."""
    rows = T_posed_rest[:, :3].reshape(-1, 12)[bone_ids]
    blended = torch.einsum("nk,nkc->nc", bone_weights, rows).reshape(-1, 3, 4)
    by_bone = rows.reshape(*rows.shape[:2], 3, 4)
    carried = torch.einsum("nkij,nj->nki", by_bone[..., :3], rest_means) + by_bone[..., 3]
    stretch = torch.einsum("nki,nkj->nij", carried, weight_gradients)
    linear = blended[..., :3]
    return linear, blended[..., 3], linear + stretch


def stretch_surfels(
    tangents: Tensor, scales: Tensor, deformation: Tensor, *, max_stretch: float
) -> tuple[Tensor, Tensor]:
    """Carry tangents (n,3,2) along: covariances (n,6) and unit normals (n,3)."""
    carried = deformation @ tangents
    length = carried.norm(dim=1, keepdim=True)
    carried = carried * (max_stretch / length.clamp(min=1e-9)).clamp(max=1.0)
    normal = torch.linalg.cross(carried[..., 0], carried[..., 1])
    normal = torch.nn.functional.normalize(normal, dim=1)
    factors = torch.cat([carried, normal[..., None]], -1) * scales[:, None]
    x, y, z = factors.unbind(1)
    pairs = ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z))
    return torch.stack([(a * b).sum(1) for a, b in pairs], 1), normal
