"""Draw ellipses with gsplat's CUDA kernels, N channels in one pass, forward and backward."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.kernels.gsplat_core import CHANNELS, gsplat_library
from persona.kernels.rasterize_reference import ALPHA_MIN

TILE = 16
"""Side of a tile [px]; one block of threads draws it."""
FAR = 1 << 24
"""Radii are cut here: farther than any picture, and exact as float32 [px]."""


def rasterize(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    depths: Tensor,
    window: tuple[int, int, int, int],
    *,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw in tiles; see `persona.kernels.splatting.rasterize`.

    Unlike the other backends it adds up gradients in no fixed order: they differ in the last bits
    from run to run.
    """
    left, top, width, height = window
    if left or top:
        means2d = torch.stack([means2d[:, 0] - left, means2d[:, 1] - top], 1)
    channels = features.shape[1]
    supported = next(count for count in CHANNELS if count >= channels)
    padded = torch.nn.functional.pad(features, (0, supported - channels))
    image, alpha = _Rasterize.apply(
        means2d, conics, opacities, padded, depths.detach(), width, height
    )
    # (1, h, w, c) as gsplat lays it out; callers see (c, h, w) without a copy.
    return image[0, ..., :channels].permute(2, 0, 1), alpha[0, ..., 0]


def radii(conics: Tensor, opacities: Tensor) -> Tensor:
    """Give half the sides (n, 2) of the box in which alpha reaches 1/255 [px, int32, rounded up].

    Zero where nothing is drawn: the opacity is below, or the conic not positive definite. In
    float64, since the determinant of a needle cancels.
    """
    a, b, c = conics.detach().double().unbind(1)
    determinant = a * c - b * b
    level = 2 * torch.log(opacities.detach().double() / ALPHA_MIN)
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


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means2d, conics, opacities, features, depths, width, height):
        library = gsplat_library()
        # gsplat wants a leading axis of pictures.
        inputs = [value.contiguous()[None] for value in (means2d, conics, features, opacities)]
        columns, rows = -(-width // TILE), -(-height // TILE)
        _, keys, ids = library.intersect_tile(
            inputs[0],
            radii(conics, opacities)[None].contiguous(),
            order_keys(depths)[None],
            None,
            None,
            1,
            TILE,
            columns,
            rows,
            True,  # noqa: FBT003  sort: gsplat's C++ takes no keywords
            False,  # noqa: FBT003  by segments
        )
        offsets = library.intersect_offset(keys, 1, columns, rows)
        image, alpha, last_ids = library.rasterize_to_pixels_3dgs_fwd(
            *inputs, None, None, width, height, TILE, offsets, ids
        )
        ctx.save_for_backward(*inputs, offsets, ids, alpha, last_ids)
        ctx.size = (width, height)
        return image, alpha

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        *inputs, offsets, ids, alpha, last_ids = ctx.saved_tensors
        width, height = ctx.size
        grad_image, grad_alpha = (grad.contiguous() for grad in grads)
        # The first result would be the gradients' magnitudes, which nobody asks for.
        _, means2d, conics, features, opacities = gsplat_library().rasterize_to_pixels_3dgs_bwd(
            *inputs,
            None,
            None,
            width,
            height,
            TILE,
            offsets,
            ids,
            alpha,
            last_ids,
            grad_image,
            grad_alpha,
            False,  # noqa: FBT003  no magnitudes
        )
        return means2d[0], conics[0], opacities[0], features[0], None, None, None
