"""Hats with a brim: told from hair by their colour, and as deep as they are wide."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

ASIDE = 0.12
"""A brim stands out on both sides of the head by at least this much [head widths]."""
WIDER = 1.3
"""... and is at least this wide in all [head widths]."""
CONTRAST = 0.2
"""Least distance between the colours of a hat and of the hair under it [sRGB]."""
MIN_PIXELS = 25
"""Pixels from which a colour is read."""


@dataclass(frozen=True, kw_only=True)
class Hat:
    """A hat in the picture."""

    mask: np.ndarray
    """Its pixels, bool (h, w)."""
    radius: np.ndarray
    """Half its width in each row [px], (h,); 0 beside it."""
    center: np.ndarray
    """Column of its middle in each row [px], (h,)."""

    def thickness(self) -> np.ndarray:
        """Half its depth at every pixel, as wide as deep in every row [px], (h, w)."""
        columns = np.arange(self.mask.shape[1]) + 0.5
        aside = columns[None] - self.center[:, None]
        return np.sqrt(np.maximum(self.radius[:, None] ** 2 - aside**2, 0))


def find_hat(image: np.ndarray, hair: np.ndarray, head: np.ndarray) -> Hat | None:
    """Find a hat with a brim among the pixels that pass for hair.

    What stands out on both sides of the head is compared with what lies over the forehead. Where
    both have one colour it is hair, however wide.

    Args:
        image: Colours, sRGB in [0, 1], (h, w, 3).
        hair: Pixels that show hair or a hat, bool (h, w).
        head: Pixels of the naked head, bool (h, w).

    Returns:
        None without a brim, or where no hair shows under it.
    """
    rows, columns = np.where(head)
    if len(rows) < MIN_PIXELS:
        return None
    left, right = np.percentile(columns, (2, 98))
    width, middle = right - left, (rows.min() + rows.max()) / 2
    grid_rows, grid_columns = np.indices(hair.shape)
    upper = hair & (grid_rows < middle)
    sides = (
        upper & (grid_columns < left - ASIDE * width),
        upper & (grid_columns > right + ASIDE * width),
    )
    under = hair & head & (ndimage.distance_transform_edt(~(head & ~hair)) < 0.1 * width)
    if min(side.sum() for side in (*sides, under)) < MIN_PIXELS:
        return None
    brim_color = np.median(image[sides[0] | sides[1]], 0)
    hair_color = np.median(image[under], 0)
    if np.abs(brim_color - hair_color).max() < CONTRAST:
        return None
    to_brim, to_hair = (np.abs(image - c).max(-1) for c in (brim_color, hair_color))
    hat = _largest(hair & (to_brim < to_hair) & (grid_rows < rows.max()))
    extents = np.where(hat.any(0))[0]
    if np.ptp(extents) < WIDER * width:
        return None
    radius, center = np.zeros(hair.shape[0]), np.zeros(hair.shape[0])
    for row in np.where(hat.any(1))[0]:
        here = np.where(hat[row])[0]
        radius[row] = (np.ptp(here) + 1) / 2
        center[row] = (here.min() + here.max() + 1) / 2
    return Hat(mask=hat, radius=radius, center=center)


def _largest(region: np.ndarray) -> np.ndarray:
    """Clear a region of specks and keep its biggest piece."""
    opened = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return region & False
    return pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
