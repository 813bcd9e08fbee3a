"""Split the long edges of a mesh in their middles, so that cloth has points where it must bend."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray


def split_long_edges(
    vertices: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], longest: float
) -> tuple[Int[ndarray, "g 3"], sp.csr_array]:
    """Split every edge that is longer than ``longest`` [m]; triangles follow without cracks.

    Returns:
        Finer faces, and the sparse matrix (m, n) that carries positions, weights, anything. Old
        vertices keep their numbers.
    """
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, of_side = np.unique(sides, axis=0, return_inverse=True)
    of_side = of_side.reshape(-1, 3)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    split = np.flatnonzero(length > longest)
    middle = np.full(len(edges), -1)
    middle[split] = len(vertices) + np.arange(len(split))
    pieces = _pieces(faces, middle[of_side])
    rows = np.repeat(np.arange(len(split)), 2)
    halves = sp.csr_array(
        (np.full(2 * len(split), 0.5), (rows, edges[split].ravel())), (len(split), len(vertices))
    )
    return pieces, sp.csr_array(sp.vstack([sp.eye_array(len(vertices)), halves]))


def _pieces(faces: Int[ndarray, "f 3"], middles: Int[ndarray, "f 3"]) -> Int[ndarray, "g 3"]:
    """Cut triangles at the middles of their sides ab, bc, ca; -1 where a side stays whole."""
    count = (middles >= 0).sum(1)
    found = [faces[count == 0]]
    # Turn every triangle so that its lone split side, or its lone whole one, is ab.
    for wanted in (1, 2):
        chosen = count == wanted
        marks = (middles[chosen] >= 0) == (wanted == 1)
        turn = (marks.argmax(1)[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(faces[chosen], turn, 1).T
        ab, bc, ca = np.take_along_axis(middles[chosen], turn, 1).T
        if wanted == 1:
            found += [np.stack([a, ab, c], 1), np.stack([ab, b, c], 1)]
        else:
            found += [np.stack(t, 1) for t in ((c, ca, bc), (a, b, bc), (a, bc, ca))]
    a, b, c = faces[count == 3].T
    ab, bc, ca = middles[count == 3].T
    found += [np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    return np.concatenate(found)
