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
    scales: Tensor | None = None,
    slopes: Tensor | None = None,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pose all Gaussians at once; see `persona.kernels.posing.pose_gaussians`."""
    means = rig.means + (flesh[rig.corners] * rig.corner_shares[..., None]).sum(1)
    if offsets is not None:
        means = means + offsets
    linear, shift, deformation = skinning_maps(
        means, rig.bone_ids, rig.bone_weights, rig.weight_gradients, T_posed_rest
    )
    posed = (linear * means[:, None]).sum(-1) + shift
    tangents = rig.tangents if slopes is None else rig.tangents + slopes @ rig.tangents
    covariances, normals = stretch_surfels(
        tangents, rig.scales if scales is None else scales, deformation, max_stretch=max_stretch
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
    # The maps are linear in the shares: one product blends by the shares and by their changes
    # along x, y and z, which by itself would be four.
    shares = torch.cat([bone_weights[:, None], weight_gradients.mT], 1)
    maps = (shares @ rows).unflatten(-1, (3, 4))
    linear, shift = maps[:, 0, :, :3], maps[:, 0, :, 3]
    along = maps[:, 1:]
    stretch = (along[..., :3] * rest_means[:, None, None]).sum(-1) + along[..., 3]
    return linear, shift, linear + stretch.mT


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
    full = factors @ factors.mT
    triangle = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    return torch.stack([full[:, i, j] for i, j in triangle], 1), normal
