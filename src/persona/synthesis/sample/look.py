"""What the sample person is like: everything the seed decides, before anything is drawn."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

HairStyle = Literal["short", "bob", "long"]
"""How the hair falls."""

LowerWear = Literal["trousers", "skirt"]
"""What covers the legs."""

Color = tuple[float, float, float]
"""sRGB in [0, 1]."""

SKINS: tuple[Color, ...] = (
    (0.90, 0.74, 0.65),
    (0.84, 0.65, 0.53),
    (0.72, 0.52, 0.40),
    (0.58, 0.40, 0.30),
    (0.44, 0.29, 0.215),
)
"""Skin colours in plain white light, light to dark."""

HAIRS: tuple[Color, ...] = (
    (0.13, 0.09, 0.07),
    (0.25, 0.16, 0.10),
    (0.38, 0.24, 0.14),
    (0.58, 0.43, 0.26),
)
"""Hair colours, black to fair; dark skin takes the first two."""

EYES: tuple[Color, ...] = ((0.30, 0.19, 0.11), (0.36, 0.42, 0.35), (0.30, 0.42, 0.54))
"""Iris colours: brown, green, blue."""

TOPS: tuple[Color, ...] = (
    (0.16, 0.33, 0.42),
    (0.62, 0.24, 0.20),
    (0.80, 0.62, 0.25),
    (0.33, 0.42, 0.31),
    (0.78, 0.77, 0.73),
    (0.44, 0.33, 0.47),
)
"""Jumper and T-shirt colours."""

BOTTOMS: tuple[Color, ...] = (
    (0.17, 0.21, 0.31),
    (0.24, 0.23, 0.23),
    (0.55, 0.47, 0.36),
    (0.30, 0.37, 0.47),
)
"""Trouser colours: indigo, charcoal, sand, faded denim."""

SHOES: tuple[Color, ...] = ((0.87, 0.86, 0.83), (0.23, 0.20, 0.19), (0.55, 0.28, 0.20))
"""Upper colours of the trainers."""


@dataclass(frozen=True, kw_only=True)
class SampleLook:
    """One invented person."""

    seed: int
    """The number all of this came from."""
    betas: tuple[float, ...]
    """Body shape [standard deviations]."""
    skin: Color
    """Skin in white light."""
    hair: Color
    """Hair."""
    hair_style: HairStyle
    """How the hair falls."""
    eyes: Color
    """Irises."""
    top: Color
    """Jumper or T-shirt."""
    long_sleeves: bool
    """A jumper when true, else a T-shirt."""
    bottom: Color
    """Trousers or skirt."""
    shoes: Color
    """Uppers of the trainers; soles are white."""
    lower: LowerWear = "trousers"
    """Chosen by hand, not by the seed."""


def choose_look(seed: int) -> SampleLook:
    """Invent a person; the same seed gives the same person on every machine."""
    rng = np.random.default_rng(seed)
    skin = int(rng.integers(len(SKINS)))
    hair_count = 2 if skin >= len(SKINS) - 2 else len(HAIRS)
    eye_count = 1 if skin >= len(SKINS) - 2 else len(EYES)
    top = int(rng.integers(len(TOPS)))
    styles: tuple[HairStyle, ...] = ("short", "bob", "long")
    return SampleLook(
        seed=seed,
        # Small steps: the open body's extremes look like caricatures under clothes.
        betas=tuple(float(b) for b in rng.normal(0, 0.6, 10)),
        skin=SKINS[skin],
        hair=HAIRS[int(rng.integers(hair_count))],
        hair_style=styles[int(rng.integers(len(styles)))],
        eyes=EYES[int(rng.integers(eye_count))],
        top=TOPS[top],
        long_sleeves=bool(rng.integers(2)),
        bottom=BOTTOMS[int(rng.integers(len(BOTTOMS)))],
        shoes=SHOES[int(rng.integers(len(SHOES)))],
    )
