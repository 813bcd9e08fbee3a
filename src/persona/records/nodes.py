"""Nodes: a few places of the surface whose movement carries all Gaussians around them."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.core.checks import check_finite, check_range
from persona.core.conventions import JOINT_COUNT
from persona.core.errors import InputError

SUM_TOLERANCE: Final = 1e-3
"""How far the shares of a Gaussian may be from one in sum [-]."""


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Places at rest where offsets are known or predicted, and how Gaussians follow them.

    Offsets of cloth are smooth, so that a few thousand nodes say what fifty thousand Gaussians do.

    Raises:
        InputError: A number is not finite, an id names what is not there, or the shares of a
            Gaussian sum neither to one nor to zero.
    """

    points: Float[Tensor, "k 3"]
    """Places in the rest pose [m], body frame."""
    joints: Int[Tensor, " k"]
    """The joint that carries most of each node, in SMPL-X order."""
    holder_ids: Int[Tensor, "n h"]
    """Nodes that each Gaussian follows."""
    shares: Float[Tensor, "n h"]
    """How much it follows each; rows sum to 1, or to 0 where nothing ever moves it: hands, face."""

    def __post_init__(self) -> None:
        check_finite("points", self.points)
        check_finite("shares", self.shares)
        check_range("shares", self.shares, 0.0, 1.0)
        _check_ids("joints", self.joints, JOINT_COUNT)
        _check_ids("holder_ids", self.holder_ids, self.count)
        sums = self.shares.sum(1)
        wrong = torch.minimum(sums.abs(), (sums - 1).abs()) > SUM_TOLERANCE
        if len(self.joints) != self.count or bool(wrong.any()):
            raise InputError(
                f"{self.count} nodes have {len(self.joints)} joints, and the shares of "
                f"{int(wrong.sum())} Gaussians sum neither to 1 nor to 0",
                why="each node has one joint, and a Gaussian follows nodes wholly or not at all",
                fix="make the nodes again with `avatar.nodes.place_nodes`",
            )

    @property
    def count(self) -> int:
        """Nodes."""
        return self.points.shape[0]

    def carry(self, offsets: Float[Tensor, "k 3"]) -> Float[Tensor, "n 3"]:
        """Hand the nodes' offsets to the Gaussians [m]; zero for those that nothing moves."""
        moved = offsets.new_zeros(self.holder_ids.shape[0], 3)
        for holder in range(self.holder_ids.shape[1]):
            share = self.shares[:, holder, None]
            moved = moved + share * offsets.index_select(0, self.holder_ids[:, holder])
        return moved

    def gather(self, offsets: Float[Tensor, "n 3"]) -> Float[Tensor, "k 3"]:
        """Average the Gaussians' offsets at the nodes they follow [m]; zero where none does."""
        total, weight = offsets.new_zeros(self.count, 3), offsets.new_zeros(self.count, 1)
        for holder in range(self.holder_ids.shape[1]):
            # Squared: those beside a node say more about it than those between two.
            share = self.shares[:, holder, None].square()
            total.index_add_(0, self.holder_ids[:, holder], share * offsets)
            weight.index_add_(0, self.holder_ids[:, holder], share)
        return total / weight.clamp(min=1e-9)


def _check_ids(name: str, ids: Tensor, count: int) -> None:
    if len(ids) and not (int(ids.min()) >= 0 and int(ids.max()) < count):
        raise InputError(
            f"{name} spans [{int(ids.min())}, {int(ids.max())}]",
            why=f"there are ids from 0 to {count - 1}",
            fix="make the nodes again with `avatar.nodes.place_nodes`",
        )
