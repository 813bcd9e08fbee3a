"""Whether a sheet can be simulated: manifold, open only along loops, not through itself."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from persona.synthesis.physics.pieces import areas, open_edges

SMALLEST_AREA = 1e-8
"""A triangle smaller than 0.01 square millimetres is degenerate [m^2]."""
CROSSING_SHARE = 0.02
"""Share of triangles that pass through others from which a garment cannot work [-]."""
NEIGHBORS = 24
"""Triangles nearest by their middles that are tried against each."""


def fault(vertices: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> str | None:
    """Say what is wrong with a mesh, in a few words; None when it can be simulated."""
    if not len(faces):
        return "it is empty"
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    if len(np.unique(directed, axis=0)) != len(directed):
        return "an edge has more than two triangles"
    rim = open_edges(faces)
    if len(rim) and len(np.unique(rim[:, 0])) != len(rim):
        return "its edges do not close to loops"
    if (areas(vertices, faces) < SMALLEST_AREA).any():
        return "it has triangles without area"
    share = crossing(vertices, faces).mean()
    if share > CROSSING_SHARE:
        return f"{share:.0%} of it passes through itself"
    return None


def crossing(vertices: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Bool[ndarray, " f"]:
    """Mark triangles of which an edge passes through another triangle that shares no corner."""
    middles = vertices[faces].mean(1)
    count = min(NEIGHBORS, len(faces) - 1)
    marks = np.zeros(len(faces), bool)
    if count < 1:
        return marks
    _, near = cKDTree(middles).query(middles, count + 1)
    first = np.repeat(np.arange(len(faces)), count)
    second = near[:, 1:].ravel()
    apart = ~(faces[first][:, :, None] == faces[second][:, None, :]).any((1, 2))
    first, second = first[apart], second[apart]
    corners = vertices[faces[second]]
    for k in range(3):
        start, end = vertices[faces[first, k]], vertices[faces[first, (k + 1) % 3]]
        hit = _passes(start, end, corners)
        marks[first[hit]] = True
        marks[second[hit]] = True
    return marks


def _passes(
    start: Float[ndarray, "n 3"], end: Float[ndarray, "n 3"], corners: Float[ndarray, "n 3 3"]
) -> Bool[ndarray, " n"]:
    """Whether segments pass through triangles (Moeller and Trumbore)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    way, one, two = end - start, b - a, c - a
    cross = np.cross(way, two)
    scale = (one * cross).sum(1)
    safe = np.where(np.abs(scale) < 1e-18, 1.0, scale)
    from_a = start - a
    u = (from_a * cross).sum(1) / safe
    other = np.cross(from_a, one)
    v = (way * other).sum(1) / safe
    t = (two * other).sum(1) / safe
    inside = (u > 0) & (v > 0) & (u + v < 1) & (t > 0) & (t < 1)
    return inside & (np.abs(scale) >= 1e-18)
