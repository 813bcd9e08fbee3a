"""Gaussians that go with simulated cloth instead of with the skin under it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.binding import Binding
from persona.body.skinning import blend_transforms
from persona.core.errors import InputError
from persona.records.garment import Garment

HOLDERS = 8
"""Garment vertices that carry a Gaussian together."""
REACH_M = 0.02
"""A Gaussian this near to a garment goes with it wholly [m]."""
LOOSE_M = 0.05
"""... and one this far not at all [m]."""
LEG_BONES = (1, 2, 4, 5, 7, 8, 10, 11)
"""Hips, knees, ankles and feet."""
BLUR_M = 0.01
"""Distance within which holders count alike [m]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Worn:
    """Which garment vertices carry which Gaussians; rows of the first seven belong together."""

    gaussian_ids: Int[Tensor, " m"]
    """Gaussians that are worn."""
    holder_ids: Int[Tensor, "m k"]
    """Vertices, counted through all garments."""
    shares: Float[Tensor, "m k"]
    """Share of each holder, rows sum to 1."""
    goes: Float[Tensor, " m"]
    """How far each goes with the cloth, in (0, 1]."""
    means: Float[Tensor, "m 3"]
    """Their centres at rest [m]."""
    bone_ids: Int[Tensor, "m b"]
    """Bones that carry these Gaussians without cloth ..."""
    bone_weights: Float[Tensor, "m b"]
    """... and their shares."""
    rest_vertices: Float[Tensor, "v 3"]
    """All garments at rest, one after another [m]."""
    body_weights: Float[Tensor, "v 55"]
    """Their skinning shares."""
    gaussian_count: int
    """Gaussians of the whole avatar."""


def wear(
    means: Float[Tensor, "n 3"],
    binding: Binding,
    is_cloth: Bool[Tensor, " n"],
    garments: Sequence[Garment],
) -> Worn:
    """Attach an avatar's cloth to garments.

    What lies on a garment goes with its nearest vertices; what stands off it goes less, so that
    nothing tears where a garment ends. Skin and shoes stay with the body, and a leg never goes
    with the tube of cloth that hangs around it, which has Gaussians of its own.

    Args:
        means: Centres in the rest pose [m], as the garments' rest vertices.
        binding: What carries the Gaussians now.
        is_cloth: Which of them show a garment.
        garments: At least one.

    Raises:
        InputError: There is no garment.
    """
    if not garments:
        raise InputError(
            "there are no garments to wear",
            why="cloth is attached to at least one",
            fix="draw the avatar without simulation",
        )
    rest = torch.cat([garment.rest_vertices for garment in garments])
    on_tube = torch.cat([torch.full((len(one.rest_vertices),), one.is_tube) for one in garments])
    on_leg = (binding.face_ids >= 0) & torch.isin(binding.bone_ids[:, 0], torch.tensor(LEG_BONES))
    candidates, distance, ids = _nearest(means, is_cloth, on_leg, rest, on_tube)
    goes = ((LOOSE_M - distance[:, 0]) / (LOOSE_M - REACH_M)).clamp(0, 1)
    shares = 1 / (distance + BLUR_M) ** 2
    shares = shares / shares.sum(1, keepdim=True)
    kept = goes > 0
    chosen = candidates[kept]
    return Worn(
        gaussian_ids=chosen,
        holder_ids=ids[kept],
        shares=shares[kept],
        goes=goes[kept],
        means=means[chosen],
        bone_ids=binding.bone_ids[chosen],
        bone_weights=binding.bone_weights[chosen],
        rest_vertices=rest,
        body_weights=torch.cat([garment.body_weights for garment in garments]),
        gaussian_count=len(means),
    )


def _nearest(
    means: Float[Tensor, "n 3"],
    is_cloth: Bool[Tensor, " n"],
    on_leg: Bool[Tensor, " n"],
    rest: Float[Tensor, "v 3"],
    on_tube: Bool[Tensor, " v"],
) -> tuple[Int[Tensor, " m"], Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Find the vertices nearest to each Gaussian of cloth; legs look past tubes."""
    everywhere = torch.arange(len(rest))
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    holders = min(HOLDERS, len(rest))
    for chosen, allowed in ((~on_leg, everywhere), (on_leg, everywhere[~on_tube])):
        asked = (is_cloth & chosen).nonzero()[:, 0]
        if len(asked) == 0 or len(allowed) < holders:
            continue
        found = cKDTree(rest[allowed].numpy()).query(means[asked].numpy(), holders)
        distance = torch.from_numpy(found[0]).float().reshape(-1, holders)
        rows.append((asked, distance, allowed[torch.from_numpy(found[1]).reshape(-1, holders)]))
    if not rows:
        nobody = torch.zeros(0, dtype=torch.int64)
        return nobody, torch.zeros(0, holders), nobody.reshape(0, 1).expand(0, holders)
    asked, distance, ids = (torch.cat(column) for column in zip(*rows, strict=True))
    return asked, distance, ids


def worn_offsets(
    worn: Worn, cloth: Float[Tensor, "v 3"], T_posed_rest: Float[Tensor, "55 4 4"]
) -> Float[Tensor, "n 3"]:
    """Say where simulated cloth puts the Gaussians, as offsets of their rest means [m].

    A Gaussian keeps its place beside the cloth vertices that hold it, turned as the bones turn
    those; so one tube of cloth stays one, whichever legs its Gaussians hung on. Brought back into
    the rest pose, the difference to where skinning would put it is what posing must add.

    Args:
        worn: Who goes with whom.
        cloth: All garments as simulated, one after another [m], world frame.
        T_posed_rest: The body's bones in this frame.

    Returns:
        One row for each Gaussian of the avatar, zero for those that are not worn.

    Raises:
        InputError: ``cloth`` has another number of vertices.
    """
    if cloth.shape != worn.rest_vertices.shape:
        raise InputError(
            f"cloth has {len(cloth)} vertices, the garments {len(worn.rest_vertices)}",
            why="each vertex carries its own Gaussians",
            fix="give all garments, one after another, as they were worn",
        )
    turns, _ = blend_transforms(T_posed_rest, worn.body_weights)
    # Each vertex takes a rest point x to cloth + R (x - rest): maps that blend as bones do.
    starts = cloth[..., None] - turns @ worn.rest_vertices[..., None]
    carried = _blend(torch.cat([turns, starts], -1), worn.holder_ids, worn.shares)
    linear = _blend(T_posed_rest[:, :3], worn.bone_ids, worn.bone_weights)
    apart = carried - linear
    moved = (apart[..., :3] * worn.means[:, None]).sum(-1) + apart[..., 3]
    offsets = torch.zeros(worn.gaussian_count, 3)
    offsets[worn.gaussian_ids] = worn.goes[:, None] * _undone(linear[..., :3], moved)
    return offsets


def _blend(
    maps: Float[Tensor, "v 3 4"], ids: Int[Tensor, "m k"], shares: Float[Tensor, "m k"]
) -> Float[Tensor, "m 3 4"]:
    blended = torch.nn.functional.embedding_bag(
        ids, maps.flatten(1), mode="sum", per_sample_weights=shares
    )
    return blended.unflatten(1, (3, 4))


def _undone(linear: Float[Tensor, "m 3 3"], moved: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
    """Solve small systems by Cramer's rule, a tenth of the time that LU takes for so many."""
    a, b, c = linear.unbind(-1)
    across = torch.linalg.cross(b, c)
    parts = (
        (moved * across).sum(1),
        (a * torch.linalg.cross(moved, c)).sum(1),
        (a * torch.linalg.cross(b, moved)).sum(1),
    )
    return torch.stack(parts, 1) / (a * across).sum(1, keepdim=True)
