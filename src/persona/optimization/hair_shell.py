"""Hair and hats as a surface of their own, with depth."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from persona.geometry.cameras import Camera
from persona.optimization.hats import Hat
from persona.optimization.shells import BodyLayers, Shell, inflate, join, sheet, smooth, spread

HAIR_MARGIN = 0.004
"""Hair lies at least this far in front of the skin it covers [m]."""
HAIR_CLIFF = 0.025
"""... and at most this far, so that a fringe is no shelf [m]."""
HEAD_DEPTH_RATIO = 1.15
"""Depth of a head with hair over its width [-]."""
CURTAIN = 0.03
"""Half the thickness of hair that hangs beside the neck [m]."""
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
    """Blow the head's picture up to a rounded volume and cover the hair with its front.

    The thickness solves a Poisson equation on the head's picture (a disc becomes a ball, a bun
    on a head a smaller ball on a bigger one). Its back covers the whole head: whoever has hair in
    front has hair behind. Only a face that is turned away stays free.

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
    pixel = head_depth / camera.focal_px
    thickness = np.sqrt(inflate(blob)) * pixel * HEAD_DEPTH_RATIO
    on_hat = np.zeros_like(mask)
    if hat is not None:
        on_hat = hat.mask
        thickness = np.where(hat.radius[:, None] > 0, hat.thickness() * pixel, thickness)
    middle = _middle_depth(layers, head, blob, head_depth)
    skin = np.where(np.isfinite(layers.front) & layers.covered, layers.front, middle)
    front = np.minimum(middle - thickness, skin - HAIR_MARGIN)
    front = np.where(layers.covered & ~on_hat, np.maximum(front, skin - HAIR_CLIFF), front)
    front = smooth(np.where(blob, front, middle), blob, 1.5)
    rows = np.arange(mask.shape[0])[:, None]
    below = np.clip((rows - chin_row) / max(4.0, shoulder_row - chin_row), 0, 1)
    # Beside the neck hair is a curtain, not a ball; over the torso it lies on it.
    curtain = np.minimum(thickness, CURTAIN)
    thickness = thickness + (curtain - thickness) * np.clip(2 * below, 0, 1)
    back = np.maximum(middle + thickness, layers.head_back + HAIR_MARGIN)
    back = smooth(np.where(blob, back, middle), blob, 1.0)
    behind = blob & (~layers.covered | layers.on_head | layers.on_trunk)
    sheet_front = sheet(blob & ndimage.binary_dilation(hair, iterations=1), front, camera)
    sheet_back = sheet(behind, back, camera, flip=True)
    vertices, faces, at = join(sheet_front, sheet_back, mask.shape)
    nearest = cKDTree(layers.head_points).query(vertices)[1]
    on_skin = layers.covered[at[:, 1], at[:, 0]]
    on_skin[len(sheet_front[0]) :] = False
    veils = layers.averted_cheek[nearest] & ~on_skin
    faces = faces[~veils[faces].any(1)]
    weights = np.zeros((len(vertices), 55))
    share = np.broadcast_to(below, mask.shape)[at[:, 1], at[:, 0]]
    weights[:, 15] = 1 - share
    weights[:, 9] = share
    return Shell(vertices=vertices, faces=faces, weights=weights, is_hair=True)


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
