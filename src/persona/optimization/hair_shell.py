"""Hair and hats as a surface of their own, with depth."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from persona.geometry.cameras import Camera
from persona.optimization.hats import Hat
from persona.optimization.shells import (
    BodyLayers,
    Shell,
    grow_depth,
    harmonic,
    inscribed_balls,
    join,
    sheet,
    smooth,
    spread,
)

HAIR_MARGIN = 0.004
"""Hair lies at least this far in front of the skin it covers [m]."""
HAIR_CLIFF = 0.025
"""... and at most this far, so that a fringe is no shelf [m]."""
TAPER = 0.03
"""Above the hairline hair grows to its full thickness over this length [m]."""
THICKEST = 0.06
"""Hair lies on the skull up to this thickness; what stands off farther is a ball [m]."""
ROUNDNESS = 1.0
"""Depth over width of what stands off the skull: buns, tails, hair that hangs down [-]."""
CURTAIN = 0.03
"""Half the thickness of hair that hangs beside the neck [m]."""
VEIL = 0.02
"""A lock before an averted cheek lies on it within this distance; farther off it is a quiff [m]."""
HANGS = 0.015
"""Hair that is seen so far below the nape's hairline, over a square so wide, hangs down [m]."""
MIN_HAIR_SHARE = 0.12
"""Below this share of the head's picture we see a bald head, not hair."""


def hair_shell(
    mask: np.ndarray,
    hair: np.ndarray,
    layers: BodyLayers,
    *,
    camera: Camera,
    head_depth: float,
    chin_row: float,
    shoulder_row: float,
    hat: Hat | None = None,
) -> Shell | None:
    """Lay hair on the skull, as thick as its outline shows, and round off what stands farther off.

    How far the outline lies from the skull says how thick hair is there; between the outlines, and
    behind, its thickness is what they say together (a harmonic function). Buns, tails and hair that
    hangs down are as deep as they are wide. The back covers the whole head: whoever has hair in
    front has hair behind. Only a face that is turned away stays free, and the nape below short
    hair.

    Args:
        mask: Person, bool (h, w).
        hair: Pixels that show hair or a hat, bool (h, w).
        layers: The body without hair.
        camera: Camera of the picture.
        head_depth: Depth of the head's middle [m].
        chin_row: Row of the chin [px]; hair follows the head above it.
        shoulder_row: Row where hair has come to rest on the body [px].
        hat: A hat with a brim, which is as deep as it is wide.

    Returns:
        None for a bald head.
    """
    hair = hair & mask
    head = layers.on_head & mask
    if hair.sum() < MIN_HAIR_SHARE * max(1, head.sum()):
        return None
    blob = _largest(ndimage.binary_fill_holes(head | hair))
    blob |= _nape(blob, hair, mask, chin_row=chin_row, shoulder_row=shoulder_row)
    rows = np.arange(mask.shape[0])[:, None]
    below = np.clip((rows - chin_row) / max(4.0, shoulder_row - chin_row), 0, 1)
    front, back = _surfaces(blob, hair, head, layers, head_depth, camera, below, hat)
    behind = blob & (~layers.covered | layers.on_head | layers.on_trunk)
    sheet_front = sheet(blob & ndimage.binary_dilation(hair, iterations=1), front, camera)
    sheet_back = sheet(behind, back, camera, flip=True)
    vertices, faces, at = join(sheet_front, sheet_back, mask.shape)
    away, nearest = cKDTree(layers.head_points).query(vertices)
    on_skin = layers.covered[at[:, 1], at[:, 0]]
    on_skin[len(sheet_front[0]) :] = False
    lies_on = on_skin & (away < VEIL)
    veils = layers.averted_cheek[nearest] & ~on_skin | layers.bare_cheek[nearest] & lies_on
    if not _hangs(hair & blob, layers, camera, head_depth):
        veils |= (vertices @ layers.nape[:3] + layers.nape[3] < 0) & ~on_skin
    faces = faces[~veils[faces].any(1)]
    weights = np.zeros((len(vertices), 55))
    share = np.broadcast_to(below, mask.shape)[at[:, 1], at[:, 0]]
    weights[:, 15] = 1 - share
    weights[:, 9] = share
    return Shell(vertices=vertices, faces=faces, weights=weights, is_hair=True)


def _surfaces(
    blob: np.ndarray,
    hair: np.ndarray,
    head: np.ndarray,
    layers: BodyLayers,
    head_depth: float,
    camera: Camera,
    below: np.ndarray,
    hat: Hat | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find how deep front and back of the hair lie at every pixel [m]; ``below`` the chin it hangs.

    Both lie on the skull as thick as the outline tells; from the hairline on thickness grows.
    """
    pixel = head_depth / camera.focal_px
    thickness = ROUNDNESS * pixel * inscribed_balls(blob)
    on_hat = np.zeros_like(blob)
    if hat is not None:
        on_hat = hat.mask
        thickness = np.where(hat.radius[:, None] > 0, hat.thickness() * pixel, thickness)
    middle = _middle_depth(layers, head, blob, head_depth)
    skin = np.where(np.isfinite(layers.front) & layers.covered, layers.front, middle)
    lies = np.minimum(outline_thickness(blob, head, hair & (below <= 0)) * pixel, THICKEST)
    bare = ndimage.distance_transform_edt(~(head & ~hair)) * pixel
    before = HAIR_MARGIN + np.maximum(lies - HAIR_MARGIN, 0) * np.clip(bare / TAPER, 0, 1)
    front = np.minimum(middle - thickness, -grow_depth(-layers.front, before, head, pixel))
    shelf = skin - np.minimum(before, HAIR_CLIFF)
    front = np.where(layers.covered & ~on_hat, np.maximum(front, shelf), front)
    front = np.minimum(front, skin - HAIR_MARGIN)
    # Beside the neck hair is a curtain, not a ball; over the torso it lies on it.
    curtain = np.minimum(thickness, CURTAIN)
    thickness = thickness + (curtain - thickness) * np.clip(2 * below, 0, 1)
    back = _behind(middle + thickness, grow_depth(layers.head_back, lies, head, pixel), head, pixel)
    back = np.maximum(back, layers.head_back + HAIR_MARGIN)
    return (
        smooth(np.where(blob, front, middle), blob, 1.5),
        smooth(np.where(blob, back, middle), blob, 1.0),
    )


def _behind(rounded: np.ndarray, lies: np.ndarray, head: np.ndarray, pixel: float) -> np.ndarray:
    """Join what lies on the skull with what stands off beside it.

    Within the skull's picture the first alone counts, or whoever has a broad face would have a
    deep head behind it.
    """
    inside = ndimage.distance_transform_edt(head) * pixel
    aside = np.clip(1 - inside / TAPER, 0, 1)
    lies = np.where(np.isfinite(lies), lies, rounded)
    return lies + aside * np.maximum(rounded - lies, 0)


def _hangs(hair: np.ndarray, layers: BodyLayers, camera: Camera, head_depth: float) -> bool:
    """Tell whether hair comes down farther than short hair does, on either side."""
    rows, columns = np.where(hair)
    pixel = head_depth / camera.focal_px
    flat = (np.stack([columns, rows], 1) + 0.5 - np.array(camera.center_px)) * pixel
    points = np.concatenate([flat, np.full((len(rows), 1), head_depth)], 1)
    low = points @ layers.nape[:3] + layers.nape[3] < -HANGS
    return bool(low.sum() * pixel**2 > HANGS**2)


def outline_thickness(blob: np.ndarray, head: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """Say at every pixel how thick hair lies on the skull, from how far its outline stands off.

    Args:
        blob: Head and hair, bool (h, w).
        head: The naked head, bool (h, w).
        hair: Hair above the chin, bool (h, w): its outline alone tells. Below it hair hangs free.

    Returns:
        Thickness [px], (h, w), zero outside the blob.
    """
    outline = blob & ~ndimage.binary_erosion(blob) & hair
    if not outline.any() or not head.any():
        return np.zeros(blob.shape)
    away = ndimage.distance_transform_edt(~head)
    return harmonic(np.where(outline, away, 0.0), outline, blob)


def _middle_depth(
    layers: BodyLayers, head: np.ndarray, blob: np.ndarray, head_depth: float
) -> np.ndarray:
    """Find the depth midway through the head at every pixel, continued beyond its outline.

    A head that is bent forward is outlined by places that lie behind or before its middle; front
    and back of the hair must meet there, or the crown gapes from the side.
    """
    known = head & np.isfinite(layers.front) & np.isfinite(layers.head_back)
    if not known.any():
        return np.full(head.shape, head_depth)
    between = np.full(head.shape, head_depth)
    between[known] = (layers.front[known] + layers.head_back[known]) / 2
    return smooth(spread(between, known, blob), blob, 2.0)


def _nape(
    blob: np.ndarray, hair: np.ndarray, mask: np.ndarray, *, chin_row: float, shoulder_row: float
) -> np.ndarray:
    """Find where long hair also covers the neck's back: between its strands on both sides.

    Hair that comes down on both sides of a neck comes down behind it, as far as the shorter side.
    Hair on one side still covers the nape.
    """
    rows, columns = np.where(hair & blob)
    below = rows > chin_row
    filled = np.zeros_like(blob)
    if below.sum() < 10:
        return filled
    middle = columns[~below].mean() if (~below).any() else columns.mean()
    for row in np.unique(rows[below]):
        here = columns[rows == row]
        both = here.min() < middle < here.max()
        if both or row < (2 * chin_row + shoulder_row) / 3:
            low, high = min(here.min(), int(middle)), max(here.max(), int(middle))
            filled[row, low : high + 1] = True
    return filled & mask


def _largest(region: np.ndarray) -> np.ndarray:
    """Keep the biggest connected piece."""
    labels, count = ndimage.label(region)
    if count < 2:
        return region
    return labels == 1 + np.argmax(ndimage.sum(region, labels, range(1, count + 1)))
