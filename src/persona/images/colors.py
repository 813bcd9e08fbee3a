"""Take sRGB to linear light and back, and say how bright it is."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

LUMINANCE: Final = (0.2126729, 0.7151522, 0.0721750)
"""Share of linear red, green and blue in the luminance of sRGB (IEC 61966-2-1)."""


def to_linear(srgb: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Undo the curve of sRGB: what is proportional to light, in [0, 1]."""
    curved = ((srgb.clamp(min=0) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, curved)


def from_linear(linear: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Put the curve of sRGB back on; what is brighter than white becomes white."""
    linear = linear.clamp(0, 1)
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curved)


def luminance(linear: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
    """Give how bright linear colours look."""
    return linear @ torch.tensor(LUMINANCE).to(linear)
