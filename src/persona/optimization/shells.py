"""Closed surfaces beside the body, made of two sheets over a region of the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from scipy import ndimage

from persona.geometry.cameras import Camera


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A closed surface beside the body, in the photo's pose."""

    vertices: np.ndarray
    """Camera frame [m], (n, 3)."""
    faces: np.ndarray
    """Triangles, outward, (f, 3)."""
    weights: np.ndarray
    """Skinning shares, (n, 55)."""
    is_hair: bool
    """Hair or hat, else a web or a tube."""
    is_tube: bool = False
    """A skirt, or what hangs of a dress or coat: open at both ends, one layer of cloth."""


@dataclass(frozen=True, kw_only=True)
class BodyLayers:
    """What the dressed body mesh looks like through the photo's camera."""

    covered: np.ndarray
    """Whether the mesh covers a pixel, bool (h, w)."""
    front: np.ndarray
    """Depth of the nearest surface [m]; infinite where nothing is."""
    on_head: np.ndarray
    """Whether that surface belongs to the head, bool (h, w)."""
    on_trunk: np.ndarray
    """Whether it belongs to neck or torso, bool (h, w)."""
    hidden_hand: np.ndarray
    """Depth of hands inside sleeves [m]; infinite where there are none."""
    head_back: np.ndarray
    """Depth of head's, neck's and torso's far side [m]; minus infinite where there is none."""
    head_points: np.ndarray
    """Vertices of the head [m], (k, 3)."""
    averted_cheek: np.ndarray
    """Which of them belong to the half of a face that is turned away, bool (k,)."""


def inflate(region: np.ndarray) -> np.ndarray:
    """Solve ``laplace h = -4`` with h = 0 outside; on a disc of radius r, ``sqrt(h)`` is a ball."""
    ids = np.full(region.shape, -1)
    count = int(region.sum())
    ids[region] = np.arange(count)
    height = np.zeros(region.shape)
    if count == 0:
        return height
    padded = np.pad(ids, 1, constant_values=-1)
    rows, columns = np.where(region)
    here = ids[region]
    entries = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = padded[rows + 1 + down, columns + 1 + right]
        inside = beside >= 0
        entries.append(np.stack([here[inside], beside[inside]]))
    pairs = np.concatenate(entries, 1)
    neighbors = sp.csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), (count, count))
    system = (4.0 * sp.eye(count) - neighbors).tocsc()
    height[region] = spla.spsolve(system, np.full(count, 4.0))
    return np.maximum(height, 0)


def spread(values: np.ndarray, known: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Continue known values smoothly over a region by repeated averaging of neighbours."""
    if not known.any():
        known = np.isfinite(values)
    rows, columns = ndimage.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    filled = np.where(np.isfinite(values), values, 0)[rows, columns]
    free = region & ~known
    for _ in range(60):
        blurred = cv2.blur(filled, (3, 3))
        filled = np.where(free, blurred, filled)
    return filled


def smooth(values: np.ndarray, region: np.ndarray, sigma: float) -> np.ndarray:
    """Blur inside a region without looking outside."""
    weight = cv2.GaussianBlur(region.astype(np.float64), (0, 0), sigma)
    total = cv2.GaussianBlur(np.where(region, values, 0), (0, 0), sigma)
    return np.where(region, total / np.maximum(weight, 1e-6), values)


def sheet(
    region: np.ndarray, depth: np.ndarray, camera: Camera, *, flip: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangulate the pixels of a region at their depths; vertices, faces and pixel of each."""
    ids = np.full(region.shape, -1)
    rows, columns = np.where(region)
    ids[region] = np.arange(len(rows))
    z = depth[rows, columns]
    center = camera.center_px
    x = (columns + 0.5 - center[0]) * z / camera.focal_px
    y = (rows + 0.5 - center[1]) * z / camera.focal_px
    a, b, c, d = ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:]
    first = np.stack([a, c, b], -1)[(a >= 0) & (b >= 0) & (c >= 0)]
    second = np.stack([b, c, d], -1)[(b >= 0) & (c >= 0) & (d >= 0)]
    faces = np.concatenate([first, second])
    # Seen from the camera (y down) this order turns the normal towards it.
    if flip:
        faces = faces[:, ::-1]
    return np.stack([x, y, z], 1), faces, np.stack([columns, rows], 1)


def join(
    first: tuple[np.ndarray, np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    shape: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put two sheets into one mesh and close the slit between them along their common outline.

    A ball's picture is as steep at its edge as it can be: between the last pixel's front and back
    lie centimetres, and from the side they would gape.
    """
    offset = len(first[0])
    vertices = np.concatenate([first[0], second[0]])
    ids = np.full((2, *shape), -1)
    ids[0][first[2][:, 1], first[2][:, 0]] = np.arange(offset)
    ids[1][second[2][:, 1], second[2][:, 0]] = offset + np.arange(len(second[0]))
    inside = np.pad((ids >= 0).all(0), 1)
    either = np.pad((ids >= 0).any(0), 1)
    rows, columns = np.where(inside)
    walls = []
    for (along_row, along_column), (out_row, out_column) in _EDGES:
        beside = inside[rows + along_row, columns + along_column]
        open_here = ~either[rows + out_row, columns + out_column]
        open_there = ~either[rows + along_row + out_row, columns + along_column + out_column]
        edge = beside & open_here & open_there
        r, c = rows[edge] - 1, columns[edge] - 1
        a, b = ids[0][r, c], ids[0][r + along_row, c + along_column]
        d, e = ids[1][r, c], ids[1][r + along_row, c + along_column]
        walls += [np.stack([a, b, d], 1), np.stack([b, e, d], 1)]
    faces = np.concatenate([first[1], second[1] + offset, *walls])
    return vertices, faces, np.concatenate([first[2], second[2]])


_EDGES = (
    ((0, 1), (-1, 0)),
    ((0, -1), (1, 0)),
    ((-1, 0), (0, -1)),
    ((1, 0), (0, 1)),
)
"""Steps (row, column) along an outline and out of it, so that walls face outwards."""
