"""Solve the normal equations of a chain of frames, in which only neighbours know each other."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class Chain:
    """A symmetric system whose unknowns come in frames; grows by adding blocks."""

    own: Float[Tensor, "t u u"]
    """Blocks of every frame with itself."""
    next: Float[Tensor, "s u u"]
    """Blocks of a frame (columns) with the one after it (rows)."""
    second: Float[Tensor, "r u"]
    """Diagonals of the blocks of a frame with the one two later."""
    slope: Float[Tensor, "t u"]
    """Right-hand side: the derivative of half the cost."""

    @classmethod
    def empty(cls, frames: int, unknowns: int) -> "Chain":
        """Begin with nothing."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64)

        links, seconds = max(frames - 1, 0), max(frames - 2, 0)
        return cls(
            zeros(frames, unknowns, unknowns),
            zeros(links, unknowns, unknowns),
            zeros(seconds, unknowns),
            zeros(frames, unknowns),
        )

    def step(self, damping: float, floor: float = 1e-6) -> Float[Tensor, "t u"]:
        """Solve for the step that lowers the cost, damped in proportion to the diagonal.

        Pairs of frames make the system block tridiagonal; Cholesky goes along it pair by pair.
        LAPACK's own solver for bands takes twenty times as long where its threads find no core.
        """
        frames, unknowns = self.slope.shape
        blocks, links, right = self._pairs(damping, floor)
        factors: list[Tensor] = []
        carried: list[Tensor] = []
        below = torch.zeros_like(blocks[0])
        for k, block in enumerate(blocks):
            if k:
                below = torch.linalg.solve_triangular(
                    factors[-1], links[k - 1].mT, upper=False
                ).mT.contiguous()
                block = block - below @ below.mT  # noqa: PLW2901
                right[k] -= (below @ right[k - 1][:, None])[:, 0]
            factor = torch.linalg.cholesky(block)
            right[k] = torch.linalg.solve_triangular(factor, right[k][:, None], upper=False)[:, 0]
            factors.append(factor)
            carried.append(below)
        for k in range(len(factors) - 1, -1, -1):
            rest = right[k]
            if k + 1 < len(factors):
                rest = rest - (carried[k + 1].mT @ right[k + 1][:, None])[:, 0]
            right[k] = torch.linalg.solve_triangular(factors[k].mT, rest[:, None], upper=True)[:, 0]
        return right.reshape(-1, unknowns)[:frames]

    def _pairs(self, damping: float, floor: float) -> tuple[Tensor, Tensor, Tensor]:
        """Gather pairs of frames into blocks; a last frame alone gets a partner of no concern."""
        frames, unknowns = self.slope.shape
        count = -(-frames // 2)
        first, last = slice(0, unknowns), slice(unknowns, 2 * unknowns)
        blocks = self.own.new_zeros(count, 2 * unknowns, 2 * unknowns)
        blocks[:, first, first] = self.own[::2]
        blocks[: frames // 2, last, last] = self.own[1::2]
        if frames % 2:
            blocks[-1, last, last] = torch.eye(unknowns, dtype=self.own.dtype)
        blocks[: frames // 2, last, first] = self.next[::2]
        blocks[: frames // 2, first, last] = self.next[::2].mT
        diagonal = blocks.diagonal(dim1=1, dim2=2)
        diagonal += damping * diagonal + floor
        links = self.own.new_zeros(count - 1, 2 * unknowns, 2 * unknowns)
        links[:, first, last] = self.next[1::2]
        links[:, first, first] = torch.diag_embed(self.second[::2])
        odd = self.second[1::2]
        links[: len(odd), last, last] = torch.diag_embed(odd)
        right = self.slope.new_zeros(2 * count, unknowns)
        right[:frames] = -self.slope
        return blocks, links, right.reshape(count, 2 * unknowns)
