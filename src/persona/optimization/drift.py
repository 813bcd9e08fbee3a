"""How far the hue of generated frames is from the photo's, part by part."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

UNTOLD_CONTRAST: Final = 0.05
"""Deviation of a part's colours below which their gain cannot be told from an offset [sRGB]."""


def hue_drift(
    theirs: Float[Tensor, "n 3"],
    ours: Float[Tensor, "n 3"],
    *,
    of_part: Float[Tensor, "n p"],
    own: Float[Tensor, "n p"],
) -> Float[Tensor, "n 3"]:
    """Give what to take from the frames' colours to get what the photo would make of them.

    Where both colours are known, the photo's are a gain and an offset of the frames', part by part
    and channel by channel: hues drift by either. The gain is drawn towards one, where a part has
    too little contrast to tell. Parts of which both are known nowhere do not drift.

    Args:
        theirs: Colours of the frames.
        ours: Of the photo.
        of_part: How much each point with both colours counts among its part's; columns sum to 1, or
            are zero.
        own: 1 for the part that a point is of.
    """
    mean, wanted = of_part.T @ theirs, of_part.T @ ours
    # Without sums of differences: they would be two passes over all points more.
    spread = of_part.T @ theirs.square() - mean.square()
    both = of_part.T @ (theirs * ours) - mean * wanted
    gain = (both + UNTOLD_CONTRAST**2) / (spread + UNTOLD_CONTRAST**2)
    known = (of_part.sum(0) > 0)[:, None]
    gain = torch.where(known, gain, 1.0)
    offset = torch.where(known, wanted - gain * mean, 0.0)
    return (own @ (1 - gain)) * theirs - own @ offset
