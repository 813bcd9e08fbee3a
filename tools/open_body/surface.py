"""Drop points onto triangles."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEAREST = 40
"""Triangles tried per point, by distance of their middles."""


def closest_on_triangles(points: Floats, vertices: Floats, faces: Ints) -> tuple[Ints, Floats]:
    """Find the closest point of a mesh: triangle (row of ``faces``) and barycentric shares."""
    middles = vertices[faces].mean(1)
    _, near = cKDTree(middles).query(points, k=min(NEAREST, len(faces)))
    a, b, c = (vertices[faces[near][..., k]] for k in range(3))
    shares = _closest_shares(points[:, None], a, b, c)
    at = shares[..., :1] * a + shares[..., 1:2] * b + shares[..., 2:] * c
    best = np.linalg.norm(at - points[:, None], axis=-1).argmin(1)
    rows = np.arange(len(points))
    return near[rows, best], shares[rows, best]


def _closest_shares(p: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    """Barycentric shares of the point of each triangle closest to ``p``.

    The projection counts when it falls inside; otherwise the best point of the three edges.
    """
    u, w = b - a, c - a
    d = p - a
    uu, uw, ww = (u * u).sum(-1), (u * w).sum(-1), (w * w).sum(-1)
    ud, wd = (u * d).sum(-1), (w * d).sum(-1)
    det = np.maximum(uu * ww - uw * uw, 1e-30)
    second, third = (ww * ud - uw * wd) / det, (uu * wd - uw * ud) / det
    inside = np.stack([1 - second - third, second, third], -1)
    candidates = [inside]
    for start, end, i, j in ((a, b, 0, 1), (b, c, 1, 2), (c, a, 2, 0)):
        edge = end - start
        along = ((p - start) * edge).sum(-1) / np.maximum((edge * edge).sum(-1), 1e-30)
        along = along.clip(0, 1)
        shares = np.zeros_like(inside)
        shares[..., i], shares[..., j] = 1 - along, along
        candidates.append(shares)
    table = np.stack(candidates)
    at = table[..., :1] * a + table[..., 1:2] * b + table[..., 2:] * c
    distance = np.linalg.norm(at - p, axis=-1)
    distance[0] = np.where((inside >= 0).all(-1), distance[0], np.inf)
    best = distance.argmin(0)
    return np.take_along_axis(table, best[None, ..., None], 0)[0]
