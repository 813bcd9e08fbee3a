"""How far points are from the skin, and pushing out those that are too near or inside."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from persona.geometry import meshes
from persona.synthesis.physics.rest_body import RestBody

CANDIDATES = 6
"""Nearest skin points of which the nearest tangent plane decides."""
HIDDEN_WITHIN, BESIDE = 0.15, 0.012
"""A garment hides what lies this far under it, and no farther aside than this [m]."""
ROUNDS = 6
"""Pushes at most; each leaves less than a tenth of the rest."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cover:
    """What cloth must stay outside of, as points with normals."""

    points: Float[ndarray, "n 3"]
    """Points on the surface [m]."""
    normals: Float[ndarray, "n 3"]
    """Outwards, unit."""

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    def heights(self, places: Float[ndarray, "m 3"]) -> Float[ndarray, " m"]:
        """Measure how far places lie outside the skin [m]; negative inside.

        The skin is taken for its tangent plane at the nearest of its points.
        """
        return self._facing(places)[0]

    def pushed(
        self, places: Float[ndarray, "m 3"], least: Float[ndarray, " m"] | float
    ) -> Float[ndarray, "m 3"]:
        """Move places outwards until all are ``least`` [m] above the skin."""
        for _ in range(ROUNDS):
            height, normals = self._facing(places)
            lack = np.maximum(least - height, 0)
            if not (lack > 1e-5).any():
                break
            places = places + lack[:, None] * normals
        return places

    def covered_by(self, cloth: Float[ndarray, "m 3"], faces: Int[ndarray, "f 3"]) -> "Cover":
        """Give what is outermost once a garment lies over this: what it hides no longer counts.

        Else cloth that got between skin and garment would pass for clear of both.
        """
        normals = meshes.vertex_normals(torch.from_numpy(cloth), torch.from_numpy(faces)).numpy()
        away, nearest = cKDTree(cloth).query(self.points, distance_upper_bound=HIDDEN_WITHIN)
        hidden = np.isfinite(away)
        off = self.points[hidden] - cloth[nearest[hidden]]
        depth = -(off * normals[nearest[hidden]]).sum(1)
        aside = np.sqrt(np.maximum(away[hidden] ** 2 - depth**2, 0))
        hidden[hidden] = (depth > 0) & (aside < BESIDE)
        return Cover(
            points=np.concatenate([self.points[~hidden], cloth]),
            normals=np.concatenate([self.normals[~hidden], normals]),
        )

    def _facing(
        self, places: Float[ndarray, "m 3"]
    ) -> tuple[Float[ndarray, " m"], Float[ndarray, "m 3"]]:
        _, nearest = self._tree.query(places)
        normals = self.normals[nearest]
        return ((places - self.points[nearest]) * normals).sum(1), normals


@dataclass(frozen=True, eq=False, kw_only=True)
class Skin(Cover):
    """A finely divided body surface."""

    weights: Float[ndarray, "n 55"]
    """Skinning shares."""

    def shares(self, places: Float[ndarray, "m 3"]) -> Float[ndarray, "m 55"]:
        """Give the skinning shares of the skin nearest to places, a little smoothed."""
        distance, ids = self._tree.query(places, CANDIDATES)
        share = 1 / (distance + 0.01) ** 2
        share /= share.sum(1, keepdims=True)
        return np.einsum("mk,mkj->mj", share, self.weights[ids])


def skin_of(rest: RestBody) -> Skin:
    """Divide the skin once more, and remember its normals."""
    count = len(rest.vertices)
    faces, finer = meshes.subdivide_linear(torch.from_numpy(rest.faces), count)
    points = finer @ rest.vertices
    used = np.unique(faces.numpy())
    normals = meshes.vertex_normals(torch.from_numpy(points), faces).numpy()
    return Skin(points=points[used], normals=normals[used], weights=(finer @ rest.weights)[used])


def same_side(
    places: Float[ndarray, "m 3"], side: Int[ndarray, " m"], least: Float[ndarray, " m"]
) -> Float[ndarray, "m 3"]:
    """Keep places ``least`` [m] inside their half: left for side 1, right for -1, either for 0."""
    x = places[:, 0]
    held = np.where(side == 0, x, side * np.maximum(side * x, least))
    return np.column_stack([held, places[:, 1:]])
