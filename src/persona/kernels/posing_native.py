"""Skin means and stretch covariances in the C++ core, fused."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from persona.kernels.native_core import (
    address,
    check_status,
    isa_code,
    native_library,
    thread_count,
)

if TYPE_CHECKING:
    from persona.kernels.posing import Rig

BLOCK = 16
"""Gaussians that are packed together; kPoseBlock of the core."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """A rig in the order in which the core reads it; see persona_native.h."""

    rest: Tensor
    """Float (blocks, 15, 16)."""
    corners: Tensor
    """Int32 (blocks, 3, 16)."""
    share_begin: Tensor
    """Int32 (blocks + 1)."""
    share_bones: Tensor
    """Int32 (shares)."""
    shares: Tensor
    """Float (shares, 4, 16)."""


_blocks: "WeakKeyDictionary[Rig, Blocks]" = WeakKeyDictionary()
"""Packing takes longer than posing, and a rig is posed many times."""


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
    """Pose block by block; see `persona.kernels.posing.pose_gaussians`."""
    how = _How(
        blocks=blocks_of(rig),
        flesh=flesh.detach().contiguous(),
        bones=T_posed_rest.detach().contiguous(),
        slopes=None if slopes is None else slopes.detach().contiguous(),
        max_stretch=max_stretch,
        isa=isa_code(),
        threads=thread_count(threads),
    )
    return _Pose.apply(offsets, scales, how, rig.means.shape[0])


@dataclass(frozen=True, eq=False)
class _How:
    """What both passes take besides what is differentiated."""

    blocks: Blocks
    flesh: Tensor
    bones: Tensor
    slopes: Tensor | None
    max_stretch: float
    isa: int
    threads: int

    def arguments(self, n: int, offsets: Tensor | None, scales: Tensor | None) -> tuple:
        b = self.blocks
        inputs = (b.rest, b.corners, b.share_begin, b.share_bones, b.shares, self.flesh, self.bones)
        places = map(address, (*inputs, offsets, scales, self.slopes))
        return (self.isa, self.threads, n, *places, self.max_stretch)


class _Pose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, offsets, scales, how, n):
        offsets, scales = (None if v is None else v.contiguous() for v in (offsets, scales))
        empty = how.flesh.new_empty
        results = empty(n, 3), empty(n, 6), empty(n, 3)
        status = native_library().persona_pose_gaussians(
            *how.arguments(n, offsets, scales), *map(address, results)
        )
        check_status(status)
        ctx.save_for_backward(offsets, scales)
        ctx.how, ctx.count = how, n
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        offsets, scales = ctx.saved_tensors
        grads = [grad.contiguous() for grad in grads]
        found = tuple(torch.empty_like(grads[0]) for _ in range(2))
        status = native_library().persona_pose_gaussians_backward(
            *ctx.how.arguments(ctx.count, offsets, scales), *map(address, (*grads, *found))
        )
        check_status(status)
        wanted = zip(found, (offsets, scales), strict=True)
        return (*(grad if row is not None else None for grad, row in wanted), None, None)


def blocks_of(rig: "Rig") -> Blocks:
    """Give a rig as the core reads it, packed at the first call."""
    blocks = _blocks.get(rig)
    if blocks is None:
        blocks = _blocks[rig] = pack(rig)
    return blocks


def pack(rig: "Rig") -> Blocks:
    """Lay a rig out in blocks of sixteen; each block lists the bones it needs once."""
    tangents = rig.tangents.transpose(1, 2).reshape(-1, 6)
    rest = torch.cat([rig.means, rig.corner_shares, tangents, rig.scales], 1).detach()
    numbers = torch.cat([rig.bone_weights[..., None], rig.weight_gradients], 2).detach()
    block_count = -(-rest.shape[0] // BLOCK)
    row, slot = (numbers != 0).any(2).nonzero(as_tuple=True)
    keys, place = torch.unique(
        row // BLOCK * rig.bone_count + rig.bone_ids[row, slot].long(), return_inverse=True
    )
    shares = rest.new_zeros(len(keys), BLOCK, 4)
    # A row may name a bone twice.
    shares.index_put_((place, row % BLOCK), numbers[row, slot], accumulate=True)
    per_block = torch.bincount(keys // rig.bone_count, minlength=block_count)
    share_begin = torch.cat([per_block.new_zeros(1), per_block.cumsum(0)])
    return Blocks(
        rest=columns(rest),
        corners=columns(rig.corners.int()),
        share_begin=share_begin.int(),
        share_bones=(keys % rig.bone_count).int(),
        shares=shares.transpose(1, 2).contiguous(),
    )


def columns(rows: Tensor) -> Tensor:
    """Turn rows (n, c) into blocks (any, c, 16), the last one filled up with zeros."""
    padded = torch.nn.functional.pad(rows, (0, 0, 0, -rows.shape[0] % BLOCK))
    return padded.reshape(-1, BLOCK, rows.shape[1]).transpose(1, 2).contiguous()
