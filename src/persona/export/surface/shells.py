"""Hair, hats and skirts, which lie on no triangle of the body, as sheets of triangles.

References:
    Kolluri, "Provably good moving least squares", SODA 2005: the signed distance to the tangent
    planes of oriented points nearby, of which the sheet is the zero.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.core.types import Faces
from persona.geometry.rotations import quaternion_to_matrix
from persona.geometry.surface_nets import surface_nets

STEP: Final = 0.006
"""Distance of the grid's points [m]."""
REACH: Final = 0.015
"""The sheet ends this far from the last Gaussian [m]."""
BLUR: Final = 0.008
"""Distance at which a tangent plane counts 0.6 as much [m]."""
NEIGHBORS: Final = 10
"""Gaussians whose planes are averaged."""
FAINT: Final = 0.3
"""Opacity below which a Gaussian is a wisp and no surface [-]."""
SMALLEST: Final = 60
"""Vertices of a piece that is kept: about two square centimetres."""
RIM_ROUNDS: Final = 12
"""Times that a rim goes half-way to the middle of its neighbours."""
FEWEST: Final = 20
"""Gaussians that make a sheet."""


@dataclass(frozen=True, kw_only=True)
class Shells:
    """Sheets in the rest pose; none has no vertices."""

    vertices: Float[Tensor, "v 3"]
    """In the body's frame [m]."""
    faces: Faces
    """Triangles, counter-clockwise seen from outside."""
    gaussian_ids: Int[Tensor, "v k"]
    """Gaussians nearest to each vertex."""
    shares: Float[Tensor, "v k"]
    """How much each of them has to say, rows sum to 1."""


def shells_of(avatar: Avatar) -> Shells:
    """Lay sheets through the Gaussians of shells."""
    looks = avatar.canonical
    ours = (avatar.binding.face_ids < 0) & (looks.opacities > FAINT)
    rows = ours.nonzero()[:, 0]
    if len(rows) < FEWEST:
        nothing = torch.zeros(0, 3)
        ids = torch.zeros(0, NEIGHBORS, dtype=torch.int64)
        return Shells(vertices=nothing, faces=ids[:, :3], gaussian_ids=ids, shares=ids.float())
    points = looks.means[rows].double().numpy()
    normals = quaternion_to_matrix(looks.quats_wxyz[rows])[..., 2].double().numpy()
    tree = cKDTree(points)
    low = points.min(0) - 2 * REACH
    size = np.ceil((points.max(0) + 2 * REACH - low) / STEP).astype(int) + 1
    grid = low + STEP * np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    distance, _ = tree.query(grid.reshape(-1, 3), distance_upper_bound=REACH, workers=1)
    known = np.isfinite(distance)
    field = np.ones(len(known))
    near = grid.reshape(-1, 3)[known]
    ids, shares = _nearest(tree, near)
    heights = ((near[:, None] - points[ids]) * normals[ids]).sum(-1)
    field[known] = (shares * heights).sum(1)
    shape = tuple(size)
    vertices, faces = surface_nets(field.reshape(shape), known.reshape(shape))
    vertices, faces = _without_crumbs(low + STEP * vertices, faces)
    vertices = _smooth_rims(vertices, faces)
    ids, shares = _nearest(tree, vertices)
    return Shells(
        vertices=torch.from_numpy(vertices).float(),
        faces=torch.from_numpy(faces),
        gaussian_ids=rows[torch.from_numpy(ids)],
        shares=torch.from_numpy(shares).float(),
    )


def shell_weights(avatar: Avatar, shells: Shells) -> Float[Tensor, "v 55"]:
    """Read who carries the sheets from the Gaussians in them; rows sum to 1."""
    binding = avatar.binding
    dense = torch.zeros(avatar.count, 55).scatter_add(1, binding.bone_ids, binding.bone_weights)
    return (dense[shells.gaussian_ids] * shells.shares[..., None]).sum(1)


def _without_crumbs(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave away pieces too small to be anything, and vertices of no triangle."""
    pairs = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    links = sp.coo_array((np.ones(len(pairs)), pairs.T), (len(vertices),) * 2)
    _, piece = connected_components(links, directed=False)
    large = np.bincount(piece, minlength=1) >= SMALLEST
    faces = faces[large[piece[faces[:, 0]]]]
    kept, faces = np.unique(faces, return_inverse=True)
    return vertices[kept], faces.reshape(-1, 3)


def _smooth_rims(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Draw the steps of the grid out of where a sheet ends."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, first, count = np.unique(np.sort(edges, 1), axis=0, return_index=True, return_counts=True)
    rim = edges[first[count == 1]]
    if not len(rim):
        return vertices
    both = np.concatenate([rim, rim[:, ::-1]])
    links = sp.csr_array((np.ones(len(both)), both.T), (len(vertices),) * 2)
    degree = np.asarray(links.sum(1)).ravel()
    on_rim = degree > 0
    for _ in range(RIM_ROUNDS):
        middle = (links @ vertices)[on_rim] / degree[on_rim, None]
        vertices[on_rim] = (vertices[on_rim] + middle) / 2
    return vertices


def _nearest(tree: cKDTree, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distance, ids = tree.query(points, NEIGHBORS, workers=1)
    # The smallest is taken off, so that far away not all shares vanish.
    near = np.square(distance / BLUR)
    shares = np.exp(-0.5 * (near - near.min(1, keepdims=True)))
    return ids, shares / shares.sum(1, keepdims=True)
