"""The outer surface of a head of hair: how far its strands reach in every direction."""

from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter, maximum_filter

from persona.synthesis.sample.mesh import Mesh, plain_mesh

ROWS: Final = 48
"""Directions from pole to pole; twice as many around."""
FEWEST: Final = 2
"""Knots of strands in a direction that is hair."""
OUTER: Final = 90.0
"""Strands beyond this percentile of a direction are strays."""


def hair_shell(strands: Mesh) -> Mesh:
    """Give the hull of strands as seen from their middle, where there are any.

    Hair on a head is nearly star-shaped: seen from the middle every direction meets it once.
    """
    points = strands.vertices.reshape(-1, 2, 3).mean(1)
    middle = 0.5 * (points.min(0) + points.max(0))
    way = points - middle
    radius = np.linalg.norm(way, axis=1)
    up = np.arccos(np.clip(way[:, 1] / radius, -1, 1)) / np.pi
    around = np.arctan2(way[:, 2], way[:, 0]) / (2 * np.pi) + 0.5
    columns = 2 * ROWS
    cell = np.clip((up * ROWS).astype(int), 0, ROWS - 1) * columns
    cell = cell + (around * columns).astype(int) % columns
    count = np.bincount(cell, minlength=ROWS * columns).reshape(ROWS, columns)
    reach = _percentiles(cell, radius, ROWS * columns).reshape(ROWS, columns)
    hairy = count >= FEWEST
    known = np.where(hairy, reach, 0)
    weight = gaussian_filter(hairy.astype(float), 1.0, mode=("nearest", "wrap"))
    smooth = gaussian_filter(known, 1.0, mode=("nearest", "wrap")) / np.maximum(weight, 1e-6)
    row, column = np.meshgrid(np.arange(ROWS), np.arange(columns), indexing="ij")
    tilt, turn = (row + 0.5) / ROWS * np.pi, ((column + 0.5) / columns - 0.5) * 2 * np.pi
    ways = np.stack([np.sin(tilt) * np.cos(turn), np.cos(tilt), np.sin(tilt) * np.sin(turn)], -1)
    vertices = (middle + smooth[..., None] * ways).reshape(-1, 3)
    faces = _faces(columns)
    kept = maximum_filter(hairy, 3, mode=("nearest", "wrap")).ravel() & (smooth.ravel() > 0.01)
    return plain_mesh("hair", vertices, vertices, faces[kept[faces].all(1)])


def _faces(columns: int) -> ndarray:
    """Join neighbouring directions; from outside counter-clockwise."""
    row, column = np.meshgrid(np.arange(ROWS - 1), np.arange(columns), indexing="ij")
    ahead = (column + 1) % columns
    a, b = row * columns + column, row * columns + ahead
    c, d = a + columns, b + columns
    pieces = [np.stack([a, b, c], -1), np.stack([b, d, c], -1)]
    return np.concatenate([piece.reshape(-1, 3) for piece in pieces])


def _percentiles(
    cell: ndarray, radius: Float[ndarray, " n"], cells: int
) -> Float[ndarray, " cells"]:
    order = np.lexsort((radius, cell))
    starts = np.searchsorted(cell[order], np.arange(cells + 1))
    count = np.diff(starts)
    last = np.maximum(count - 1, 0)
    place = starts[:-1] + (last * OUTER / 100).astype(int)
    return np.where(count > 0, radius[order][np.minimum(place, len(order) - 1)], 0)
