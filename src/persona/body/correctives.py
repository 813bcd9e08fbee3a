"""Pose correctives: how joint rotations reshape the skin around them before skinning."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class CorrectiveBlock:
    """What one joint's rotation does to the vertices near it."""

    joint: int
    """Joint id, 1 to 54."""
    vertex_ids: Int[Tensor, " n"]
    """Vertices that move."""
    directions: Float[Tensor, "n 3 9"]
    """Offset per entry of ``R - I``, row by row [m]."""


def blocks_from_dense(posedirs: Float[Tensor, "v 3 k"]) -> tuple[CorrectiveBlock, ...]:
    """Cut SMPL-X's dense posedirs, of which most entries are zero, into one block per joint."""
    blocks = []
    for joint in range(1, posedirs.shape[2] // 9 + 1):
        part = posedirs[:, :, 9 * (joint - 1) : 9 * joint]
        ids = part.abs().amax((1, 2)).nonzero()[:, 0]
        if len(ids):
            blocks.append(CorrectiveBlock(joint, ids, part[ids].contiguous()))
    return tuple(blocks)


def blocks_at(
    blocks: tuple[CorrectiveBlock, ...], vertex_ids: Int[Tensor, " n"], vertex_count: int
) -> tuple[CorrectiveBlock, ...]:
    """Keep what concerns a list of distinct vertices, renumbered by their place in the list."""
    place = torch.full((vertex_count,), -1, device=vertex_ids.device)
    place[vertex_ids] = torch.arange(len(vertex_ids), device=vertex_ids.device)
    kept = []
    for block in blocks:
        new = place[block.vertex_ids]
        if (new >= 0).any():
            kept.append(CorrectiveBlock(block.joint, new[new >= 0], block.directions[new >= 0]))
    return tuple(kept)


def pose_correctives(
    blocks: tuple[CorrectiveBlock, ...], rotations: Float[Tensor, "b 55 3 3"], vertex_count: int
) -> Float[Tensor, "b v 3"]:
    """Add up what the rotations of all joints do to the rest skin [m]."""
    batch = rotations.shape[0]
    offsets = rotations.new_zeros(vertex_count, 3, batch)
    eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    features = (rotations - eye).reshape(batch, -1, 9).permute(1, 2, 0)
    if blocks:
        ids = torch.cat([block.vertex_ids for block in blocks])
        rows = [block.directions.reshape(-1, 9) @ features[block.joint] for block in blocks]
        offsets = offsets.index_add(0, ids, torch.cat(rows).reshape(-1, 3, batch))
    return offsets.permute(2, 0, 1).contiguous()


def dense_directions(
    blocks: tuple[CorrectiveBlock, ...], joint_count: int, vertex_count: int
) -> Float[Tensor, "k w"]:
    """Give all blocks as one matrix: rows are the entries of all ``R - I``, columns coordinates.

    Eighty megabytes for the open body, nearly all of them zeros.
    """
    like = blocks[0].directions if blocks else torch.zeros(0)
    dense = like.new_zeros(joint_count, 9, vertex_count, 3)
    for block in blocks:
        dense[block.joint][:, block.vertex_ids] = block.directions.permute(2, 0, 1)
    return dense.reshape(joint_count * 9, vertex_count * 3)
