"""Triangle meshes: normals, areas, edges, Laplacians, Loop subdivision and points on surfaces."""

from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Faces

FinerFaces: TypeAlias = Int[Tensor, "finer_f 3"]
"""Triangles after subdivision; another number than before."""


def face_normals(
    vertices: Float[Tensor, "*batch v 3"], faces: Faces
) -> Float[Tensor, "*batch f 3"]:
    """Give outward normals whose length is twice the triangle's area [m^2]."""
    a, b, c = (vertices[..., faces[:, k], :] for k in range(3))
    return torch.linalg.cross(b - a, c - a, dim=-1)


def face_areas(vertices: Float[Tensor, "*batch v 3"], faces: Faces) -> Float[Tensor, "*batch f"]:
    """Give the area of every triangle [m^2]."""
    return face_normals(vertices, faces).norm(dim=-1) / 2


def vertex_normals(
    vertices: Float[Tensor, "*batch v 3"], faces: Faces
) -> Float[Tensor, "*batch v 3"]:
    """Give unit normals, the mean of the adjacent triangles' weighted by area.

    A vertex in no triangle, or only in degenerate ones, has normal zero.
    """
    wide = face_normals(vertices, faces)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(-2, faces[:, corner], wide)
    return torch.nn.functional.normalize(total, dim=-1)


def vertex_areas(vertices: Float[Tensor, "*batch v 3"], faces: Faces) -> Float[Tensor, "*batch v"]:
    """Give every vertex a third of its triangles' areas [m^2]."""
    thirds = face_areas(vertices, faces) / 3
    total = torch.zeros_like(vertices[..., 0])
    for corner in range(3):
        total = total.index_add(-1, faces[:, corner], thirds)
    return total


def unique_edges(faces: Faces) -> Int[Tensor, "e 2"]:
    """List every edge once, smaller vertex id first, sorted."""
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return pairs.sort(1).values.unique(dim=0)


def is_closed(faces: Faces) -> bool:
    """Say whether every directed edge is met exactly once by its opposite: no holes, no fins."""
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forth = set(map(tuple, pairs.tolist()))
    return len(forth) == len(pairs) and all((b, a) in forth for a, b in forth)


def adjacency_matrix(faces: Faces, vertex_count: int) -> sp.csr_array:
    """Mark neighbours with one, (v, v)."""
    a, b = unique_edges(faces).numpy().T
    ones = np.ones(2 * len(a))
    rows, columns = np.concatenate([a, b]), np.concatenate([b, a])
    return sp.csr_array((ones, (rows, columns)), (vertex_count, vertex_count))


def uniform_laplacian(faces: Faces, vertex_count: int) -> sp.csr_array:
    """Give L with ``(L x)_i = x_i - mean of its neighbours``, (v, v); lone vertices give zero."""
    adjacent = adjacency_matrix(faces, vertex_count)
    degree = np.asarray(adjacent.sum(1)).ravel()
    mean = sp.diags_array(1 / np.maximum(degree, 1)) @ adjacent
    return sp.csr_array(sp.diags_array((degree > 0).astype(float)) - mean)


def cotangent_laplacian(vertices: Float[Tensor, "v 3"], faces: Faces) -> sp.csr_array:
    """Give the symmetric, positive semi-definite cotangent Laplacian (v, v), without area weights.

    ``(L x)_i = sum_j (cot a_ij + cot b_ij) / 2 (x_i - x_j)``; applied to positions it points along
    the mean curvature normal. Angles are held off 0 and pi, where the cotangent explodes.

    References:
        Pinkall and Polthier, "Computing discrete minimal surfaces and their conjugates", 1993.
    """
    points = vertices.detach().double().numpy()
    corners = faces.numpy()
    rows, columns, values = [], [], []
    for k in range(3):
        at, i, j = corners[:, k], corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]
        u, w = points[i] - points[at], points[j] - points[at]
        area2 = np.linalg.norm(np.cross(u, w), axis=1)
        floor = 1e-3 * np.linalg.norm(u, axis=1) * np.linalg.norm(w, axis=1) + 1e-30
        half = 0.5 * (u * w).sum(1) / np.maximum(area2, floor)
        rows += [i, j]
        columns += [j, i]
        values += [half, half]
    count = len(points)
    index = (np.concatenate(rows), np.concatenate(columns))
    off = sp.csr_array((np.concatenate(values), index), (count, count))
    return sp.csr_array(sp.diags_array(np.asarray(off.sum(1)).ravel()) - off)


def subdivide_loop(faces: Faces, vertex_count: int) -> tuple[FinerFaces, sp.csr_array]:
    """Cut every triangle into four by Loop's smooth rule.

    New vertices follow the old ones: old vertex i stays number i, edge e of `unique_edges` becomes
    number ``vertex_count + e``. Face f becomes faces f, f + F, f + 2 F (at its corners 0, 1, 2)
    and f + 3 F (in its middle), so that labels inherit by repetition.

    Returns:
        Finer faces, and the sparse matrix (fine v, v) that carries positions, weights, anything.

    References:
        Loop, "Smooth subdivision surfaces based on triangles", 1987; boundary rules by Hoppe et
        al., SIGGRAPH 1994.
    """
    finer, edges, edge_of_side = _split_faces(faces, vertex_count)
    sides = faces.numpy()
    across = np.concatenate([sides[:, 2], sides[:, 0], sides[:, 1]])
    count = len(edges)
    boundary = np.bincount(edge_of_side, minlength=count) == 1
    rows = np.repeat(np.arange(count), 2)
    ends = sp.csr_array(
        (np.repeat(np.where(boundary, 1 / 2, 3 / 8), 2), (rows, edges.ravel())),
        (count, vertex_count),
    )
    inner = ~boundary[edge_of_side]
    wings = sp.csr_array(
        (np.full(inner.sum(), 1 / 8), (edge_of_side[inner], across[inner])), (count, vertex_count)
    )
    old = _loop_old_vertices(edges, boundary, vertex_count)
    return finer, sp.csr_array(sp.vstack([old, ends + wings]))


def _loop_old_vertices(
    edges: NDArray[np.int64], boundary: NDArray[np.bool_], vertex_count: int
) -> sp.csr_array:
    """Smooth the old vertices: Loop's weights inside, cubic spline weights on boundaries."""

    def neighbours(pairs: NDArray[np.int64]) -> sp.csr_array:
        index = (pairs.ravel(), pairs[:, ::-1].ravel())
        return sp.csr_array((np.ones(pairs.size), index), (vertex_count, vertex_count))

    around = neighbours(edges)
    degree = np.asarray(around.sum(1)).ravel()
    share = np.where(degree == 3, 3 / 16, 3 / (8 * np.maximum(degree, 1)))
    on_rim = np.zeros(vertex_count, bool)
    on_rim[edges[boundary]] = True
    inside = sp.diags_array((~on_rim).astype(float))
    smooth = sp.diags_array(1 - degree * share) + sp.diags_array(share) @ around
    rim = sp.diags_array(np.where(on_rim, 3 / 4, 0.0))
    along_rim = sp.diags_array(np.where(on_rim, 1 / 8, 0.0)) @ neighbours(edges[boundary])
    return sp.csr_array(inside @ smooth + rim + along_rim)


def subdivide_linear(faces: Faces, vertex_count: int) -> tuple[FinerFaces, sp.csr_array]:
    """Cut every triangle into four flat ones, numbered as `subdivide_loop` does; for uv."""
    finer, edges, _ = _split_faces(faces, vertex_count)
    rows = np.repeat(np.arange(len(edges)), 2)
    middles = sp.csr_array(
        (np.full(edges.size, 0.5), (rows, edges.ravel())), (len(edges), vertex_count)
    )
    return finer, sp.csr_array(sp.vstack([sp.eye_array(vertex_count), middles]))


def _split_faces(
    faces: Faces, vertex_count: int
) -> tuple[FinerFaces, NDArray[np.int64], NDArray[np.int64]]:
    """Number the edges and cut the faces: finer faces, edges, and the edge of every side."""
    old = faces.numpy()
    sides = np.sort(np.concatenate([old[:, [0, 1]], old[:, [1, 2]], old[:, [2, 0]]]), 1)
    edges, of_side = np.unique(sides, axis=0, return_inverse=True)
    of_side = of_side.ravel()
    ab, bc, ca = (vertex_count + part for part in np.split(of_side, 3))
    a, b, c = old.T
    corners = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    finer = np.concatenate([np.stack(triangle, 1) for triangle in corners])
    return torch.from_numpy(finer), edges, of_side


def subdivision_matrix(
    faces: Faces, vertex_count: int, levels: int
) -> tuple[FinerFaces, sp.csr_array]:
    """Subdivide ``levels`` times by Loop's rule: finest faces and one matrix (fine v, v).

    Args:
        faces: Triangles.
        vertex_count: Vertices they speak of.
        levels: How often; each multiplies the faces by four. Zero gives the identity.

    Raises:
        InputError: ``levels`` is negative.
    """
    if levels < 0:
        raise InputError(
            f"levels is {levels}",
            why="a mesh can be made finer, not coarser",
            fix="pass 0, 1 or 2",
        )
    matrix = sp.csr_array(sp.eye_array(vertex_count))
    for _ in range(levels):
        faces, step = subdivide_loop(faces, matrix.shape[0])
        matrix = sp.csr_array(step @ matrix)
    return faces, matrix


def sparse_to_torch(matrix: sp.sparray) -> Tensor:
    """Turn a scipy matrix into a sparse torch tensor (float32) for products with dense tensors."""
    entries = sp.coo_array(sp.csr_array(matrix))
    return torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([entries.row, entries.col]).astype(np.int64)),
        torch.from_numpy(entries.data.astype(np.float32)),
        size=matrix.shape,
        is_coalesced=True,
        check_invariants=False,  # scipy keeps them
    )


def sample_surface(
    vertices: Float[Tensor, "v 3"], faces: Faces, count: int, *, generator: torch.Generator
) -> tuple[Int[Tensor, " n"], Float[Tensor, "n 3"]]:
    """Draw points uniformly by area: triangle ids and barycentric coordinates."""
    areas = face_areas(vertices, faces)
    ids = torch.multinomial(areas, count, replacement=True, generator=generator)
    u, v = torch.rand(count, generator=generator), torch.rand(count, generator=generator)
    root = u.sqrt()
    return ids, torch.stack([1 - root, root * (1 - v), root * v], 1)


def points_on_faces(
    values: Float[Tensor, "*batch v c"],
    faces: Faces,
    face_ids: Int[Tensor, " n"],
    barycentric: Float[Tensor, "n 3"],
) -> Float[Tensor, "*batch n c"]:
    """Interpolate what vertices hold (positions, colours, weights) at points of triangles."""
    return (values[..., faces[face_ids], :] * barycentric[..., None]).sum(-2)
