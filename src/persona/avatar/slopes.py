"""How offsets change along the surface: what turns and stretches Gaussians with their cloth."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.nodes import LIMBS
from persona.body.skeleton import JOINT_IDS
from persona.records.nodes import Nodes

NEIGHBORS: Final = 12
"""Nodes around each one from which its slope is read."""
REACH: Final = 1.5
"""Distance at which a neighbour counts 1/e, over their median distance [-]."""
STIFFNESS: Final = 0.03
"""Square of the way across the surface that offsets are assumed not to change over, over the square
of the nodes' median distance [-]: neighbours on a flat piece of cloth say nothing about it."""
APART_M: Final = 1.0
"""How far away another limb counts [m]: inner thighs touch at rest and move on their own."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Where Gaussians go, and how the surface around them turns and stretches on the way."""

    offsets: Float[Tensor, "n 3"]
    """Added to the rest means [m]."""
    slopes: Float[Tensor, "n 3 3"]
    """Change of the offsets for every metre along the rest surface, added to the identity [-]."""


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Least squares over each node's neighbours, made once; applied to any offsets.

    References:
        Nealen, "An as-short-as-possible introduction to the least squares, weighted least squares
        and moving least squares methods for scattered data approximation", 2004, section 2.
    """

    nodes: Nodes
    """Whose offsets."""
    neighbor_ids: Int[Tensor, "k m"]
    """Nodes around each."""
    gains: Float[Tensor, "k m 3"]
    """What a neighbour's offset, less the node's own, adds to its slope [1/m]."""

    def carry(self, offsets: Float[Tensor, "k 3"]) -> Moved:
        """Hand the nodes' offsets [m] and their slopes to the Gaussians; zero where none moves."""
        apart = offsets[self.neighbor_ids] - offsets[:, None]
        slopes = (apart[..., None] * self.gains[:, :, None]).sum(1)
        return Moved(
            offsets=self._blend(offsets), slopes=self._blend(slopes.flatten(1)).unflatten(1, (3, 3))
        )

    def _blend(self, values: Float[Tensor, "k c"]) -> Float[Tensor, "n c"]:
        # Four times as fast as picking rows and adding them up.
        return torch.nn.functional.embedding_bag(
            self.nodes.holder_ids, values, mode="sum", per_sample_weights=self.nodes.shares
        )


def slopes_of(nodes: Nodes) -> Slopes:
    """Fit a linear field around every node."""
    points = nodes.points.detach().cpu().double()
    limb = torch.zeros(nodes.count, len(LIMBS), dtype=torch.float64)
    for column, names in enumerate(LIMBS):
        joints = torch.tensor([JOINT_IDS[name] for name in names])
        limb[:, column] = APART_M * torch.isin(nodes.joints.cpu(), joints)
    place = torch.cat([points, limb], 1).numpy()
    count = min(NEIGHBORS, nodes.count - 1)
    if count < 1:
        nobody = nodes.joints.new_zeros(nodes.count, 0)
        return Slopes(nodes=nodes, neighbor_ids=nobody, gains=nodes.points.new_zeros(1, 0, 3))
    distance, ids = (torch.from_numpy(x[:, 1:]) for x in cKDTree(place).query(place, count + 1))
    usual = distance.median().clamp(min=1e-6)
    weight = (-(distance / (REACH * usual)).square()).exp()
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-9)
    steps = points[ids] - points[:, None]
    spread = torch.einsum("km,kmi,kmj->kij", weight, steps, steps)
    spread = spread + STIFFNESS * usual.square() * torch.eye(3, dtype=torch.float64)
    gains = torch.linalg.solve(spread, (weight[..., None] * steps).mT).mT
    return Slopes(
        nodes=nodes,
        neighbor_ids=ids.to(nodes.joints),
        gains=gains.to(nodes.points),
    )
