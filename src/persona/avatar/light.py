"""Light: how bright a white matt surface is by the way it faces, in nine numbers a colour."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.checks import check_finite, check_shape
from persona.core.types import Image
from persona.geometry.harmonics import (
    COUNT,
    diffuse,
    directions_of_panorama,
    evaluate_harmonics,
    project_direction,
    project_panorama,
)
from persona.images.colors import luminance

MIN_SHADE: Final = 0.05
"""Least that any surface is lit; second order swings a little below zero behind a strong light."""
AMBIENT: Final = 0.3
"""Light from everywhere that goes with one from a direction, as a share of that: a bright room."""
MAX_EXPOSURE: Final = 1.5
"""Brightest shade a camera lets pass, so that light skin keeps its colour [-]."""
PROBE_ROWS: Final = 32
"""Rows of directions among which the brightest is found."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """Light that stays in the world while a person turns in it.

    Shadows are by normals only: a surface that faces away is dark, an arm casts nothing on the
    belly.
    """

    coefficients: Float[Tensor, "9 3"]
    """Shade of a white matt surface over its normal in the world frame, as harmonics; linear."""

    def __post_init__(self) -> None:
        check_shape("coefficients", self.coefficients, (COUNT, 3))
        check_finite("coefficients", self.coefficients)

    @classmethod
    def even(cls) -> "Light":
        """Give light that comes from everywhere: every surface shows its albedo."""
        everywhere = torch.zeros(COUNT, 3)
        everywhere[0] = 1 / evaluate_harmonics(torch.tensor([0.0, 0.0, 1.0]))[0]
        return cls(coefficients=everywhere)

    @classmethod
    def from_direction(cls, direction: Float[Tensor, " 3"], *, ambient: float = AMBIENT) -> "Light":
        """Give white light from one direction and a little from everywhere, exposed.

        Args:
            direction: Towards the light, world frame, of any length.
            ambient: Light from everywhere, as a share of the other.

        Raises:
            InputError: The direction has no length.
        """
        direct = diffuse(project_direction(direction))[:, None]
        return cls(coefficients=ambient * cls.even().coefficients + direct).exposed()

    @classmethod
    def from_panorama(cls, radiance: Image) -> "Light":
        """Give the light of an equirectangular map, exposed.

        Args:
            radiance: Linear, of any scale; the middle is what the photo's camera looks towards.
        """
        return cls(coefficients=diffuse(project_panorama(radiance))).exposed()

    def to(self, device: torch.device | str) -> "Light":
        """Give the same light on another device."""
        return Light(coefficients=self.coefficients.to(device))

    def shade(self, normals: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Give how bright white surfaces are.

        Args:
            normals: Unit vectors, world frame.

        Returns:
            Linear, at least `MIN_SHADE`; 1 leaves the albedo as it is.
        """
        values = evaluate_harmonics(normals) @ self.coefficients.to(normals)
        return values.clamp_min(MIN_SHADE)

    def exposed(self) -> "Light":
        """Give the same light as a camera would expose it.

        The mean over all directions becomes 1, unless the brightest would pass `MAX_EXPOSURE`;
        then that becomes the brightest.
        """
        everywhere = directions_of_panorama(PROBE_ROWS, 2 * PROBE_ROWS).reshape(-1, 3)
        mean = luminance(self.coefficients[0] / Light.even().coefficients[0])
        peak = luminance(self.shade(everywhere)).max()
        scale = torch.minimum(1 / mean, MAX_EXPOSURE / peak)
        return Light(coefficients=scale * self.coefficients)
