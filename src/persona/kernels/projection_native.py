"""3D Gaussians to 2D ellipses in the C++ core, with the fused way back."""

import ctypes

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.core.errors import BackendError
from persona.geometry.cameras import Camera
from persona.kernels.native_core import (
    CameraStruct,
    address,
    check_status,
    isa_code,
    native_library,
    thread_count,
)
from persona.kernels.projection_reference import tangent_limits


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
    view = camera_struct(camera, eps2d, near)
    return _Project.apply(means, covariances, None, None, view, thread_count(threads))


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
    view = camera_struct(camera, eps2d, near)
    return _Project.apply(means, None, quats_wxyz, scales, view, thread_count(threads))


def camera_struct(camera: Camera, eps2d: float, near: float) -> CameraStruct:
    """Give a camera as the core reads it."""
    if camera.T_camera_world.requires_grad:
        raise BackendError(
            "a gradient with respect to the camera was asked for",
            why="the native projection differentiates the Gaussians only",
            fix="detach the camera, or use backend=Backend.REFERENCE",
        )
    T = camera.T_camera_world.to("cpu", torch.float64).tolist()
    low, high = tangent_limits(camera)
    return CameraStruct(
        rotation=(ctypes.c_double * 9)(*(T[i][j] for i in range(3) for j in range(3))),
        translation=(ctypes.c_double * 3)(*(T[i][3] for i in range(3))),
        focal=(camera.focal_px, camera.focal_px),
        center=tuple(camera.center_px),
        tan_min=low,
        tan_max=high,
        eps2d=eps2d,
        near=near,
    )


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, covariances, quats, scales, view, threads):
        inputs = [
            None if t is None else t.contiguous() for t in (means, covariances, quats, scales)
        ]
        n = means.shape[0]
        means2d, conics, depths = means.new_empty(n, 2), means.new_empty(n, 3), means.new_empty(n)
        status = native_library().persona_project_forward(
            isa_code(),
            threads,
            n,
            ctypes.addressof(view),
            *map(address, inputs),
            *map(address, (means2d, conics, depths)),
        )
        check_status(status)
        ctx.save_for_backward(*inputs)
        ctx.view, ctx.threads = view, threads
        return means2d, conics, depths

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        inputs = ctx.saved_tensors
        upstream = [grad.contiguous() for grad in grads]
        results = [None if t is None else torch.empty_like(t) for t in inputs]
        status = native_library().persona_project_backward(
            isa_code(),
            ctx.threads,
            inputs[0].shape[0],
            ctypes.addressof(ctx.view),
            *map(address, inputs),
            *map(address, upstream),
            *map(address, results),
        )
        check_status(status)
        return (*results, None, None)
