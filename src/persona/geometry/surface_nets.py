"""Surface nets: the surface where a field on a grid changes its sign, as triangles.

References:
    Gibson, "Constrained elastic surface nets", MICCAI 1998; without its relaxation.
"""

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

CORNERS: Final = np.array(list(product((0, 1), repeat=3)))
"""Of a cell, in grid steps."""
EDGES: Final = [
    (a, b) for a in range(8) for b in range(a) if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1
]
"""Of a cell, as pairs of corners."""


def surface_nets(
    field: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the zero surface of a field; it ends where the field is not known.

    Args:
        field: Values at the points of a grid (x, y, z).
        known: Where they mean something.

    Returns:
        Vertices in grid steps (v, 3), one in each cell that the surface crosses, and triangles
        (f, 3), counter-clockwise seen from where the field is positive.
    """
    inside = field < 0
    cells = tuple(size - 1 for size in field.shape)

    def corner(values: NDArray, offset: NDArray) -> NDArray:
        return values[tuple(slice(o, o + n) for o, n in zip(offset, cells, strict=True))]

    count = np.sum([corner(inside, offset) for offset in CORNERS], 0, dtype=np.int64)
    whole = np.all([corner(known, offset) for offset in CORNERS], 0)
    active = whole & (count > 0) & (count < 8)
    ids = np.full(cells, -1, np.int64)
    ids[active] = np.arange(active.sum())
    values = np.stack([corner(field, offset)[active] for offset in CORNERS], 1)
    total, crossed = np.zeros((len(values), 3)), np.zeros(len(values))
    for a, b in EDGES:
        cut = (values[:, a] < 0) != (values[:, b] < 0)
        share = values[:, a] / np.where(cut, values[:, a] - values[:, b], 1)
        at = CORNERS[a] + share[:, None] * (CORNERS[b] - CORNERS[a])
        total += np.where(cut[:, None], at, 0)
        crossed += cut
    vertices = np.argwhere(active) + total / np.maximum(crossed, 1)[:, None]
    faces = [_across(inside, ids, axis) for axis in range(3)]
    return vertices, np.concatenate(faces)


def _across(inside: NDArray[np.bool_], ids: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Span every grid edge along an axis that the surface cuts, by the four cells around it."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    sides = np.moveaxis(inside, (axis, u, v), (0, 1, 2))[:, 1:-1, 1:-1]
    around = np.moveaxis(ids, (axis, u, v), (0, 1, 2))
    low, high = slice(None, -1), slice(1, None)
    turns = ((low, low), (high, low), (high, high), (low, high))
    quads = np.stack([around[:, a, b] for a, b in turns], -1)
    near, far = sides[:-1], sides[1:]
    cut = (near != far) & (quads >= 0).all(-1)
    rows, leaves = quads[cut], near[cut]
    # Where the edge leaves the inside, the corners go around it as they stand.
    rows = np.where(leaves[:, None], rows, rows[:, ::-1])
    return np.concatenate([rows[:, [0, 1, 2]], rows[:, [0, 2, 3]]])
