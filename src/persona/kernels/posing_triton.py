"""Skin means and stretch covariances on CUDA, in one launch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, no_type_check
from weakref import WeakKeyDictionary

import torch
import triton
import triton.language as tl
from torch import Tensor

from persona.kernels.triton_algebra import (
    cross,
    dot,
    load3,
    scaled,
    store3,
    store6,
    sum_of_squares,
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
    slopes: Tensor | None = None,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pose all Gaussians at once; see `persona.kernels.posing.pose_gaussians`."""
    columns = columns_of(rig)
    n, slots = rig.bone_ids.shape
    flesh, bones = flesh.detach().contiguous(), T_posed_rest.detach().contiguous()
    results = flesh.new_empty(n, 3), flesh.new_empty(n, 6), flesh.new_empty(n, 3)
    _pose[program_grid(n)](
        columns.numbers,
        columns.ids,
        flesh,
        bones,
        flesh if offsets is None else offsets.detach().contiguous(),
        flesh if slopes is None else slopes.detach().contiguous(),
        *results,
        float(max_stretch),
        n,
        SLOTS=slots,
        WITH_OFFSETS=offsets is not None,
        WITH_SLOPES=slopes is not None,
        BLOCK=BLOCK,
    )
    return results


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
def _carried(fx, fy, fz, tangent, max_stretch):
    """Carry a tangent, held below the longest it may be."""
    along = dot(fx, tangent), dot(fy, tangent), dot(fz, tangent)
    length = tl.sqrt(dot(along, along))
    return scaled(along, tl.minimum(max_stretch / tl.maximum(length, 1e-9), 1.0))


@triton.jit
@no_type_check
def _pose(
    numbers,
    ids,
    flesh,
    bones,
    offsets,
    slopes,
    means,
    covariances,
    normals,
    max_stretch,
    count,
    SLOTS: tl.constexpr,
    WITH_OFFSETS: tl.constexpr,
    WITH_SLOPES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    p = _rest_means(numbers, ids, flesh, offsets, i, count, inside, WITH_OFFSETS)
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
    store3(means, i, inside, x, y, z)

    u = _tangent(numbers, 6, slopes, i, count, inside, WITH_SLOPES)
    v = _tangent(numbers, 9, slopes, i, count, inside, WITH_SLOPES)
    u = _carried(fx, fy, fz, u, max_stretch)
    v = _carried(fx, fy, fz, v, max_stretch)
    across = cross(u, v)
    normal = scaled(across, 1.0 / tl.maximum(tl.sqrt(dot(across, across)), 1e-12))
    store3(normals, i, inside, normal[0], normal[1], normal[2])
    size = _column3(numbers, 12, i, count, inside)
    m = sum_of_squares(scaled(u, size[0]), scaled(v, size[1]), scaled(normal, size[2]))
    store6(covariances, i, inside, m[0], m[1], m[2], m[3], m[4], m[5])
