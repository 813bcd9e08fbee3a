"""Seams: where one surface hides another in the photo, and pixels cannot be told apart."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from scipy import ndimage
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
    solid = alpha > 0.5
    place = (canonical / alpha.clamp(min=0.5)[..., None]).permute(2, 0, 1)
    # Sobel's weights sum to 8: divided by that, it is the change from one pixel to the next.
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    ways = torch.stack([across, across.T])[:, None].to(place)
    steps = torch.nn.functional.conv2d(place[:, None], ways, padding=1)
    change = steps.square().sum((0, 1)).sqrt()
    inner = ~_grown(~solid)
    edge = inner & (change > max(EDGE, EDGE_PIXELS * pixel_m))
    if spared is not None:
        edge &= ~spared
    radius = max(1, round(reach * person_size(mask)))
    if not bool(edge.any()):
        return edge
    away = ndimage.distance_transform_edt(~edge.cpu().numpy())
    return torch.from_numpy(away <= radius).to(mask.device) & (mask > 0.5)


def _grown(area: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Add the eight neighbours of every pixel."""
    return torch.nn.functional.max_pool2d(area[None].float(), 3, 1, 1)[0] > 0


def person_size(mask: Mask) -> int:
    """Give the longer side of the box around the person [px]."""
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    return int(max(rows.max() - rows.min(), columns.max() - columns.min())) + 1
