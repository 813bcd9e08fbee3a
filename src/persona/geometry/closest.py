"""Find the nearest point of a triangle mesh, exactly, for many points at once."""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

CANDIDATES: Final = 24
"""Triangles with the nearest centres that are looked at; more only matter beside slivers."""


def closest_on_mesh(
    points: Float[ndarray, "n 3"], vertices: Float[ndarray, "v 3"], faces: Int[ndarray, "f 3"]
) -> tuple[Int[ndarray, " n"], Float[ndarray, "n 3"]]:
    """Give the triangle that is nearest to each point, and where on it.

    Args:
        points: Where from.
        vertices: Of the mesh, in the same units.
        faces: At least one triangle.

    Returns:
        Row of ``faces`` and barycentric coordinates, non-negative, rows sum to one.
    """
    corners = vertices[faces].astype(np.float64)
    tree = cKDTree(corners.mean(1))
    near = tree.query(points, min(CANDIDATES, len(faces)))[1].reshape(len(points), -1)
    shares = closest_in_triangles(points[:, None].astype(np.float64), corners[near])
    reached = (shares[..., None] * corners[near]).sum(-2)
    best = ((reached - points[:, None]) ** 2).sum(-1).argmin(1)
    rows = np.arange(len(points))
    return near[rows, best], shares[rows, best]


def closest_in_triangles(
    points: Float[ndarray, "*n 3"], corners: Float[ndarray, "*m 3 3"]
) -> Float[ndarray, "*k 3"]:
    """Give barycentric coordinates of the point of each triangle that is nearest to each point.

    Either the foot of the perpendicular, where it lies inside, or the nearest point of the three
    edges.
    """
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    inside = _perpendicular(points, a, b, c)
    options = [inside]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, way = corners[..., i, :], corners[..., j, :] - corners[..., i, :]
        length = np.maximum((way * way).sum(-1), 1e-30)
        along = np.clip(((points - start) * way).sum(-1) / length, 0, 1)
        share = np.zeros_like(inside)
        share[..., i], share[..., j] = 1 - along, along
        options.append(share)
    shares = np.stack(options)
    reached = (shares[..., None] * corners).sum(-2)
    distance = ((reached - points) ** 2).sum(-1)
    distance[0] = np.where((inside >= 0).all(-1), distance[0], np.inf)
    best = distance.argmin(0)
    return np.take_along_axis(shares, best[None, ..., None], 0)[0]


def _perpendicular(
    points: Float[ndarray, "*n 3"],
    a: Float[ndarray, "*m 3"],
    b: Float[ndarray, "*m 3"],
    c: Float[ndarray, "*m 3"],
) -> Float[ndarray, "*k 3"]:
    """Project onto the planes of triangles, in barycentric coordinates of any sign."""
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = uu * vv - uv * uv
    area = np.where(area > 1e-30, area, np.inf)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    flat = np.isinf(area)
    second = np.where(flat, -1.0, second)
    return np.stack([1 - second - third, second, third], -1)
