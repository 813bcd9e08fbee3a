"""What gsplat needs to know to sort ellipses into tiles, in plain torch: the specification."""

import torch
from torch import Tensor

from persona.kernels.rasterize_reference import ALPHA_MIN

FAR = 1 << 24
"""Radii are cut here: farther than any picture, and exact as float32 [px]."""


def tile_boxes(
    means2d: Tensor, conics: Tensor, opacities: Tensor, depths: Tensor, left: int, top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Give means in the window (n, 2) [px], half sides of boxes (n, 2) and keys of depths (n)."""
    means2d = torch.stack([means2d[:, 0] - left, means2d[:, 1] - top], 1)
    return means2d, radii(conics, opacities), order_keys(depths)


def radii(conics: Tensor, opacities: Tensor) -> Tensor:
    """Give half the sides (n, 2) of the box in which alpha reaches 1/255 [px, int32, rounded up].

    Zero where nothing is drawn: the opacity is below, or the conic not positive definite. In
    float64, since the determinant of a needle cancels.
    """
    a, b, c = conics.double().unbind(1)
    determinant = a * c - b * b
    level = 2 * torch.log(opacities.double() / ALPHA_MIN)
    draws = (a > 0) & (determinant > 0) & (level >= 0)
    squares = level[:, None] * torch.stack([c, a], 1) / determinant[:, None]
    sides = squares.clamp(min=0).sqrt().ceil().clamp(min=1, max=FAR)
    return torch.where(draws[:, None], sides, torch.zeros_like(sides)).int()


def order_keys(depths: Tensor) -> Tensor:
    """Give float32 numbers whose bits, read without sign, are in the order of the depths.

    gsplat sorts by the bits, which is the order of positive numbers only.
    """
    # Adding zero turns -0.0 into 0.0.
    bits = (depths + 0.0).contiguous().view(torch.int32)
    flip = (bits >> 31) | torch.iinfo(torch.int32).min
    return (bits ^ flip).view(torch.float32)
