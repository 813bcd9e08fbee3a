"""What holds together in a triangle mesh: open edges, and the one piece that is a garment."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray


def areas(vertices: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, " f"]:
    """Give the area of every triangle [m^2]."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def open_edges(faces: Int[ndarray, "f 3"]) -> Int[ndarray, "e 2"]:
    """List the directed edges that belong to one triangle only."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, where, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return edges[count[where.ravel()] == 1]


def whole_piece(
    values: Float[ndarray, "n c"], faces: Int[ndarray, "f 3"]
) -> tuple[Float[ndarray, "m c"], Int[ndarray, "g 3"]]:
    """Keep the biggest piece that hangs together by edges, and give it rims that close to loops.

    A cut may leave scraps, and triangles that touch the rest in a single corner: cloth that
    hangs by a point would tear. Where the piece touches itself in a corner, the corner is doubled.
    """
    if not len(faces):
        return values, faces
    faces = faces[_biggest(faces)]
    values, faces = _unpinched(values, faces)
    used, renumbered = np.unique(faces, return_inverse=True)
    return values[used], renumbered.reshape(-1, 3)


def _biggest(faces: Int[ndarray, "f 3"]) -> ndarray:
    """Mark the faces of the piece with most of them, over shared edges."""
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, edge = np.unique(sides, axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(faces)), 3)
    count = int(edge.max()) + 1
    graph = sp.coo_array((np.ones(len(edge)), (owner, edge.ravel())), (len(faces), count)).tocsr()
    _, piece = sp.csgraph.connected_components(graph @ graph.T, directed=False)
    return piece == np.bincount(piece).argmax()


def _unpinched(
    values: Float[ndarray, "n c"], faces: Int[ndarray, "f 3"]
) -> tuple[Float[ndarray, "m c"], Int[ndarray, "f 3"]]:
    """Double every vertex at which several fans of triangles touch."""
    starts, counts = np.unique(open_edges(faces)[:, 0], return_counts=True)
    faces, added = faces.copy(), []
    for vertex in starts[counts > 1]:
        around = np.flatnonzero((faces == vertex).any(1))
        fans = _fans(faces[around], int(vertex))
        for fan in range(1, int(fans.max()) + 1):
            chosen = around[fans == fan]
            faces[chosen] = np.where(
                faces[chosen] == vertex, len(values) + len(added), faces[chosen]
            )
            added.append(values[vertex])
    return np.concatenate([values, np.array(added).reshape(-1, values.shape[1])]), faces


def _fans(faces: Int[ndarray, "k 3"], vertex: int) -> Int[ndarray, " k"]:
    """Number the groups of triangles around a vertex that share edges at it."""
    others = [{int(corner) for corner in face} - {vertex} for face in faces]
    touching = [[bool(one & other) for other in others] for one in others]
    return sp.csgraph.connected_components(sp.csr_array(np.array(touching)), directed=False)[1]
