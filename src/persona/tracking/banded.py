"""Solve the normal equations of a chain of frames, in which only near neighbours know each other."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import solveh_banded
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
        """Solve for the step that lowers the cost, damped in proportion to the diagonal."""
        frames, unknowns = self.slope.shape
        size, width = frames * unknowns, min(2 * unknowns, frames * unknowns - 1)
        bands = np.zeros((width + 1, size))
        own = self.own.numpy()
        grid = bands.T.reshape(frames, unknowns, width + 1)
        # Column j of a block holds rows j, j + 1, ... of the matrix in bands 0, 1, ...
        for j in range(unknowns):
            grid[:, j, : unknowns - j] = own[:, j:, j]
            if frames > 1:
                grid[:-1, j, unknowns - j : 2 * unknowns - j] = self.next.numpy()[:, :, j]
        if frames > 2:
            grid[:-2, :, 2 * unknowns] = self.second.numpy()
        bands[0] += damping * bands[0] + floor
        solved = solveh_banded(
            bands, -self.slope.numpy().ravel(), lower=True, overwrite_ab=True, check_finite=False
        )
        return torch.from_numpy(solved.reshape(frames, unknowns))
