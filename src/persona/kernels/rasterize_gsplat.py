"""Draw ellipses with gsplat's CUDA kernels, N channels in one pass, forward and backward."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.kernels.gsplat_core import CHANNELS, gsplat_library
from persona.kernels.tile_boxes_triton import tile_boxes

TILE = 16
"""Side of a tile [px]; one block of threads draws it."""
ALIGNMENT = 16
"""Of the features [bytes]: four numbers are read at a time."""


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
        features = _as_gsplat_reads_it(features)
        # gsplat wants a leading axis of pictures.
        inputs = [value[None] for value in (moved, conics, features, opacities)]
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
        # In our build the planes lie one after the other, whatever the shape says.
        return image.view(-1, height, width)[:channels], alpha[0, ..., 0]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_image, grad_alpha):
        *inputs, offsets, owners, alpha, last_ids = ctx.saved_tensors
        width, height = ctx.size
        if ctx.channels < inputs[2].shape[2]:
            missing = inputs[2].shape[2] - ctx.channels
            grad_image = torch.nn.functional.pad(grad_image, (0, 0, 0, 0, 0, missing))
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
            grad_image.contiguous(),
            grad_alpha.contiguous()[None, ..., None],
            False,  # noqa: FBT003  no magnitudes
        )
        return means2d[0], conics[0], opacities[0], features[0, :, : ctx.channels], None, None


def _as_gsplat_reads_it(features: Tensor) -> Tensor:
    """Give as many channels as there is a kernel for, from an address it can read fours at."""
    channels = features.shape[1]
    supported = next(count for count in CHANNELS if count >= channels)
    if channels < supported:
        return torch.nn.functional.pad(features, (0, supported - channels))
    features = features.contiguous()
    return features if features.data_ptr() % ALIGNMENT == 0 else features.clone()
