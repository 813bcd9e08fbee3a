"""Closed surfaces beside the body, made of two sheets over a region of the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from scipy import ndimage

from persona.geometry.cameras import Camera

RIDGE_PX = 0.9
"""A place whose neighbours are not farther from the edge by more is the middle of something: from
one pixel to the next the distance grows by one where it is not."""


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
    far_side: int
    """Sign of x at rest of the half of the face that is turned away, 0 where both show."""
    averted_cheek: np.ndarray
    """Which of them belong to the half of a face that is turned away, bool (k,)."""
    bare_cheek: np.ndarray
    """Which of these are skin on the other half of the face, as the photo shows it, bool (k,)."""
    nape: np.ndarray
    """Plane at which short hair ends: normal along the head's up and offset [m], (4,)."""


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


def inscribed_balls(region: np.ndarray) -> np.ndarray:
    """Round a region off: the union of all balls whose discs lie in it, half its depth [px]."""
    inside = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    ridge = region & (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8)) - RIDGE_PX)
    square = np.zeros(region.shape)
    rows, columns = np.indices(region.shape)
    for row, column in zip(*np.where(ridge), strict=True):
        radius = inside[row, column]
        reach = int(np.ceil(radius))
        window = (
            slice(max(0, row - reach), row + reach + 1),
            slice(max(0, column - reach), column + reach + 1),
        )
        away = (rows[window] - row) ** 2 + (columns[window] - column) ** 2
        np.maximum(square[window], radius**2 - away, out=square[window])
    return np.where(region, np.sqrt(square), 0)


def harmonic(values: np.ndarray, known: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Continue known values over a region with as little bending as can be: Laplace's equation.

    Where a region ends without a known value nothing flows out. Pieces without any are zero.
    """
    result = np.where(known & region, values, 0.0)
    pieces, _ = ndimage.label(region)
    free = region & ~known & np.isin(pieces, np.unique(pieces[known & region]))
    count = int(free.sum())
    if count == 0:
        return result
    ids = np.full(np.array(region.shape) + 2, -1)
    ids[1:-1, 1:-1][free] = np.arange(count)
    padded, held = np.pad(result, 1), np.pad(known & region, 1)
    rows, columns = np.where(free)
    degree, pull, entries = np.zeros(count), np.zeros(count), []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        at = (rows + 1 + down, columns + 1 + right)
        beside, fixed = ids[at] >= 0, held[at]
        degree += beside | fixed
        pull += np.where(fixed, padded[at], 0)
        entries.append(np.stack([np.arange(count)[beside], ids[at][beside]]))
    pairs = np.concatenate(entries, 1)
    neighbors = sp.csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), (count, count))
    result[free] = spla.spsolve((sp.diags(degree) - neighbors).tocsc(), pull)
    return result


def grow_depth(
    depth: np.ndarray, thickness: np.ndarray, region: np.ndarray, pixel: float
) -> np.ndarray:
    """Push a surface seen from behind outwards by balls of a radius that varies over it.

    Args:
        depth: How far back it lies [m], (h, w); not finite where it is not.
        thickness: Radius of the ball at every pixel [m], (h, w).
        region: Where balls sit, bool (h, w).
        pixel: Width of a pixel there [m].

    Returns:
        How far back the balls reach [m], (h, w); minus infinite where none does.
    """
    center = region & np.isfinite(depth)
    grown = np.full(depth.shape, -np.inf)
    if not center.any():
        return grown
    radius = np.where(center, thickness, -1.0)
    start = np.where(center, depth, 0.0)
    reach = int(np.ceil(radius.max() / pixel))
    height, width = depth.shape
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            away = (down * down + right * right) * pixel * pixel
            source = (
                slice(max(0, -down), min(height, height - down)),
                slice(max(0, -right), min(width, width - right)),
            )
            target = (
                slice(max(0, down), min(height, height + down)),
                slice(max(0, right), min(width, width + right)),
            )
            room = radius[source] ** 2 - away
            inside = (room >= 0) & (radius[source] >= 0)
            reached = np.where(inside, start[source] + np.sqrt(np.maximum(room, 0)), -np.inf)
            np.maximum(grown[target], reached, out=grown[target])
    return grown


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
    # Four pixels make two triangles, three make the one that is left of them at an outline.
    corners = ((a, c, b), (b, c, d), (a, c, d), (a, d, b))
    whole = (a >= 0) & (b >= 0) & (c >= 0) & (d >= 0)
    faces = np.concatenate(
        [
            np.stack(corner, -1)[(np.minimum.reduce(corner) >= 0) & (~whole | (number < 2))]
            for number, corner in enumerate(corners)
        ]
    )
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
    pixel_of = [at[:, 1] * shape[1] + at[:, 0] for at in (first[2], second[2])]
    # An edge of the outline is an edge of both sheets, run through in opposite directions.
    mine = _open_edges(pixel_of[0][first[1]])
    other = _open_edges(pixel_of[1][second[1]])
    count = shape[0] * shape[1]
    outline = mine[np.isin(mine[:, 0] * count + mine[:, 1], other[:, 1] * count + other[:, 0])]
    ids = np.full((2, count), -1)
    ids[0][pixel_of[0]] = np.arange(offset)
    ids[1][pixel_of[1]] = offset + np.arange(len(second[0]))
    (a, b), (d, e) = (ids[side][outline].T for side in (0, 1))
    walls = [np.stack([b, a, d], 1), np.stack([b, d, e], 1)]
    faces = np.concatenate([first[1], second[1] + offset, *walls])
    return vertices, faces, np.concatenate([first[2], second[2]])


def _open_edges(faces: np.ndarray) -> np.ndarray:
    """List the edges that have a triangle on one side only, as it runs through them, (e, 2)."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    count = int(edges.max(initial=0)) + 1
    there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    return edges[~np.isin(there, back)]
