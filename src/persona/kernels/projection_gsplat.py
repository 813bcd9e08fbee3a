"""3D Gaussians to 2D ellipses with gsplat's CUDA kernels, and torch for what they do otherwise.

gsplat's fused projection drops Gaussians beside the picture and leaves their numbers undefined;
its plain one drops nothing, holds the affine map at the same 15 % off axis as we do, and has a way
back in one launch. Turning into the camera's frame is one product of matrices.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.geometry.cameras import Camera
from persona.kernels.gsplat_core import gsplat_library
from persona.kernels.projection_reference import camera_transform, conics_of


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
    T = camera_transform(camera, means)
    in_camera = torch.addmm(T[:3, 3], means, T[:3, :3].T)
    depths = in_camera[:, 2]
    visible = depths > near
    # Behind the camera any point will do: what comes of it is put to zero.
    safe = torch.where(visible[:, None], in_camera, torch.ones_like(in_camera))
    turned = (covariances @ _turn(T[:3, :3]).T).unflatten(1, (3, 3))
    intrinsics = _intrinsics(camera.focal_px, camera.center_px, means.device)
    means2d, flat = _Pinhole.apply(safe, turned, intrinsics, camera.width, camera.height)
    xx, xy, yy = flat[:, 0, 0] + eps2d, flat[:, 0, 1], flat[:, 1, 1] + eps2d
    return *conics_of(means2d, (xx, xy, yy), visible), depths


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
    covariances = _Covariances.apply(quats_wxyz, scales)
    return project_gaussians(means, covariances, camera, eps2d=eps2d, near=near)


def _turn(rotation: Tensor) -> Tensor:
    """Give the matrix (9, 6) that takes upper triangles to whole covariances, turned."""
    return torch.kron(rotation, rotation) @ _whole(rotation.dtype, rotation.device)


@lru_cache(maxsize=8)
def _whole(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Give the matrix (9, 6) that fills a symmetric matrix from its upper triangle."""
    return torch.eye(6, dtype=dtype)[[0, 1, 2, 1, 3, 4, 2, 4, 5]].to(device)


@lru_cache(maxsize=256)
def _intrinsics(focal_px: float, center_px: tuple[float, float], device: torch.device) -> Tensor:
    x, y = center_px
    rows = [[focal_px, 0.0, x], [0.0, focal_px, y], [0.0, 0.0, 1.0]]
    # The copy is queued; a plain one would wait for all that was queued before.
    return torch.tensor([rows]).to(device, non_blocking=True)


class _Covariances(torch.autograd.Function):
    """Quaternions and standard deviations to upper triangles (n, 6)."""

    @staticmethod
    def forward(ctx, quats, scales):
        quats, scales = quats.contiguous(), scales.contiguous()
        ctx.save_for_backward(quats, scales)
        covariances, _ = gsplat_library().quat_scale_to_covar_preci_fwd(
            quats,
            scales,
            True,  # noqa: FBT003  covariances: gsplat's C++ takes no keywords
            False,  # noqa: FBT003  their inverses
            True,  # noqa: FBT003  upper triangles
        )
        return covariances

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        quats, scales = ctx.saved_tensors
        return gsplat_library().quat_scale_to_covar_preci_bwd(
            quats,
            scales,
            True,  # noqa: FBT003  upper triangles
            grad.contiguous(),
            None,
        )


class _Pinhole(torch.autograd.Function):
    """Means and covariances in the camera's frame to means (n, 2) and covariances (n, 2, 2)."""

    @staticmethod
    def forward(ctx, means, covariances, intrinsics, width, height):
        library = gsplat_library()
        # gsplat wants a leading axis of cameras.
        inputs = (means.contiguous()[None], covariances.contiguous()[None], intrinsics)
        ctx.save_for_backward(*inputs)
        ctx.view = (width, height, library.CameraModelType.PINHOLE)
        means2d, flat = library.projection_ewa_simple_fwd(*inputs, *ctx.view)
        return means2d[0], flat[0]

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        upstream = [grad.contiguous()[None] for grad in grads]
        means, covariances = gsplat_library().projection_ewa_simple_bwd(
            *ctx.saved_tensors, *ctx.view, *upstream
        )
        return means[0], covariances[0], None, None, None
