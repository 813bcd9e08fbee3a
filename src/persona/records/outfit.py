"""Outfit: the garments somebody wears, ready to be simulated."""

from dataclasses import dataclass

from persona.records.garment import Garment


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """All garments of one person, on their own body in T-pose."""

    garments: tuple[Garment, ...] = ()
    """From the skin outwards; none where nothing could be made."""
    warnings: tuple[str, ...] = ()
    """What could not be made, and why."""
