"""Cut a triangle mesh along the zero of a field, with a straight clean edge and no slivers."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

SNAP = 0.25
"""Vertices nearer to the cut than this share of an edge move onto it [-]."""


def cut(
    values: Float[ndarray, "n c"], faces: Int[ndarray, "f 3"], field: Float[ndarray, " n"]
) -> tuple[Float[ndarray, "m c"], Int[ndarray, "g 3"], Float[ndarray, " m"]]:
    """Keep where a field is positive; triangles across the border are cut in it.

    A vertex that lies near the border is moved onto it first, along the edge that crosses there:
    every piece that stays keeps at least a quarter of its edges' length, and the border is where
    the field says, exactly.

    Args:
        values: What vertices hold (positions, weights, anything linear), side by side.
        faces: Triangles.
        field: Positive inside.

    Returns:
        Values, faces and field of what is left; the field is 0 on the new border.
    """
    values, field = _snapped(values, faces, field)
    positive, zero = field > 0, field == 0
    keep = positive | zero
    whole = keep[faces].all(1) & positive[faces].any(1)
    crossing = positive[faces].any(1) & ~keep[faces].all(1)
    new_values, new_faces = _split(values, faces[crossing], field)
    joined = np.concatenate([faces[whole], new_faces])
    everything = np.concatenate([values, new_values])
    rim = np.concatenate([field, np.zeros(len(new_values))])
    used, renumbered = np.unique(joined, return_inverse=True)
    return everything[used], renumbered.reshape(-1, 3), rim[used]


def _snapped(
    values: Float[ndarray, "n c"], faces: Int[ndarray, "f 3"], field: Float[ndarray, " n"]
) -> tuple[Float[ndarray, "n c"], Float[ndarray, " n"]]:
    """Move vertices near the border onto it, each along its nearest crossing edge."""
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    edges = edges[field[edges[:, 0]] * field[edges[:, 1]] < 0]
    both = np.concatenate([edges, edges[:, ::-1]])
    share = np.abs(field[both[:, 0]]) / np.abs(field[both[:, 0]] - field[both[:, 1]])
    order = np.argsort(-share, kind="stable")  # the nearest is written last and stays
    both, share = both[order], share[order]
    near = share < SNAP
    place = np.full(len(field), -1)
    place[both[near, 0]] = np.flatnonzero(near)
    moved = np.flatnonzero(place >= 0)
    edge = place[moved]
    values, field = values.copy(), field.copy()
    start, end, t = both[edge, 0], both[edge, 1], share[edge][:, None]
    values[moved] = values[start] * (1 - t) + values[end] * t
    field[moved] = 0
    return values, field


def _split(
    values: Float[ndarray, "n c"], faces: Int[ndarray, "f 3"], field: Float[ndarray, " n"]
) -> tuple[Float[ndarray, "m c"], Int[ndarray, "g 3"]]:
    """Cut triangles with corners on both sides; new vertices are numbered after the old."""
    sign = np.sign(field[faces]).astype(int)
    made: dict[tuple[int, int], int] = {}
    rows: list[np.ndarray] = []
    pieces: list[tuple[int, int, int]] = []

    def between(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in made:
            low, high = key
            t = field[low] / (field[low] - field[high])
            made[key] = len(values) + len(rows)
            rows.append(values[low] * (1 - t) + values[high] * t)
        return made[key]

    for corners, signs in zip(faces.tolist(), sign.tolist(), strict=True):
        polygon: list[int] = []
        for k in range(3):
            here, ahead = corners[k], corners[(k + 1) % 3]
            if signs[k] >= 0:
                polygon.append(here)
            if signs[k] * signs[(k + 1) % 3] < 0:
                polygon.append(between(here, ahead))
        pieces += [(polygon[0], polygon[k], polygon[k + 1]) for k in range(1, len(polygon) - 1)]
    new_values = np.array(rows).reshape(-1, values.shape[1])
    return new_values, np.array(pieces, np.int64).reshape(-1, 3)
