"""Grow, shrink, feather and clean masks."""

from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Mask

INSIDE = 0.5
"""Coverage from which a pixel counts as inside."""


def dilate(mask: Mask, radius: float) -> Mask:
    """Grow a soft mask: each pixel takes the largest coverage within ``radius`` [px]."""
    return _morphed(mask, radius, cv2.dilate)


def erode(mask: Mask, radius: float) -> Mask:
    """Shrink a soft mask: each pixel takes the smallest coverage within ``radius`` [px].

    The picture's border does not count as outside: a person who leaves the frame is not eaten
    from there.
    """
    return _morphed(mask, radius, cv2.erode)


def close_gaps(mask: Mask, radius: float) -> Mask:
    """Fill holes and slits narrower than twice ``radius`` [px], keeping the outline."""
    return erode(dilate(mask, radius), radius)


def remove_specks(mask: Mask, radius: float) -> Mask:
    """Remove islands and threads narrower than twice ``radius`` [px], keeping the outline."""
    return dilate(erode(mask, radius), radius)


def feather(mask: Mask, sigma: float) -> Mask:
    """Soften the edge by a Gaussian of ``sigma`` [px]."""
    if sigma <= 0:
        return mask.clone()
    blurred = cv2.GaussianBlur(_array(mask), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(blurred).to(mask)


def band(mask: Mask, *, inner: float, outer: float) -> Mask:
    """Select what lies around the outline: up to ``inner`` px inside it, ``outer`` px outside."""
    return (dilate(mask, outer) - erode(mask, inner)).clamp(0, 1)


def largest_component(mask: Mask, *, threshold: float = INSIDE) -> Mask:
    """Keep the largest connected region and set the rest to zero; diagonals connect.

    Soft pixels that touch the region are kept as they are, so that its edge stays soft. An empty
    mask stays empty.
    """
    core = (_array(mask) >= threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
    if count < 2:
        return torch.zeros_like(mask)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    kept = labels == largest
    # Everything soft that hangs together with it, and with no other region.
    others = (core == 1) & ~kept
    soft = ((_array(mask) > 0) & ~others).astype(np.uint8)
    _, regions = cv2.connectedComponents(soft, connectivity=8)
    wanted = np.unique(regions[kept])
    return mask * torch.from_numpy(np.isin(regions, wanted)).to(mask)


def bounds(mask: Mask, *, threshold: float = INSIDE) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of what is inside [px]; None when nothing is."""
    inside = mask >= threshold
    if not inside.any():
        return None
    columns = torch.nonzero(inside.any(0))
    rows = torch.nonzero(inside.any(1))
    return (
        float(columns[0]),
        float(rows[0]),
        float(columns[-1]) + 1.0,
        float(rows[-1]) + 1.0,
    )


def distance_inside(mask: Mask, *, threshold: float = INSIDE) -> Mask:
    """Return for each pixel how far it is from the nearest pixel outside [px]; outside is zero."""
    inside = (_array(mask) >= threshold).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(distance).to(mask)


def overlap(first: Mask, second: Mask, *, threshold: float = INSIDE) -> float:
    """Return intersection over union of what is inside; 1 when both are empty."""
    a: Bool[Tensor, "h w"] = first >= threshold
    b: Bool[Tensor, "h w"] = second >= threshold
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def _array(mask: Mask) -> np.ndarray:
    return np.ascontiguousarray(mask.detach().cpu().numpy(), dtype=np.float32)


def _morphed(mask: Mask, radius: float, operation: Any) -> Mask:
    """Apply a grey-value operation over a disc."""
    if radius < 0:
        raise InputError(
            f"a radius of {radius} px",
            why="masks grow and shrink by a length",
            fix="use dilate to grow and erode to shrink",
        )
    reach = int(radius)
    if reach < 1:
        return mask.clone()
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = (x * x + y * y <= radius * radius).astype(np.uint8)
    # cv2's default border never wins: lowest for dilation, highest for erosion.
    return torch.from_numpy(operation(_array(mask), disc)).to(mask)
