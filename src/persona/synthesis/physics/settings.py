"""What cloth is made of, and how it is let move."""

from dataclasses import dataclass, field
from typing import Final

from persona.core.errors import InputError
from persona.kernels import ClothRules
from persona.records.garment import Stiffness


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """A cloth, whatever its mesh."""

    density: float
    """Mass of a square metre [kg/m^2]."""
    bending: float
    """Rigidity [N m]: the moment that a metre of cloth needs for a curvature of 1/m."""


FABRICS: Final[dict[Stiffness, Fabric]] = {
    Stiffness.SOFT: Fabric(density=0.12, bending=4e-6),
    Stiffness.MEDIUM: Fabric(density=0.20, bending=1.5e-5),
    Stiffness.STIFF: Fabric(density=0.40, bending=8e-5),
}
"""Rounded from the range that textile tables give for silk and jersey, shirting, and denim."""


@dataclass(frozen=True, kw_only=True)
class ClothSettings:
    """How garments are simulated.

    Raises:
        InputError: A number is negative or not finite.
    """

    rules: ClothRules = field(default_factory=ClothRules)
    """Substeps, limits, friction and damping."""
    hold: float = 2.0
    """Pull of the body on a vertex whose attachment is one half [N/m]; it grows to infinity at an
    attachment of one. A vertex of a fine mesh weighs 0.0002 N."""
    drape_seconds: float = 1.5
    """Time in which garments settle on the first pose [s]."""
    drape_drag: float = 8.0
    """Drag while they settle [1/s]: they arrive sooner and swing less."""

    def __post_init__(self) -> None:
        for name in ("hold", "drape_seconds", "drape_drag"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise InputError(
                    f"{name} of the cloth settings is {value}",
                    why="it is finite and not negative",
                    fix="leave it at its default",
                )
