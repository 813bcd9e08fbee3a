"""The relief that light sees: normals of a moving surface, freed of what its clothes would hide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.records.observation import Part

CELL_M: Final[Mapping[int, float]] = {
    # Of the person, but of no part that was found: a bag, a phone.
    Part.BACKGROUND: 0.03,
    Part.SKIN: 0.03,
    Part.HAIR: 0.03,
    Part.UPPER: 0.035,
    Part.LOWER: 0.035,
    Part.SHOES: 0.02,
}
"""How fine the surface of a part is lit [m]. Clothes are fitted to a body whose muscles and noise
they would smooth over; a face is finer than cloth."""
HOLDERS: Final = 16
"""Cells whose normals a Gaussian takes."""
OWN: Final = 1e-3
"""Share of a Gaussian's own normal, which decides where no cell faces its way."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Relief:
    """Which Gaussians lie in one patch of surface, and whose patches light each of them."""

    cell_ids: Int[Tensor, " n"]
    """Patch of each Gaussian."""
    holder_ids: Int[Tensor, "n k"]
    """Patches near to it."""
    shares: Float[Tensor, "n k"]
    """How much it takes of each; none of those that face away from it."""
    cell_count: int
    """Patches."""

    def smooth(self, normals: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Give the unit normals to shade by in a pose, of the normals posed there."""
        cells = normals.new_zeros(self.cell_count, 3).index_add_(0, self.cell_ids, normals)
        cells = torch.nn.functional.normalize(cells, dim=1)
        near = self._gathered(cells)
        return torch.nn.functional.normalize(near + OWN * normals, dim=1)

    def average(
        self, values: Float[Tensor, "n c"], trust: Float[Tensor, " n"]
    ) -> Float[Tensor, "n c"]:
        """Give the trusted mean of values around each Gaussian; zero where none is trusted."""
        weighed = torch.cat([trust[:, None] * values, trust[:, None]], 1)
        cells = values.new_zeros(self.cell_count, weighed.shape[1])
        cells = cells.index_add_(0, self.cell_ids, weighed)
        near = self._gathered(cells)
        return near[:, :-1] / near[:, -1:].clamp_min(1e-9)

    def _gathered(self, cells: Float[Tensor, "p c"]) -> Float[Tensor, "n c"]:
        """Give each Gaussian its share of the patches near to it."""
        # Ten times as fast as gathering rows and weighing them.
        return torch.nn.functional.embedding_bag(
            self.holder_ids, cells, per_sample_weights=self.shares, mode="sum"
        )


def find_relief(
    rest_means: Float[Tensor, "n 3"],
    rest_normals: Float[Tensor, "n 3"],
    parts: Int[Tensor, " n"],
    *,
    sizes: Mapping[int, float] = CELL_M,
) -> Relief:
    """Lay patches over a person at rest, each within one part.

    Args:
        rest_means: Centres [m].
        rest_normals: Unit.
        parts: What each shows, as a `records.observation.Part`.
        sizes: How large the patches of each part are [m].
    """
    count = len(parts)
    cell_ids = torch.zeros_like(parts)
    holder_ids = torch.zeros(count, HOLDERS, dtype=torch.int64, device=parts.device)
    shares = rest_means.new_zeros(count, HOLDERS)
    found = 0
    for part in parts.unique().tolist():
        rows = (parts == part).nonzero()[:, 0]
        size = sizes[part]
        points, normals = rest_means[rows], rest_normals[rows]
        # Which way it faces keeps the two sides of a sleeve, and two legs, in patches of their own.
        facing = (normals > 0).long()
        keys = torch.cat([(points / size).floor().long(), facing], 1)
        _, own = keys.unique(dim=0, return_inverse=True)
        cells = int(own.max()) + 1
        members = torch.bincount(own, minlength=cells)[:, None]
        centers = points.new_zeros(cells, 3).index_add_(0, own, points) / members
        faces = torch.nn.functional.normalize(
            points.new_zeros(cells, 3).index_add_(0, own, normals), dim=1
        )
        near = min(HOLDERS, cells)
        distance, ids = cKDTree(centers.cpu().numpy()).query(
            points.cpu().numpy(), range(1, near + 1)
        )
        ids = torch.from_numpy(ids).to(parts.device)
        gap = torch.from_numpy(distance).to(points)
        alike = (normals[:, None] * faces[ids]).sum(2).clamp_min(0).square()
        cell_ids[rows] = own + found
        holder_ids[rows, :near] = ids + found
        shares[rows, :near] = alike * members[ids][..., 0] * torch.exp(-0.5 * (gap / size).square())
        found += cells
    total = shares.sum(1, keepdim=True).clamp_min(1e-9)
    return Relief(cell_ids=cell_ids, holder_ids=holder_ids, shares=shares / total, cell_count=found)
