"""Compare two pictures in the C++ core, forward and backward."""

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


def ssim_planes(
    picture: Tensor,
    target: Tensor,
    box: tuple[int, int, int, int],
    *,
    threads: int | None = None,
) -> Tensor:
    """Blur, compare and sum in tiles; see `persona.kernels.similarity.ssim_planes`."""
    # Inside the function gradients are always off, and an input may want one all the same.
    wanted = torch.is_grad_enabled() and picture.requires_grad
    return _Ssim.apply(picture, target, box, thread_count(threads), wanted)


class _Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx, picture, target, box, threads, wanted):
        picture, target = picture.contiguous(), target.contiguous()
        mean = picture.new_empty(())
        workspace, isa = Workspace(), isa_code()
        status = native_library().persona_ssim_forward(
            workspace.handle,
            isa,
            threads,
            *_places(picture, target, box),
            wanted,
            address(mean),
        )
        check_status(status)
        if wanted:
            ctx.save_for_backward(picture, target)
            ctx.workspace, ctx.isa, ctx.threads, ctx.box = workspace, isa, threads, box
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        picture, target = ctx.saved_tensors
        _, _, width, height = ctx.box
        whole = (height, width) == picture.shape[1:]
        grad_picture = torch.empty_like(picture) if whole else torch.zeros_like(picture)
        status = native_library().persona_ssim_backward(
            ctx.workspace.handle,
            ctx.isa,
            ctx.threads,
            *_places(picture, target, ctx.box),
            address(grads[0].contiguous()),
            address(grad_picture),
        )
        check_status(status)
        return grad_picture, None, None, None, None


def _places(picture: Tensor, target: Tensor, box: tuple[int, int, int, int]) -> tuple[object, ...]:
    """Give the arguments that both passes share."""
    channels, height, width = picture.shape
    return (channels, width, height, address(picture), address(target), *box)
