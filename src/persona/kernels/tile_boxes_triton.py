"""What gsplat needs to know to sort ellipses into tiles, in one launch."""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from persona.kernels.rasterize_reference import ALPHA_MIN
from persona.kernels.tile_boxes_reference import FAR
from persona.kernels.triton_algebra import load3
from persona.kernels.triton_core import BLOCK, program_grid


def tile_boxes(
    means2d: Tensor, conics: Tensor, opacities: Tensor, depths: Tensor, left: int, top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Do as `tile_boxes_reference.tile_boxes`; inputs must be contiguous."""
    n = means2d.shape[0]
    moved, keys = torch.empty_like(means2d), torch.empty_like(depths)
    sides = torch.empty_like(means2d, dtype=torch.int32)
    corner = (float(left), float(top))
    _tile_boxes[program_grid(n)](
        means2d,
        conics,
        opacities,
        depths,
        moved,
        sides,
        keys,
        corner,
        n,
        ALPHA_MIN=ALPHA_MIN,
        FAR=float(FAR),
        BLOCK=BLOCK,
    )
    return moved, sides, keys


@triton.jit
@no_type_check
def _tile_boxes(
    means2d,
    conics,
    opacities,
    depths,
    moved,
    sides,
    keys,
    corner,
    count,
    ALPHA_MIN: tl.constexpr,
    FAR: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    x = tl.load(means2d + 2 * i, mask=inside, other=0.0)
    y = tl.load(means2d + 2 * i + 1, mask=inside, other=0.0)
    tl.store(moved + 2 * i, x - corner[0], mask=inside)
    tl.store(moved + 2 * i + 1, y - corner[1], mask=inside)

    q = load3(conics, i, inside)
    a, b, c = q[0].to(tl.float64), q[1].to(tl.float64), q[2].to(tl.float64)
    determinant = a * c - b * b
    opacity = tl.load(opacities + i, mask=inside, other=0.0).to(tl.float64)
    # Where nothing is drawn the logarithm is of 1, so that it is finite.
    seen = opacity >= ALPHA_MIN
    level = 2 * tl.log(tl.where(seen, opacity / ALPHA_MIN, 1.0))
    draws = (a > 0) & (determinant > 0) & seen
    per_side = tl.where(draws, level / tl.where(draws, determinant, 1.0), 0.0)
    wide, high = tl.ceil(tl.sqrt(per_side * c)), tl.ceil(tl.sqrt(per_side * a))
    wide = tl.where(draws, tl.minimum(tl.maximum(wide, 1.0), FAR), 0.0)
    high = tl.where(draws, tl.minimum(tl.maximum(high, 1.0), FAR), 0.0)
    tl.store(sides + 2 * i, wide.to(tl.int32), mask=inside)
    tl.store(sides + 2 * i + 1, high.to(tl.int32), mask=inside)

    bits = tl.load(depths + i, mask=inside, other=0.0).to(tl.int32, bitcast=True)
    # The sign alone stands for -0.0, which is 0.0.
    lowest = -2147483648
    bits = tl.where(bits == lowest, 0, bits)
    flipped = bits ^ ((bits >> 31) | lowest)
    tl.store(keys + i, flipped.to(tl.float32, bitcast=True), mask=inside)
