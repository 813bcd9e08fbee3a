"""Triangle meshes with what the sample person's painters need at every vertex."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from persona.geometry import meshes


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """One material's triangles."""

    material: str
    """Which painter colours it."""
    vertices: Float[ndarray, "n 3"]
    """Posed positions [m], world frame."""
    rest: Float[ndarray, "n 3"]
    """The same points on the body in T-pose [m], where painters find their way."""
    faces: Int[ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    tangents: Float[ndarray, "n 3"]
    """Direction of a hair or thread, unit; zero where there is none."""
    shade: Float[ndarray, " n"]
    """A free number a painter may use: along a hair, or random per hair."""


def plain_mesh(
    material: str,
    vertices: Float[ndarray, "n 3"],
    rest: Float[ndarray, "n 3"],
    faces: Int[ndarray, "f 3"],
) -> Mesh:
    """Make a mesh without threads; vertices no face uses are dropped."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return Mesh(
        material=material,
        vertices=vertices[used].astype(np.float32),
        rest=rest[used].astype(np.float32),
        faces=renumbered.reshape(-1, 3),
        tangents=np.zeros((len(used), 3), np.float32),
        shade=np.zeros(len(used), np.float32),
    )


def vertex_normals(
    vertices: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]
) -> Float[ndarray, "n 3"]:
    """Average the normals of the faces around each vertex, weighted by area."""
    points = torch.from_numpy(vertices.astype(np.float32))
    return meshes.vertex_normals(points, torch.from_numpy(faces)).numpy()


def neighbor_mean(faces: Int[ndarray, "f 3"], vertex_count: int) -> sp.csr_matrix:
    """Give the matrix that replaces each vertex by the mean of its neighbors."""
    laplacian = meshes.uniform_laplacian(torch.from_numpy(faces), vertex_count)
    return (sp.identity(vertex_count, format="csr") - laplacian).astype(np.float32)


def boundary_edges(faces: Int[ndarray, "f 3"]) -> Int[ndarray, "e 2"]:
    """Give the directed edges that belong to one face only."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    key = np.sort(edges, axis=1)
    _, where, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    return edges[count[where.ravel()] == 1]


def clip(mesh: Mesh, field: Float[ndarray, " n"]) -> Mesh:
    """Cut a mesh along ``field == 0`` and keep what is positive, with straight cut edges."""
    positive = field > 0
    inside = positive[mesh.faces].sum(1)
    pieces = [mesh.faces[inside == 3]]
    cut_edges: list[ndarray] = []
    base = len(mesh.vertices)

    def rotated(faces: ndarray, lead: ndarray) -> ndarray:
        first = lead.argmax(1)[:, None]
        return np.take_along_axis(faces, (first + np.arange(3)) % 3, 1)

    def cut(a: ndarray, b: ndarray) -> ndarray:
        start = base + sum(len(edges) for edges in cut_edges)
        cut_edges.append(np.stack([a, b], 1))
        return start + np.arange(len(a))

    one = mesh.faces[inside == 1]
    one = rotated(one, positive[one])
    pieces.append(np.stack([one[:, 0], cut(one[:, 0], one[:, 1]), cut(one[:, 0], one[:, 2])], 1))
    two = mesh.faces[inside == 2]
    two = rotated(two, ~positive[two])
    left, right = cut(two[:, 1], two[:, 0]), cut(two[:, 2], two[:, 0])
    pieces += [np.stack([two[:, 1], two[:, 2], right], 1), np.stack([two[:, 1], right, left], 1)]

    edges = np.concatenate(cut_edges)
    low, high = edges.min(1), edges.max(1)
    share = (field[low] / (field[low] - field[high]))[:, None].astype(np.float32)

    def extended(values: ndarray) -> ndarray:
        weight = share if values.ndim == 2 else share[:, 0]
        return np.concatenate([values, values[low] * (1 - weight) + values[high] * weight])

    # Both faces of a cut edge make the same new vertex; weld them.
    _, first, back = np.unique(low * base + high, return_index=True, return_inverse=True)
    welded = np.concatenate([np.arange(base), base + first[back.ravel()]])
    faces = welded[np.concatenate(pieces)]
    used, renumbered = np.unique(faces, return_inverse=True)
    return replace(
        mesh,
        vertices=extended(mesh.vertices)[used],
        rest=extended(mesh.rest)[used],
        tangents=extended(mesh.tangents)[used],
        shade=extended(mesh.shade)[used],
        faces=renumbered.reshape(-1, 3),
    )


def with_hem(mesh: Mesh, *, thickness: float) -> Mesh:
    """Turn every open edge inwards by ``thickness`` [m], so that cloth shows its strength."""
    edges = boundary_edges(mesh.faces)
    rim, position = np.unique(edges, return_inverse=True)
    position = position.reshape(-1, 2) + len(mesh.vertices)
    inner = mesh.vertices[rim] - thickness * vertex_normals(mesh.vertices, mesh.faces)[rim]
    a, b = edges.T
    strip = [np.stack([b, a, position[:, 0]], 1), np.stack([b, position[:, 0], position[:, 1]], 1)]
    return replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, inner]),
        rest=np.concatenate([mesh.rest, mesh.rest[rim]]),
        tangents=np.concatenate([mesh.tangents, mesh.tangents[rim]]),
        shade=np.concatenate([mesh.shade, mesh.shade[rim]]),
        faces=np.concatenate([mesh.faces, *strip]),
    )


def midpoint_subdivided(mesh: Mesh) -> Mesh:
    """Split every face in four at its edges' middles."""
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, where = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (where.reshape(-1, 3) + len(mesh.vertices)).T
    a, b, c = mesh.faces.T
    faces = np.concatenate(
        [np.stack(face, 1) for face in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )

    def extended(values: ndarray) -> ndarray:
        return np.concatenate([values, values[unique].mean(1).astype(values.dtype)])

    return replace(
        mesh,
        vertices=extended(mesh.vertices),
        rest=extended(mesh.rest),
        tangents=extended(mesh.tangents),
        shade=extended(mesh.shade),
        faces=faces,
    )
