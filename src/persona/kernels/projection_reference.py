"""3D Gaussians to 2D ellipses in plain torch: the specification."""

import torch
from torch import Tensor

from persona.geometry.cameras import Camera
from persona.geometry.rotations import quaternion_to_matrix

OFF_AXIS_MARGIN = 0.15
"""How far beyond the picture's edge the affine map may be taken [fraction of its side]."""


def tangent_limits(camera: Camera) -> tuple[tuple[float, float], tuple[float, float]]:
    """Give the smallest and largest (x/z, y/z) the affine map is taken at, gsplat's rule."""
    low, high = [], []
    for size, center in zip((camera.width, camera.height), camera.center_px, strict=True):
        margin = OFF_AXIS_MARGIN * size
        low.append(-(center + margin) / camera.focal_px)
        high.append((size - center + margin) / camera.focal_px)
    return (low[0], low[1]), (high[0], high[1])


def covariance_matrices(triangles: Tensor) -> Tensor:
    """Fill symmetric matrices (n, 3, 3) from upper triangles xx, xy, xz, yy, yz, zz (n, 6)."""
    return triangles[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)


def project_gaussians(
    means: Tensor,
    covariances: Tensor,
    camera: Camera,
    *,
    eps2d: float,
    near: float,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Project covariances; see `persona.kernels.projection.project_gaussians`."""
    return _project(means, covariance_matrices(covariances), camera, eps2d, near)


def project_oriented(
    means: Tensor,
    quats_wxyz: Tensor,
    scales: Tensor,
    camera: Camera,
    *,
    eps2d: float,
    near: float,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Project rotations and scales; see `persona.kernels.projection.project_oriented`."""
    axes = quaternion_to_matrix(quats_wxyz) * scales[:, None, :]
    return _project(means, axes @ axes.mT, camera, eps2d, near)


def camera_transform(camera: Camera, like: Tensor) -> Tensor:
    """Give ``T_camera_world`` where ``like`` is; the copy is queued and nobody waits for it."""
    return camera.T_camera_world.to(device=like.device, dtype=like.dtype, non_blocking=True)


def conics_of(
    means2d: Tensor, covariances2d: tuple[Tensor, Tensor, Tensor], visible: Tensor
) -> tuple[Tensor, Tensor]:
    """Invert xx, xy, yy; means and conics of what is not visible or has no area become zero."""
    xx, xy, yy = covariances2d
    det = xx * yy - xy * xy
    draws = visible & (det > 0)
    safe = torch.where(draws, det, torch.ones_like(det))
    conics = torch.stack([yy, -xy, xx], 1) / safe[:, None]
    return (
        torch.where(draws[:, None], means2d, torch.zeros_like(means2d)),
        torch.where(draws[:, None], conics, torch.zeros_like(conics)),
    )


def _project(
    means: Tensor, matrices: Tensor, camera: Camera, eps2d: float, near: float
) -> tuple[Tensor, Tensor, Tensor]:
    T = camera_transform(camera, means)
    rotation = T[:3, :3]
    in_camera = means @ rotation.T + T[:3, 3]
    depths = in_camera[:, 2]
    visible = depths > near
    z = torch.where(visible, depths, torch.ones_like(depths))
    tangents = in_camera[:, :2] / z[:, None]
    # By column and with plain numbers: a tensor made of them would have a GPU wait for its copy.
    columns = tangents.unbind(1)
    means2d = torch.stack(
        [camera.focal_px * t + c for t, c in zip(columns, camera.center_px, strict=True)], 1
    )
    limits = zip(columns, *tangent_limits(camera), strict=True)
    clamped = torch.stack([t.clamp(low, high) for t, low, high in limits], 1)
    # d(pixel)/d(world): f/z (R_row - tangent R_depth), a 2x3 matrix for each Gaussian.
    jacobian = rotation[None, :2] - clamped[:, :, None] * rotation[None, 2:]
    jacobian = camera.focal_px / z[:, None, None] * jacobian
    flat = jacobian @ matrices @ jacobian.mT
    xx, xy, yy = flat[:, 0, 0] + eps2d, flat[:, 0, 1], flat[:, 1, 1] + eps2d
    return *conics_of(means2d, (xx, xy, yy), visible), depths
