"""Skin as an elastic sheet: what a pose should look like, at one second a pose."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import splu

from open_body.anny_source import Floats, Ints
from persona.geometry.meshes import cotangent_laplacian

ROUNDS = 12
"""Local-global rounds; the skin moves less than 0.1 mm in the last."""
HOLD = 30.0
"""Pull of the bones on skin that one of them carries alone, against the sheet's own stiffness."""
ALONE = (0.88, 0.997)
"""Shares of the strongest bone between which the pull grows to `HOLD`."""
SMALLEST_WEIGHT = 0.05
"""Cotangents of slivers are negative or tiny; the sheet stays stiff there."""


@dataclass(frozen=True)
class Sheet:
    """A patch of skin, ready to be stretched."""

    rest: Floats
    """(n, 3) [m]."""
    starts: Ints
    ends: Ints
    stiffness: Floats
    """Per directed edge."""

    @classmethod
    def of(cls, vertices: Floats, faces: Ints) -> "Sheet":
        """Cut the sheet's springs from a mesh."""
        points, triangles = torch.from_numpy(vertices), torch.from_numpy(faces)
        laplacian = cotangent_laplacian(points, triangles).tocoo()
        off = laplacian.row != laplacian.col
        stiffness = np.maximum(-laplacian.data[off], SMALLEST_WEIGHT)
        return cls(vertices, laplacian.row[off], laplacian.col[off], stiffness)

    def stretch(self, guess: Floats, shares: Floats, *, give: float) -> Floats:
        """Find where the skin comes to rest: as rigid as possible, held by the bones.

        Args:
            guess: Where skinning puts it, volume kept (n, 3) [m].
            shares: Share of the bone that moves each vertex most, (n,) in [0, 1].
            give: Pull on skin between bones: more keeps the flesh, less lets the skin stretch.

        References:
            Sorkine and Alexa, "As-rigid-as-possible surface modeling", SGP 2007.
        """
        count = len(self.rest)
        along = np.clip((shares - ALONE[0]) / (ALONE[1] - ALONE[0]), 0, 1)
        hold = give * (HOLD / give) ** (along * along * (3 - 2 * along))
        springs = sp.csc_array((self.stiffness, (self.starts, self.ends)), (count, count))
        degree = np.asarray(springs.sum(1)).ravel()
        solve = splu(sp.csc_array(sp.diags_array(degree + hold) - springs)).solve
        edges = self.rest[self.starts] - self.rest[self.ends]
        weighted = self.stiffness[:, None] * edges
        gather = sp.csr_array(
            (np.ones(len(self.starts)), (self.starts, np.arange(len(self.starts)))),
            (count, len(self.starts)),
        )
        posed = guess.copy()
        for _ in range(ROUNDS):
            moved = posed[self.starts] - posed[self.ends]
            outer = gather @ (moved[:, :, None] * weighted[:, None, :]).reshape(-1, 9)
            turn = _nearest_rotations(outer.reshape(-1, 3, 3))
            mean = 0.5 * (turn[self.starts] + turn[self.ends])
            pull = gather @ np.einsum("eij,ej->ei", mean, weighted)
            posed = solve(pull + hold[:, None] * guess)
        return posed


def _nearest_rotations(matrices: Floats) -> Floats:
    """Project onto rotations by singular values."""
    u, _, vt = np.linalg.svd(matrices)
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    return u @ vt
