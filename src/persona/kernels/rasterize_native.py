"""Draw ellipses in the C++ core, N channels in one pass, forward and backward."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.kernels.native_core import (
    Workspace,
    address,
    check_status,
    isa_code,
    native_library,
    thread_count,
)


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
    """Draw in tiles; see `persona.kernels.splatting.rasterize`."""
    inputs = (means2d, conics, opacities, features)
    return _Rasterize.apply(*inputs, depths, window, thread_count(threads))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means2d, conics, opacities, features, depths, window, threads):
        inputs = [t.contiguous() for t in (means2d, conics, opacities, features)]
        depths = depths.contiguous()
        n, channels = features.shape
        left, top, width, height = window
        image = means2d.new_empty(channels, height, width)
        alpha = means2d.new_empty(height, width)
        workspace, isa = Workspace(), isa_code()
        status = native_library().persona_rasterize_forward(
            workspace.handle,
            isa,
            threads,
            n,
            channels,
            *map(address, (*inputs, depths)),
            left,
            top,
            width,
            height,
            address(image),
            address(alpha),
        )
        check_status(status)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(*inputs[2:], image, alpha)
            ctx.workspace, ctx.isa, ctx.threads = workspace, isa, threads
        return image, alpha

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        opacities, features, image, alpha = ctx.saved_tensors
        grad_image, grad_alpha = (grad.contiguous() for grad in grads)
        n = len(opacities)
        results = [
            features.new_empty(n, 2),
            features.new_empty(n, 3),
            torch.empty_like(opacities),
            torch.empty_like(features),
        ]
        status = native_library().persona_rasterize_backward(
            ctx.workspace.handle,
            ctx.isa,
            ctx.threads,
            *map(address, (opacities, features, image, alpha, grad_image, grad_alpha)),
            *map(address, results),
        )
        check_status(status)
        return (*results, None, None, None)
