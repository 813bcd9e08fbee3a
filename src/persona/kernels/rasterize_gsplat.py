"""Draw ellipses with gsplat's CUDA kernels, N channels in one pass, forward and backward."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.kernels.gsplat_core import CHANNELS, gsplat_library
from persona.kernels.tile_boxes_triton import tile_boxes

TILE = 16
"""Side of a tile [px]; one block of threads draws it."""


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
    return _Rasterize.apply(means2d, conics, opacities, features, depths, window)


class _Rasterize(torch.autograd.Function):
    """Everything in one step of autograd: its steps take longer than the kernels in them."""

    @staticmethod
    def forward(ctx, means2d, conics, opacities, features, depths, window):
        library = gsplat_library()
        left, top, width, height = window
        conics, opacities = conics.contiguous(), opacities.contiguous()
        moved, sides, keys = tile_boxes(
            means2d.contiguous(), conics, opacities, depths.contiguous(), left, top
        )
        channels = features.shape[1]
        supported = next(count for count in CHANNELS if count >= channels)
        if channels < supported:
            features = torch.nn.functional.pad(features, (0, supported - channels))
        # gsplat wants a leading axis of pictures.
        inputs = [value[None] for value in (moved, conics, features.contiguous(), opacities)]
        columns, rows = -(-width // TILE), -(-height // TILE)
        _, ids, owners = library.intersect_tile(
            inputs[0],
            sides[None],
            keys[None],
            None,
            None,
            1,
            TILE,
            columns,
            rows,
            True,  # noqa: FBT003  sort: gsplat's C++ takes no keywords
            False,  # noqa: FBT003  by segments
        )
        offsets = library.intersect_offset(ids, 1, columns, rows)
        image, alpha, last_ids = library.rasterize_to_pixels_3dgs_fwd(
            *inputs, None, None, width, height, TILE, offsets, owners
        )
        ctx.save_for_backward(*inputs, offsets, owners, alpha, last_ids)
        ctx.size, ctx.channels = (width, height), channels
        # (1, h, w, c) as gsplat lays it out; callers see (c, h, w) without a copy.
        return image[0, ..., :channels].permute(2, 0, 1), alpha[0, ..., 0]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_image, grad_alpha):
        *inputs, offsets, owners, alpha, last_ids = ctx.saved_tensors
        width, height = ctx.size
        to_image = _as_gsplat_lays_it_out(grad_image, inputs[2].shape[2])
        # The first result would be the gradients' magnitudes, which nobody asks for.
        _, means2d, conics, features, opacities = gsplat_library().rasterize_to_pixels_3dgs_bwd(
            *inputs,
            None,
            None,
            width,
            height,
            TILE,
            offsets,
            owners,
            alpha,
            last_ids,
            to_image,
            grad_alpha.contiguous()[None, ..., None],
            False,  # noqa: FBT003  no magnitudes
        )
        return means2d[0], conics[0], opacities[0], features[0, :, : ctx.channels], None, None


def _as_gsplat_lays_it_out(picture: Tensor, channels: int) -> Tensor:
    """Turn (c, h, w) into contiguous (1, h, w, any) with zeros in the further channels."""
    turned = picture.permute(1, 2, 0)
    if turned.shape[2] == channels:
        return turned.contiguous()[None]
    padded = turned.new_zeros(1, *turned.shape[:2], channels)
    padded[0, ..., : turned.shape[2]] = turned
    return padded
