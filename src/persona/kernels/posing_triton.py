"""Skin means and stretch covariances on CUDA, in one launch, and in one more the way back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, no_type_check
from weakref import WeakKeyDictionary

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.kernels.triton_algebra import (
    cross,
    dot,
    load3,
    load6,
    scaled,
    store3,
    store6,
    sum_of_squares,
    times,
)
from persona.kernels.triton_core import BLOCK, program_grid

if TYPE_CHECKING:
    from persona.kernels.posing import Rig


@dataclass(frozen=True, eq=False)
class Columns:
    """A rig column by column, so that neighbouring threads read neighbouring numbers."""

    numbers: Tensor
    """Float (15 + 4 k, n): means, corner shares, tangents, scales; then for each bone its share and
    the change of that along x, y and z."""
    ids: Tensor
    """Int32 (3 + k, n): corners, bones."""


_columns: "WeakKeyDictionary[Rig, Columns]" = WeakKeyDictionary()
"""Turning takes as long as posing, and a rig is posed many times."""


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
    how = _How(
        columns=columns_of(rig),
        flesh=flesh.detach().contiguous(),
        bones=T_posed_rest.detach().contiguous(),
        slopes=None if slopes is None else slopes.detach().contiguous(),
        max_stretch=float(max_stretch),
        slots=rig.bone_ids.shape[1],
    )
    return _Pose.apply(offsets, scales, how, rig.means.shape[0])


@dataclass(frozen=True, eq=False)
class _How:
    """What both passes take besides what is differentiated."""

    columns: Columns
    flesh: Tensor
    bones: Tensor
    slopes: Tensor | None
    max_stretch: float
    slots: int

    def run(self, kernel, n: int, offsets: Tensor | None, scales: Tensor | None, places) -> None:
        """Launch a pass; what is not given is not read."""
        kernel[program_grid(n)](
            self.columns.numbers,
            self.columns.ids,
            self.flesh,
            self.bones,
            self.flesh if offsets is None else offsets,
            self.flesh if scales is None else scales,
            self.flesh if self.slopes is None else self.slopes,
            *places,
            self.max_stretch,
            n,
            SLOTS=self.slots,
            WITH_OFFSETS=offsets is not None,
            WITH_SCALES=scales is not None,
            WITH_SLOPES=self.slopes is not None,
            BLOCK=BLOCK,
        )


class _Pose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, offsets, scales, how, n):
        offsets, scales = (None if v is None else v.contiguous() for v in (offsets, scales))
        empty = how.flesh.new_empty
        results = empty(n, 3), empty(n, 6), empty(n, 3)
        how.run(_pose, n, offsets, scales, results)
        ctx.save_for_backward(offsets, scales)
        ctx.how, ctx.count = how, n
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        offsets, scales = ctx.saved_tensors
        grads = [grad.contiguous() for grad in grads]
        found = tuple(torch.empty_like(grads[0]) for _ in range(2))
        ctx.how.run(_unpose, ctx.count, offsets, scales, (*grads, *found))
        wanted = zip(found, (offsets, scales), strict=True)
        return (*(grad if row is not None else None for grad, row in wanted), None, None)


def columns_of(rig: "Rig") -> Columns:
    """Give a rig as the kernel reads it, turned at the first call."""
    columns = _columns.get(rig)
    if columns is None:
        columns = _columns[rig] = turn(rig)
    return columns


def turn(rig: "Rig") -> Columns:
    """Lay a rig out by columns."""
    tangents = rig.tangents.transpose(1, 2).reshape(-1, 6)
    shares = torch.cat([rig.bone_weights[..., None], rig.weight_gradients], 2).flatten(1)
    rows = torch.cat([rig.means, rig.corner_shares, tangents, rig.scales, shares], 1)
    ids = torch.cat([rig.corners, rig.bone_ids], 1).int()
    return Columns(numbers=rows.detach().T.contiguous(), ids=ids.T.contiguous())


@triton.jit
@no_type_check
def _column3(numbers, first, i, count, inside):
    x = tl.load(numbers + first * count + i, mask=inside, other=0.0)
    y = tl.load(numbers + (first + 1) * count + i, mask=inside, other=0.0)
    z = tl.load(numbers + (first + 2) * count + i, mask=inside, other=0.0)
    return x, y, z


@triton.jit
@no_type_check
def _rest_means(numbers, ids, flesh, offsets, i, count, inside, WITH_OFFSETS: tl.constexpr):
    """Give the rest means, moved by the flesh under them."""
    x, y, z = _column3(numbers, 0, i, count, inside)
    for corner in tl.static_range(3):
        vertex = tl.load(ids + corner * count + i, mask=inside, other=0)
        share = tl.load(numbers + (3 + corner) * count + i, mask=inside, other=0.0)
        moved = load3(flesh, vertex, inside)
        x, y, z = x + share * moved[0], y + share * moved[1], z + share * moved[2]
    if WITH_OFFSETS:
        moved = load3(offsets, i, inside)
        x, y, z = x + moved[0], y + moved[1], z + moved[2]
    return x, y, z


@triton.jit
@no_type_check
def _tangent(numbers, first, slopes, i, count, inside, WITH_SLOPES: tl.constexpr):
    """Give a tangent at rest, turned by the slope of the offsets."""
    x, y, z = _column3(numbers, first, i, count, inside)
    if WITH_SLOPES:
        along = x, y, z
        x = x + dot(load3(slopes, 3 * i, inside), along)
        y = y + dot(load3(slopes, 3 * i + 1, inside), along)
        z = z + dot(load3(slopes, 3 * i + 2, inside), along)
    return x, y, z


@triton.jit
@no_type_check
def _bone_row(bones, first, p, inside):
    """Give the linear part of a row of a transform, and where it takes a point."""
    x = tl.load(bones + first, mask=inside, other=0.0)
    y = tl.load(bones + first + 1, mask=inside, other=0.0)
    z = tl.load(bones + first + 2, mask=inside, other=0.0)
    return (
        x,
        y,
        z,
        x * p[0] + y * p[1] + z * p[2] + tl.load(bones + first + 3, mask=inside, other=0.0),
    )


@triton.jit
@no_type_check
def _add_bone(row, deformed, at, share, change):
    """Add a bone's part to a row of F = sum_k w_k A_k + (T_k x) (grad w_k)^T, and to the point."""
    x = deformed[0] + share * row[0] + row[3] * change[0]
    y = deformed[1] + share * row[1] + row[3] * change[1]
    z = deformed[2] + share * row[2] + row[3] * change[2]
    return (x, y, z), at + share * row[3]


@triton.jit
@no_type_check
def _skinned(numbers, ids, bones, p, i, count, inside, SLOTS: tl.constexpr, BLOCK: tl.constexpr):
    """Give where a point goes, and the rows of the derivative F of that."""
    zero = tl.zeros((BLOCK,), tl.float32)
    fx, fy, fz = (zero, zero, zero), (zero, zero, zero), (zero, zero, zero)
    x, y, z = zero, zero, zero
    for slot in tl.static_range(SLOTS):
        bone = 16 * tl.load(ids + (3 + slot) * count + i, mask=inside, other=0)
        first = 15 + 4 * slot
        share = tl.load(numbers + first * count + i, mask=inside, other=0.0)
        change = _column3(numbers, first + 1, i, count, inside)
        fx, x = _add_bone(_bone_row(bones, bone, p, inside), fx, x, share, change)
        fy, y = _add_bone(_bone_row(bones, bone + 4, p, inside), fy, y, share, change)
        fz, z = _add_bone(_bone_row(bones, bone + 8, p, inside), fz, z, share, change)
    return (x, y, z), fx, fy, fz


@triton.jit
@no_type_check
def _held(along, max_stretch):
    """Give what a carried tangent is multiplied by, to be no longer than it may."""
    length = tl.sqrt(dot(along, along))
    return tl.minimum(max_stretch / tl.maximum(length, 1e-9), 1.0)


@triton.jit
@no_type_check
def _pose(
    numbers,
    ids,
    flesh,
    bones,
    offsets,
    scales,
    slopes,
    means,
    covariances,
    normals,
    max_stretch,
    count,
    SLOTS: tl.constexpr,
    WITH_OFFSETS: tl.constexpr,
    WITH_SCALES: tl.constexpr,
    WITH_SLOPES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    p = _rest_means(numbers, ids, flesh, offsets, i, count, inside, WITH_OFFSETS)
    at, fx, fy, fz = _skinned(numbers, ids, bones, p, i, count, inside, SLOTS, BLOCK)
    store3(means, i, inside, at[0], at[1], at[2])

    tu = _tangent(numbers, 6, slopes, i, count, inside, WITH_SLOPES)
    tv = _tangent(numbers, 9, slopes, i, count, inside, WITH_SLOPES)
    u, v = (dot(fx, tu), dot(fy, tu), dot(fz, tu)), (dot(fx, tv), dot(fy, tv), dot(fz, tv))
    u, v = scaled(u, _held(u, max_stretch)), scaled(v, _held(v, max_stretch))
    across = cross(u, v)
    normal = scaled(across, 1.0 / tl.maximum(tl.sqrt(dot(across, across)), 1e-12))
    store3(normals, i, inside, normal[0], normal[1], normal[2])
    size = load3(scales, i, inside) if WITH_SCALES else _column3(numbers, 12, i, count, inside)
    m = sum_of_squares(scaled(u, size[0]), scaled(v, size[1]), scaled(normal, size[2]))
    store6(covariances, i, inside, m[0], m[1], m[2], m[3], m[4], m[5])


@triton.jit
@no_type_check
def _added(a, b):
    """Add two vectors."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@triton.jit
@no_type_check
def _through_hold(along, factor, grad):
    """Go back through a hold: of a tangent that is held only what turns it goes on."""
    unit = scaled(along, 1.0 / tl.maximum(tl.sqrt(dot(along, along)), 1e-9))
    lost = tl.where(factor < 1.0, dot(unit, grad), 0.0)
    return scaled(_added(grad, scaled(unit, -lost)), factor)


@triton.jit
@no_type_check
def _add_row(bones, first, amount, total, inside):
    """Add a multiple of the linear part of a row of a transform."""
    x = tl.load(bones + first, mask=inside, other=0.0)
    y = tl.load(bones + first + 1, mask=inside, other=0.0)
    z = tl.load(bones + first + 2, mask=inside, other=0.0)
    return total[0] + amount * x, total[1] + amount * y, total[2] + amount * z


@triton.jit
@no_type_check
def _unpose(
    numbers,
    ids,
    flesh,
    bones,
    offsets,
    scales,
    slopes,
    grad_means,
    grad_covariances,
    grad_normals,
    grad_offsets,
    grad_scales,
    max_stretch,
    count,
    SLOTS: tl.constexpr,
    WITH_OFFSETS: tl.constexpr,
    WITH_SCALES: tl.constexpr,
    WITH_SLOPES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Go back from means, covariances and normals to offsets and scales; as pose_backward.cpp."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    p = _rest_means(numbers, ids, flesh, offsets, i, count, inside, WITH_OFFSETS)
    _, fx, fy, fz = _skinned(numbers, ids, bones, p, i, count, inside, SLOTS, BLOCK)
    tu = _tangent(numbers, 6, slopes, i, count, inside, WITH_SLOPES)
    tv = _tangent(numbers, 9, slopes, i, count, inside, WITH_SLOPES)
    free_u = dot(fx, tu), dot(fy, tu), dot(fz, tu)
    free_v = dot(fx, tv), dot(fy, tv), dot(fz, tv)
    held_u, held_v = _held(free_u, max_stretch), _held(free_v, max_stretch)
    u, v = scaled(free_u, held_u), scaled(free_v, held_v)
    across = cross(u, v)
    long = tl.maximum(tl.sqrt(dot(across, across)), 1e-12)
    normal = scaled(across, 1.0 / long)

    size = load3(scales, i, inside) if WITH_SCALES else _column3(numbers, 12, i, count, inside)
    g = load6(grad_covariances, i, inside)
    # Off the diagonal one number stands at two places.
    full = g[0], 0.5 * g[1], 0.5 * g[2], g[3], 0.5 * g[4], g[5]
    gu, gv, gn = times(full, u), times(full, v), times(full, normal)
    a, b, c = 2.0 * size[0], 2.0 * size[1], 2.0 * size[2]
    store3(grad_scales, i, inside, a * dot(u, gu), b * dot(v, gv), c * dot(normal, gn))
    gn = _added(scaled(gn, c * size[2]), load3(grad_normals, i, inside))
    gc = scaled(_added(gn, scaled(normal, -dot(normal, gn))), 1.0 / long)
    gu = _added(scaled(gu, a * size[0]), cross(v, gc))
    gv = _added(scaled(gv, b * size[1]), cross(gc, u))
    gu, gv = _through_hold(free_u, held_u, gu), _through_hold(free_v, held_v, gv)

    gm = load3(grad_means, i, inside)
    zero = tl.zeros((BLOCK,), tl.float32)
    back = (zero, zero, zero)
    for slot in tl.static_range(SLOTS):
        bone = 16 * tl.load(ids + (3 + slot) * count + i, mask=inside, other=0)
        first = 15 + 4 * slot
        share = tl.load(numbers + first * count + i, mask=inside, other=0.0)
        change = _column3(numbers, first + 1, i, count, inside)
        du, dv = dot(tu, change), dot(tv, change)
        back = _add_row(bones, bone, share * gm[0] + gu[0] * du + gv[0] * dv, back, inside)
        back = _add_row(bones, bone + 4, share * gm[1] + gu[1] * du + gv[1] * dv, back, inside)
        back = _add_row(bones, bone + 8, share * gm[2] + gu[2] * du + gv[2] * dv, back, inside)
    store3(grad_offsets, i, inside, back[0], back[1], back[2])
