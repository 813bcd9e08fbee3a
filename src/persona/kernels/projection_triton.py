"""3D Gaussians to 2D ellipses on CUDA: one launch there, and one back."""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.geometry.cameras import Camera
from persona.kernels.projection_reference import tangent_limits
from persona.kernels.triton_algebra import (
    axis,
    dot,
    load3,
    load6,
    load_quat,
    scaled,
    store3,
    store6,
    sum_of_squares,
    times,
)
from persona.kernels.triton_core import BLOCK, program_grid

View = tuple[float, ...]
"""Rows of ``T_camera_world`` (12 numbers), then focal length, centre (x, y), the limits of x/z and
of y/z (low, high), the added variance, and the nearest depth. Numbers travel with the launch: a
tensor would have to be copied first."""


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
    return _Project.apply(means, covariances, None, _view_of(camera, eps2d, near))


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
    return _Project.apply(means, quats_wxyz, scales, _view_of(camera, eps2d, near))


def _view_of(camera: Camera, eps2d: float, near: float) -> View:
    # A camera that lies on the GPU is waited for; those of films and photos do not.
    rows = camera.T_camera_world[:3].flatten().tolist()
    (low_x, low_y), (high_x, high_y) = tangent_limits(camera)
    limits = (low_x, high_x, low_y, high_y)
    numbers = (*rows, camera.focal_px, *camera.center_px, *limits, eps2d, near)
    return tuple(float(number) for number in numbers)


class _Project(torch.autograd.Function):
    """Means with covariances (n, 6), or with quaternions (n, 4) and scales (n, 3), to ellipses."""

    @staticmethod
    def forward(ctx, means, shapes, scales, view):
        means, shapes = means.contiguous(), shapes.contiguous()
        oriented = scales is not None
        scales = scales.contiguous() if oriented else means
        ctx.save_for_backward(means, shapes, scales)
        ctx.view, ctx.oriented = view, oriented
        # The depths seldom have a gradient: they only decide the order of drawing.
        ctx.set_materialize_grads(False)
        n = means.shape[0]
        results = means.new_empty(n, 2), means.new_empty(n, 3), means.new_empty(n)
        _project[program_grid(n)](
            means, shapes, scales, *results, view, n, ORIENTED=oriented, BLOCK=BLOCK
        )
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_means2d, grad_conics, grad_depths):
        means, shapes, scales = ctx.saved_tensors
        n = means.shape[0]
        if grad_means2d is None:
            grad_means2d = means.new_zeros(n, 2)
        if grad_conics is None:
            grad_conics = means.new_zeros(n, 3)
        with_depths = grad_depths is not None
        upstream = [
            grad.contiguous()
            for grad in (grad_means2d, grad_conics, grad_depths if with_depths else means)
        ]
        to_means, to_shapes = torch.empty_like(means), torch.empty_like(shapes)
        to_scales = torch.empty_like(scales) if ctx.oriented else to_means
        _project_back[program_grid(n)](
            means,
            shapes,
            scales,
            *upstream,
            to_means,
            to_shapes,
            to_scales,
            ctx.view,
            n,
            ORIENTED=ctx.oriented,
            WITH_DEPTHS=with_depths,
            BLOCK=BLOCK,
        )
        return to_means, to_shapes, to_scales if ctx.oriented else None, None


@triton.jit
@no_type_check
def _covariance(shapes, scales, i, inside, ORIENTED: tl.constexpr):
    """Give a covariance, read or made of quaternion and scales."""
    if ORIENTED:
        w, x, y, z, _ = load_quat(shapes, i, inside)
        size = load3(scales, i, inside)
        m = sum_of_squares(
            scaled(axis(w, x, y, z, 0), size[0]),
            scaled(axis(w, x, y, z, 1), size[1]),
            scaled(axis(w, x, y, z, 2), size[2]),
        )
    else:
        m = load6(shapes, i, inside)
    return m


@triton.jit
@no_type_check
def _in_camera(means, i, inside, view):
    """Give x/z, y/z, the depth, whether it is seen, and one over the depth."""
    p = load3(means, i, inside)
    x = view[0] * p[0] + view[1] * p[1] + view[2] * p[2] + view[3]
    y = view[4] * p[0] + view[5] * p[1] + view[6] * p[2] + view[7]
    depth = view[8] * p[0] + view[9] * p[1] + view[10] * p[2] + view[11]
    visible = depth > view[20]
    inverse = 1.0 / tl.where(visible, depth, 1.0)
    return x * inverse, y * inverse, depth, visible, inverse


@triton.jit
@no_type_check
def _jacobian_row(tangent, low, high, row, scale, view):
    """Give d(pixel)/d(world) of one coordinate: f/z (R_row - tangent R_depth), tangent held."""
    held = tl.minimum(tl.maximum(tangent, low), high)
    x = scale * (row[0] - held * view[8])
    y = scale * (row[1] - held * view[9])
    z = scale * (row[2] - held * view[10])
    return x, y, z


@triton.jit
@no_type_check
def _conic(jx, jy, along_x, along_y, visible, view):
    """Invert the covariance of pixels; zero where nothing is drawn, which is told."""
    xx, xy, yy = dot(jx, along_x) + view[19], dot(jx, along_y), dot(jy, along_y) + view[19]
    det = xx * yy - xy * xy
    draws = visible & (det > 0)
    factor = tl.where(draws, 1.0 / tl.where(draws, det, 1.0), 0.0)
    return factor * yy, -factor * xy, factor * xx, draws


@triton.jit
@no_type_check
def _project(
    means,
    shapes,
    scales,
    means2d,
    conics,
    depths,
    view,
    count,
    ORIENTED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    tx, ty, depth, visible, inverse = _in_camera(means, i, inside, view)
    focal, row_x, row_y = view[12], (view[0], view[1], view[2]), (view[4], view[5], view[6])
    jx = _jacobian_row(tx, view[15], view[16], row_x, focal * inverse, view)
    jy = _jacobian_row(ty, view[17], view[18], row_y, focal * inverse, view)
    m = _covariance(shapes, scales, i, inside, ORIENTED)
    a, b, c, draws = _conic(jx, jy, times(m, jx), times(m, jy), visible, view)
    tl.store(means2d + 2 * i, tl.where(draws, focal * tx + view[13], 0.0), mask=inside)
    tl.store(means2d + 2 * i + 1, tl.where(draws, focal * ty + view[14], 0.0), mask=inside)
    store3(conics, i, inside, a, b, c)
    tl.store(depths + i, depth, mask=inside)


@triton.jit
@no_type_check
def _conic_back(a, b, c, draws, grads, i, inside):
    """Take the gradient of a conic Q to that of its inverse, -Q G Q: xx, xy, yy."""
    g = load3(grads, i, inside)
    ga, gb, gc = tl.where(draws, g[0], 0.0), tl.where(draws, 0.5 * g[1], 0.0), g[2]
    gc = tl.where(draws, gc, 0.0)
    top, side = ga * a + gb * b, ga * b + gb * c
    low, end = gb * a + gc * b, gb * b + gc * c
    return -(a * top + b * low), -(a * side + b * end), -(b * side + c * end)


@triton.jit
@no_type_check
def _oriented_back(quats, scales, i, inside, g, to_quats, to_scales):
    """Take the gradient G of a covariance to quaternion and scales.

    M = A A^T with A = R diag(s): the gradient of a column of A is 2 G A_k.
    """
    w, x, y, z, shrink = load_quat(quats, i, inside)
    size = load3(scales, i, inside)
    r0, r1, r2 = axis(w, x, y, z, 0), axis(w, x, y, z, 1), axis(w, x, y, z, 2)
    d0, d1, d2 = times(g, r0), times(g, r1), times(g, r2)
    s0, s1, s2 = 2 * size[0], 2 * size[1], 2 * size[2]
    store3(to_scales, i, inside, s0 * dot(r0, d0), s1 * dot(r1, d1), s2 * dot(r2, d2))
    xx, yx, zx = scaled(d0, s0 * size[0])
    xy, yy, zy = scaled(d1, s1 * size[1])
    xz, yz, zz = scaled(d2, s2 * size[2])
    gw = 2 * (x * (zy - yz) + y * (xz - zx) + z * (yx - xy))
    gx = 2 * (w * (zy - yz) + y * (xy + yx) + z * (xz + zx) - 2 * x * (yy + zz))
    gy = 2 * (w * (xz - zx) + x * (xy + yx) + z * (yz + zy) - 2 * y * (xx + zz))
    gz = 2 * (w * (yx - xy) + x * (xz + zx) + y * (yz + zy) - 2 * z * (xx + yy))
    # A quaternion's length does not matter: what is along it goes.
    along = w * gw + x * gx + y * gy + z * gz
    tl.store(to_quats + 4 * i, shrink * (gw - along * w), mask=inside)
    tl.store(to_quats + 4 * i + 1, shrink * (gx - along * x), mask=inside)
    tl.store(to_quats + 4 * i + 2, shrink * (gy - along * y), mask=inside)
    tl.store(to_quats + 4 * i + 3, shrink * (gz - along * z), mask=inside)


@triton.jit
@no_type_check
def _project_back(
    means,
    shapes,
    scales,
    grad_means2d,
    grad_conics,
    grad_depths,
    to_means,
    to_shapes,
    to_scales,
    view,
    count,
    ORIENTED: tl.constexpr,
    WITH_DEPTHS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    tx, ty, _, visible, inverse = _in_camera(means, i, inside, view)
    focal, row_x, row_y = view[12], (view[0], view[1], view[2]), (view[4], view[5], view[6])
    row_z = (view[8], view[9], view[10])
    jx = _jacobian_row(tx, view[15], view[16], row_x, focal * inverse, view)
    jy = _jacobian_row(ty, view[17], view[18], row_y, focal * inverse, view)
    m = _covariance(shapes, scales, i, inside, ORIENTED)
    along_x, along_y = times(m, jx), times(m, jy)
    a, b, c, draws = _conic(jx, jy, along_x, along_y, visible, view)
    gxx, gxy, gyy = _conic_back(a, b, c, draws, grad_conics, i, inside)

    # The flat covariance is J M J^T: d/dM = J^T G J and d/dJ = 2 G J M.
    px = gxx * jx[0] + gxy * jy[0], gxx * jx[1] + gxy * jy[1], gxx * jx[2] + gxy * jy[2]
    py = gxy * jx[0] + gyy * jy[0], gxy * jx[1] + gyy * jy[1], gxy * jx[2] + gyy * jy[2]
    g0, g1, g2 = scaled(px, jx[0]), scaled(px, jx[1]), scaled(px, jx[2])
    h0, h1, h2 = scaled(py, jy[0]), scaled(py, jy[1]), scaled(py, jy[2])
    xx, xy, xz = g0[0] + h0[0], g0[1] + h0[1], g0[2] + h0[2]
    yy, yz, zz = g1[1] + h1[1], g1[2] + h1[2], g2[2] + h2[2]
    if ORIENTED:
        g = (xx, xy, xz, yy, yz, zz)
        _oriented_back(shapes, scales, i, inside, g, to_shapes, to_scales)
    else:
        store6(to_shapes, i, inside, xx, 2 * xy, 2 * xz, yy, 2 * yz, zz)
    to_jx, to_jy = times(m, scaled(px, 2.0)), times(m, scaled(py, 2.0))

    # J is f/z (R_row - held R_depth); where a tangent is held it has no part in it.
    gu = tl.load(grad_means2d + 2 * i, mask=inside & draws, other=0.0)
    gv = tl.load(grad_means2d + 2 * i + 1, mask=inside & draws, other=0.0)
    free_x, free_y = (tx >= view[15]) & (tx <= view[16]), (ty >= view[17]) & (ty <= view[18])
    gtx = focal * (gu - tl.where(free_x, inverse * dot(to_jx, row_z), 0.0))
    gty = focal * (gv - tl.where(free_y, inverse * dot(to_jy, row_z), 0.0))
    gx, gy = gtx * inverse, gty * inverse
    gz = -inverse * (dot(to_jx, jx) + dot(to_jy, jy) + gtx * tx + gty * ty)
    if WITH_DEPTHS:
        gz += tl.load(grad_depths + i, mask=inside, other=0.0)
    x, y = gx * view[0] + gy * view[4] + gz * view[8], gx * view[1] + gy * view[5] + gz * view[9]
    store3(to_means, i, inside, x, y, gx * view[2] + gy * view[6] + gz * view[10])
