"""Wardrobe: what one photo tells about the clothes somebody wears, guessed and said how surely."""

import enum
import math
from dataclasses import dataclass

from persona.core.errors import InputError
from persona.records.garment import Stiffness

LONGEST_M = 0.30
"""No cloth is taken to stand farther off the body than this [m]."""
LEVEL_RANGES = {
    "hems": (0.0, 2.4),
    "sleeves": (-0.5, 2.4),
    "waist": (0.0, 3.0),
    "upper_hem": (0.0, 3.0),
    "neck": (-1.0, 1.0),
    "hair": (0.0, 3.0),
    "standoff": (0.0, LONGEST_M),
}
"""Field -> smallest and largest number it may hold, in its own unit."""


class Lower(enum.Enum):
    """What covers hips and legs."""

    TROUSERS = "trousers"
    SHORTS = "shorts"
    """Two legs that end above the middle of the shins."""
    SKIRT = "skirt"
    DRESS = "dress"
    """A skirt that is one piece with what covers the chest."""


class Upper(enum.Enum):
    """What covers the chest."""

    TOP = "top"
    COAT = "coat"
    """A top that hangs below the crotch, around both legs."""
    NONE = "none"
    """A bare chest."""


class Confidence(enum.Enum):
    """How far a guess is to be believed."""

    SURE = "sure"
    LIKELY = "likely"
    GUESSED = "guessed"


class Doubt(enum.Enum):
    """What about a photo makes clothes hard to tell."""

    CLOSED_LEGS = "closed legs"
    """Nothing is seen between the legs, whatever covers them."""
    SIDE_VIEW = "side view"
    BENT = "bent"
    """A knee or the trunk is bent: levels along the limbs are foreshortened."""
    BAG = "bag"
    """Something that is carried may pass for cloth."""
    GRAY = "no colours"
    HIDDEN_LEGS = "hidden legs"
    """Knees or ankles lie outside the picture."""


@dataclass(frozen=True, kw_only=True)
class Standoff:
    """How far cloth stands off the skin, by part of the body; zero where that was not measured."""

    trunk: float = 0.0
    """[m]."""
    arms: float = 0.0
    """[m]."""
    thighs: float = 0.0
    """[m]."""
    shins: float = 0.0
    """[m]."""


@dataclass(frozen=True, kw_only=True)
class Wardrobe:
    """Which clothes somebody wears, and where they end.

    Places on a limb are counted in bones: 0 at hip or shoulder, 1 at knee or elbow, 2 at ankle or
    wrist; beyond 2 the limb is covered to its end. Places on the trunk run from 0 at the shoulders
    to 1 at the hips and go on along the thighs: 1.3 is a third of a thigh below the hips.

    Raises:
        InputError: A place lies where no cloth can end, or the pieces contradict each other.
    """

    lower: Lower
    """What covers the legs. A skirt or dress is one tube around both."""
    upper: Upper
    """What covers the chest. A coat is one tube around both legs, too."""
    one_piece: bool = False
    """Upper and lower garment are one: a dress, an overall."""
    hems: tuple[float, float]
    """Where the lower garment ends on the left and the right leg [bones]."""
    sleeves: tuple[float, float]
    """Where the upper garment ends on the left and the right arm [bones]; below 0 for none."""
    waist: float
    """Where the lower garment is first seen [trunk]."""
    upper_hem: float
    """Where the upper garment ends [trunk]."""
    neck: float = 0.0
    """Neckline: 0 on the line between the shoulders, 1 at the chin, below 0 on the chest."""
    hair: float = 0.0
    """How far hair hangs below the chin [torso lengths]; 0 for hair that ends above it."""
    lower_stiffness: Stiffness = Stiffness.MEDIUM
    """How much the lower garment resists bending."""
    upper_stiffness: Stiffness = Stiffness.MEDIUM
    """How much the upper garment does."""
    standoff: Standoff = Standoff()
    """How far the clothes stand off the body."""
    confidence: Confidence = Confidence.GUESSED
    """How surely the kind of lower garment is known."""
    level_confidence: Confidence = Confidence.GUESSED
    """How surely the places of hems and sleeves are known."""
    doubts: tuple[Doubt, ...] = ()
    """What makes this photo hard."""
    corrected: tuple[str, ...] = ()
    """Fields that somebody who knows has set."""

    def __post_init__(self) -> None:
        for name, (low, high) in LEVEL_RANGES.items():
            for number in _numbers(getattr(self, name)):
                _check_between(name, number, low, high)
        if self.lower is Lower.DRESS and not self.one_piece:
            raise _contradiction("lower is 'dress' and one_piece is false", "one_piece", "true")
        if self.lower is Lower.SKIRT and self.one_piece:
            raise _contradiction("lower is 'skirt' and one_piece is true", "lower", "'dress'")
        if self.one_piece and self.upper is Upper.NONE:
            raise _contradiction("one_piece is true and upper is 'none'", "upper", "'top'")

    @property
    def is_tube(self) -> bool:
        """Whether one tube of cloth is around both legs."""
        return self.lower in (Lower.SKIRT, Lower.DRESS)


def _numbers(value: object) -> tuple[float, ...]:
    if isinstance(value, Standoff):
        return (value.trunk, value.arms, value.thighs, value.shins)
    return value if isinstance(value, tuple) else (value,)  # type: ignore[return-value]


def _check_between(name: str, number: float, low: float, high: float) -> None:
    if not (math.isfinite(number) and low <= number <= high):
        raise InputError(
            f"{name} is {number:g}",
            why=f"it lies between {low:g} and {high:g}",
            fix="look at the drawn lines and count bones from the hip or the shoulder",
        )


def _contradiction(what: str, field: str, value: str) -> InputError:
    return InputError(
        what,
        why="a dress is one piece with what covers the chest, a skirt is not",
        fix=f"set {field} = {value}",
    )
