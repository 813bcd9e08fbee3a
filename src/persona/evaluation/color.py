"""Colour differences as people see them: CIE Lab and its distance."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.images.colors import to_linear

_XYZ_OF_RGB = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)
"""D65, the white of sRGB."""


def to_lab(srgb: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Take sRGB to CIE Lab under D65: L in [0, 100], a and b about [-100, 100]."""
    xyz = to_linear(srgb) @ torch.tensor(_XYZ_OF_RGB).to(srgb).T / torch.tensor(_WHITE).to(srgb)
    # CIE 15: the cube root, with a straight line near black.
    root = torch.where(
        xyz > 216 / 24389, xyz.clamp(min=1e-9) ** (1 / 3), (24389 / 27 * xyz + 16) / 116
    )
    x, y, z = root.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def lab_distance(
    first: Float[Tensor, "*n 3"], second: Float[Tensor, "*n 3"]
) -> Float[Tensor, "*n"]:
    """Give the CIE 1976 difference of sRGB colours; 2 is just visible, 10 is another colour."""
    return (to_lab(first) - to_lab(second)).norm(dim=-1)
