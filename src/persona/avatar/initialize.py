"""Place the first Gaussians on a surface, dense where it matters."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.core.types import Faces
from persona.geometry.rotations import matrix_to_quaternion

SIGMA_PER_SPACING = 0.75
"""Standard deviation over distance of neighbours: no holes, yet sharp enough for a weave."""
THICKNESS = 0.15
"""Standard deviation across the surface over that along it."""
NEIGHBORS = 8
"""Rows of a hexagonal lattice's first ring, and a little."""
MAX_ASPECT = 2.0
"""Longest over shortest in-plane axis of a first Gaussian."""


@dataclass(frozen=True, kw_only=True)
class SurfaceSamples:
    """Points of a triangle mesh; rows belong together."""

    face_ids: Int[Tensor, " n"]
    """Triangle."""
    barycentric: Float[Tensor, "n 3"]
    """Place on it, rows sum to 1."""


def sample_surface(
    vertices: Float[Tensor, "v 3"],
    faces: Faces,
    importance: Float[Tensor, " f"],
    count: int,
    *,
    seed: int,
) -> SurfaceSamples:
    """Spread ``count`` points over a mesh, denser in proportion to ``importance``.

    Triangles are walked in an order that keeps neighbours together, and points are handed out by
    a running sum, so that no region gets more than its share; inside a triangle they follow the
    R2 sequence (Roberts 2018), which leaves no clumps.
    """
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = torch.linalg.cross(b - a, c - a).norm(dim=1) / 2
    share = (area * importance).double()
    order = torch.from_numpy(_spatial_order(((a + b + c) / 3).numpy()))
    running = share[order].cumsum(0)
    start = float(np.random.default_rng(seed).random())
    edges = torch.floor(running / running[-1] * count + start).long()
    edges[-1] = count + int(np.floor(start))
    per_face = torch.diff(edges, prepend=torch.tensor([int(np.floor(start))]))
    face_ids = order.repeat_interleave(per_face)
    return SurfaceSamples(face_ids=face_ids, barycentric=_r2_in_triangle(face_ids.shape[0]))


def surfel_axes(
    points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 4"], Float[Tensor, "n 3"]]:
    """Lay a flat Gaussian on each point, as wide as the gap to its neighbours on its own side.

    Returns:
        Axes as quaternions wxyz, the third along the normal, and log standard deviations.
    """
    xyz, n = points.numpy().astype(np.float64), normals.numpy().astype(np.float64)
    # Neighbours across a thin limb or a lip are no neighbours: normals count as distance.
    reach = np.median(cKDTree(xyz).query(xyz, 2)[0][:, 1])
    tree = cKDTree(np.concatenate([xyz, 4 * reach * n], 1))
    ids = tree.query(np.concatenate([xyz, 4 * reach * n], 1), NEIGHBORS + 1)[1][:, 1:]
    first = np.where(np.abs(n[:, :1]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    t1 = np.cross(n, first)
    t1 /= np.linalg.norm(t1, axis=1, keepdims=True)
    t2 = np.cross(n, t1)
    step = xyz[ids] - xyz[:, None]
    u, v = np.einsum("nkd,nd->nk", step, t1), np.einsum("nkd,nd->nk", step, t2)
    xx, xy, yy = (u * u).mean(1), (u * v).mean(1), (v * v).mean(1)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    radius = np.hypot((xx - yy) / 2, xy)
    long = np.sqrt(np.maximum((xx + yy) / 2 + radius, 1e-10))
    short = np.sqrt(np.maximum((xx + yy) / 2 - radius, (long / MAX_ASPECT) ** 2))
    # Mean squares over a full ring at distance d hold d^2/2 along each axis.
    long, short = (np.sqrt(2) * SIGMA_PER_SPACING * side * 0.85 for side in (long, short))
    x_axis = np.cos(angle)[:, None] * t1 + np.sin(angle)[:, None] * t2
    axes = np.stack([x_axis, np.cross(n, x_axis), n], 2)
    scales = np.stack([long, short, THICKNESS * np.sqrt(long * short)], 1)
    quats = matrix_to_quaternion(torch.from_numpy(axes).float())
    return quats, torch.from_numpy(np.log(scales)).float()


def _r2_in_triangle(count: int) -> Float[Tensor, "n 3"]:
    """Fold a low-discrepancy sequence of the unit square into barycentric coordinates."""
    plastic = 1.32471795724474602596
    index = torch.arange(count, dtype=torch.float64)
    u, v = (index / plastic + 0.5) % 1, (index / plastic**2 + 0.5) % 1
    over = u + v > 1
    u, v = torch.where(over, 1 - u, u), torch.where(over, 1 - v, v)
    return torch.stack([1 - u - v, u, v], 1).float()


def _spatial_order(points: np.ndarray) -> np.ndarray:
    """Sort points along a Morton curve of 1024 cells a side."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / (high - low + 1e-9) * 1023).astype(np.uint64)
    code = np.zeros(len(points), np.uint64)
    for bit in range(10):
        for axis in range(3):
            one = (cells[:, axis] >> np.uint64(bit)) & np.uint64(1)
            code |= one << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")
