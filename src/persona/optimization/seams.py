"""Seams: where one surface hides another in the photo, and pixels cannot be told apart."""

from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.core.types import Mask

EDGE: Final = 0.02
"""Change of the canonical position from one pixel to the next that is a seam [m]; METHOD.md D."""
EDGE_PIXELS: Final = 3.0
"""... and at least so many times what a surface that faces the camera changes: in a small picture
every pixel is wide [-]."""
REACH: Final = 0.015
"""How far a seam reaches, share of the person's size; METHOD.md D."""
FACE_REACH: Final = 0.06
"""The same in the face's patch, share of its size; METHOD.md D."""


def find_seams(
    canonical: Float[Tensor, "h w 3"],
    alpha: Mask,
    mask: Mask,
    *,
    pixel_m: float,
    reach: float = REACH,
    spared: Bool[Tensor, "h w"] | None = None,
) -> Bool[Tensor, "h w"]:
    """Find the pixels near a border where a surface ends before another one.

    There the fit may be a few pixels off, and what is behind takes the colour of what is in front:
    the ghost of an arm on the belly. The canonical position, drawn as a colour, jumps at such
    borders and nowhere else; the person's own outline is none.

    Args:
        canonical: Rest position of what each pixel shows [m], premultiplied by ``alpha``.
        alpha: Coverage by what was drawn.
        mask: The person.
        pixel_m: Size of a pixel at the person [m].
        reach: How far a seam reaches, share of the person's size.
        spared: Where no seam begins: inside the face, whose folds are no borders.
    """
    solid = alpha.cpu().numpy() > 0.5
    place = canonical.cpu().numpy() / np.maximum(alpha.cpu().numpy(), 0.5)[..., None]
    # Sobel's weights sum to 8: divided by that, it is the change from one pixel to the next.
    steps = [cv2.Sobel(place, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))]
    change = np.sqrt(sum(np.square(step).sum(-1) for step in steps))
    inner = cv2.erode(solid.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    edge = inner & (change > max(EDGE, EDGE_PIXELS * pixel_m))
    if spared is not None:
        edge &= ~spared.cpu().numpy()
    radius = max(1, round(reach * person_size(mask)))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    near = cv2.dilate(edge.astype(np.uint8), window) > 0
    return torch.from_numpy(near).to(mask.device) & (mask > 0.5)


def person_size(mask: Mask) -> int:
    """Give the longer side of the box around the person [px]."""
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    return int(max(rows.max() - rows.min(), columns.max() - columns.min())) + 1
