"""Real spherical harmonics to second order: nine numbers for a smooth function of direction.

Order of the nine: degree 0; degree 1 along y, z, x; degree 2 as xy, yz, 3z^2 - 1, xz, x^2 - y^2.
They are orthonormal over the sphere.
"""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Image

COUNT: Final = 9
"""Functions of degree 0, 1 and 2."""
DEGREES: Final = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""Degree of each."""
COSINE_GAINS: Final = (1.0, 2.0 / 3.0, 0.25)
"""What a matt surface keeps of light of each degree: the clamped cosine over pi, section 3.2 of
Ramamoorthi and Hanrahan. Degree 3 has none, all above it less than 4 % of the whole."""

_CONSTANT: Final = 0.5 / math.sqrt(math.pi)
_LINEAR: Final = math.sqrt(3.0 / (4.0 * math.pi))
_CROSS: Final = 0.5 * math.sqrt(15.0 / math.pi)
_AXIAL: Final = 0.25 * math.sqrt(5.0 / math.pi)


def evaluate_harmonics(directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 9"]:
    """Evaluate the nine functions.

    Args:
        directions: Unit vectors, in the frame of the coefficients.
    """
    x, y, z = directions.unbind(-1)
    return torch.stack(
        [
            torch.full_like(x, _CONSTANT),
            _LINEAR * y,
            _LINEAR * z,
            _LINEAR * x,
            _CROSS * x * y,
            _CROSS * y * z,
            _AXIAL * (3 * z * z - 1),
            _CROSS * x * z,
            _CROSS / 2 * (x * x - y * y),
        ],
        -1,
    )


def directions_of_panorama(height: int, width: int) -> Float[Tensor, "h w 3"]:
    """Give where each pixel of an equirectangular map looks to, as unit vectors in the world.

    The middle of the map is straight ahead of the camera that took the photo (-z), its right half
    is to the right (+x), its upper half is up (+y); the edges meet behind the camera (+z).
    """
    polar = (torch.arange(height) + 0.5) * (math.pi / height)
    around = ((torch.arange(width) + 0.5) / width - 0.5) * (2 * math.pi)
    polar, around = torch.meshgrid(polar, around, indexing="ij")
    ring = polar.sin()
    return torch.stack([ring * around.sin(), polar.cos(), -ring * around.cos()], -1)


def project_panorama(radiance: Image) -> Float[Tensor, "9 3"]:
    """Project an equirectangular map onto the nine functions.

    What is finer than second order is lost; light on matt surfaces is not.

    Args:
        radiance: Linear, of any scale; axes as in `directions_of_panorama`.
    """
    height, width = radiance.shape[:2]
    basis = evaluate_harmonics(directions_of_panorama(height, width).to(radiance))
    edges = torch.linspace(0, math.pi, height + 1, dtype=torch.float64)
    # Each pixel by the solid angle it covers, exactly, so that a constant map is constant.
    areas = (edges[:-1].cos() - edges[1:].cos()) * (2 * math.pi / width)
    return torch.einsum("h,hwk,hwc->kc", areas.to(radiance), basis, radiance)


def project_direction(direction: Float[Tensor, " 3"]) -> Float[Tensor, " 9"]:
    """Project light that comes from one direction and adds up to pi, so that facing it shades 1.

    Args:
        direction: Towards the light, of any length but zero.

    Raises:
        InputError: The direction has no length.
    """
    length = float(direction.norm())
    if not (math.isfinite(length) and length > 0):
        raise InputError(
            f"the direction of a light is {direction.tolist()}",
            why="it needs a length above zero, of any size",
            fix="give where the light stands as seen from the person: 0,1,0 is above",
        )
    return math.pi * evaluate_harmonics(direction / length)


def diffuse(radiance: Float[Tensor, "9 *c"]) -> Float[Tensor, "9 *c"]:
    """Turn light that arrives into what a white matt surface sends on, by its normal.

    References:
        Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps",
        SIGGRAPH 2001.
    """
    gains = torch.tensor([COSINE_GAINS[degree] for degree in DEGREES]).to(radiance)
    return gains.reshape(COUNT, *[1] * (radiance.dim() - 1)) * radiance


def rotate_harmonics(
    coefficients: Float[Tensor, "9 *c"], rotation: Float[Tensor, "3 3"]
) -> Float[Tensor, "9 *c"]:
    """Turn a function of direction: the value it had at d it then has at ``rotation @ d``.

    Exact, because rotations keep each degree to itself: the turned function is read at as many
    directions as it has coefficients, and solved for.
    """
    samples = torch.nn.functional.normalize(torch.tensor(_SAMPLES).to(coefficients), dim=1)
    values = evaluate_harmonics(samples @ rotation.to(samples))
    turn = torch.linalg.solve(evaluate_harmonics(samples), values)
    return torch.einsum("ij,j...->i...", turn, coefficients)


_SAMPLES: Final = (
    (1.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, -1.0, 0.0),
    (0.0, 0.0, 1.0),
    (1.0, 1.0, 0.0),
    (0.0, 1.0, 1.0),
    (1.0, 0.0, 1.0),
    (1.0, 1.0, 1.0),
)
"""Directions whose values determine all nine coefficients."""
