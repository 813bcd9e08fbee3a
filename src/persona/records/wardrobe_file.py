"""The wardrobe as a small commented TOML file that people can read, mend and hand back."""

import dataclasses
import enum
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from persona.core.atomic import write_text
from persona.core.errors import FileFormatError, InputError
from persona.core.plain import from_plain, to_plain
from persona.records.garment import Stiffness
from persona.records.wardrobe import Confidence, Lower, Standoff, Upper, Wardrobe

MAX_BYTES: Final = 1 << 16
"""A larger file is no list of clothes; refused before it is read."""
DECIMALS: Final = 3
"""Of the numbers written: a millimetre, a thousandth of a bone."""


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """What somebody who knows says about the clothes; None leaves the guess as it is."""

    lower: Lower | None = None
    """trousers, shorts, skirt or dress; a skirt or dress is one tube around both legs"""
    upper: Upper | None = None
    """top, coat (a tube around both legs below the hips) or none"""
    one_piece: bool | None = None
    """whether upper and lower garment are one: always for a dress, never for a skirt"""
    hems: tuple[float, float] | None = None
    """ends on the left and right leg: 0 hip, 1 knee, 2 ankle, more covers the shoe's top"""
    sleeves: tuple[float, float] | None = None
    """ends on the left and right arm: 0 shoulder, 1 elbow, 2 wrist; below 0 for none"""
    waist: float | None = None
    """where the lower garment is first seen: 0 shoulders, 1 hips, 2 knees"""
    upper_hem: float | None = None
    """where the upper garment ends, counted like waist"""
    neck: float | None = None
    """neckline: 0 between the shoulders, 1 at the chin, below 0 on the chest"""
    hair: float | None = None
    """how far hair hangs below the chin, in torso lengths; 0 for none"""
    lower_stiffness: Stiffness | None = None
    """soft (silk, jersey), medium (cotton) or stiff (denim, leather)"""
    upper_stiffness: Stiffness | None = None
    """likewise"""
    standoff: Standoff | None = None
    """how far the cloth stands off the skin [m]"""


def corrected(wardrobe: Wardrobe, corrections: Corrections) -> Wardrobe:
    """Put what somebody knows in place of what was guessed.

    What the kind of garment settles follows it: who writes ``lower = "dress"`` need not say that
    it is one piece.

    Raises:
        InputError: A number lies where no cloth can end, or the pieces contradict each other.

    Example:
        >>> guess = Wardrobe(
        ...     lower=Lower.SHORTS, upper=Upper.TOP, hems=(0.9, 0.9), sleeves=(2.0, 2.0),
        ...     waist=1.0, upper_hem=1.0,
        ... )
        >>> corrected(guess, Corrections(lower=Lower.SKIRT)).is_tube
        True
    """
    given = {
        field.name: value
        for field in dataclasses.fields(corrections)
        if (value := getattr(corrections, field.name)) is not None
    }
    changed = {name: value for name, value in given.items() if not _same(wardrobe, name, value)}
    if not changed:
        return wardrobe
    follows: dict[str, Any] = {}
    if "lower" in changed:
        follows["confidence"] = Confidence.SURE
        follows["one_piece"] = changed["lower"] is Lower.DRESS
        if changed["lower"] is Lower.DRESS and wardrobe.upper is Upper.NONE:
            follows["upper"] = Upper.TOP
    if {"hems", "sleeves"} <= {*changed}:
        follows["level_confidence"] = Confidence.SURE
    return dataclasses.replace(
        wardrobe,
        **(follows | changed),
        corrected=tuple(sorted({*wardrobe.corrected, *changed})),
    )


def read_corrections(path: Path) -> Corrections:
    """Read a TOML file of corrections; keys it lacks keep their guess.

    Raises:
        FileFormatError: No TOML, too large, an unknown key, or a value of the wrong type or range;
            the key is named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}", "it should be a TOML file") from error
    if len(data) > MAX_BYTES:
        raise _bad(path, f"is larger than {MAX_BYTES:,} bytes", "no list of clothes is that long")
    try:
        values = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"is no TOML: {error}", "each line is `key = value`") from error
    corrections: Corrections = from_plain(Corrections, values)
    try:
        corrected(_ANYBODY, corrections)
    except InputError as error:
        raise FileFormatError(f"{path}: {error.what}", why=error.why, fix=error.fix) from error
    return corrections


def write_wardrobe(path: Path, wardrobe: Wardrobe) -> None:
    """Write every field with a comment that says what it means and what it may be."""
    write_text(path, wardrobe_text(wardrobe))


def wardrobe_text(wardrobe: Wardrobe) -> str:
    """Give the file's text; `read_corrections` reads it back."""
    doubts = ", ".join(doubt.value for doubt in wardrobe.doubts) or "none"
    yours = ", ".join(wardrobe.corrected) or "none"
    lines = [
        "# What the photo was taken to show, and what can be corrected.",
        "# Change what is wrong, delete the rest if you like, and make the avatar again:",
        "#   persona create PHOTO --garments garments.toml",
        f"# kind of lower garment: {wardrobe.confidence.value}",
        f"# places of hems and sleeves: {wardrobe.level_confidence.value}",
        f"# what makes this photo hard: {doubts}",
        f"# set by hand: {yours}",
        "",
    ]
    for field in dataclasses.fields(Corrections):
        value = getattr(wardrobe, field.name)
        lines += [f"# {_COMMENTS[field.name]}", f"{field.name} = {_toml(value)}"]
    return "\n".join(lines) + "\n"


def wardrobe_lines(wardrobe: Wardrobe) -> tuple[str, ...]:
    """Say in sentences what was guessed and how surely, for the report."""
    stands = wardrobe.standoff
    sure = {
        Confidence.SURE: "surely",
        Confidence.LIKELY: "probably",
        Confidence.GUESSED: "a guess:",
    }
    kind = wardrobe.lower.value
    shape = "one tube around both legs" if wardrobe.is_tube else "two legs"
    lines = [
        f"Lower garment: {sure[wardrobe.confidence]} {kind}, {shape}, "
        f"{wardrobe.lower_stiffness.value}.",
        f"Upper garment: {wardrobe.upper.value}"
        f"{', one piece with the lower' if wardrobe.one_piece else ''}, "
        f"{wardrobe.upper_stiffness.value}.",
        f"Places of hems and sleeves: {wardrobe.level_confidence.value}.",
        f"Cloth stands off trunk, arms, thighs, shins by {stands.trunk * 100:.1f}, "
        f"{stands.arms * 100:.1f}, {stands.thighs * 100:.1f}, {stands.shins * 100:.1f} cm.",
    ]
    if wardrobe.hair > 0:
        lines.append(f"Hair hangs {wardrobe.hair:.2f} torso lengths below the chin.")
    if wardrobe.doubts:
        lines.append("What makes it hard: " + ", ".join(d.value for d in wardrobe.doubts) + ".")
    if wardrobe.corrected:
        lines.append("Set by hand: " + ", ".join(wardrobe.corrected) + ".")
    return tuple(lines)


def _toml(value: Any) -> str:
    """Write what a wardrobe holds: words, numbers, flags, pairs and one flat table."""
    if isinstance(value, enum.Enum):
        return f'"{value.value}"'  # our own plain words
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return f"{round(float(value), DECIMALS)}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    table = to_plain(value)
    return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in table.items()) + " }"


def _same(wardrobe: Wardrobe, name: str, value: Any) -> bool:
    """Whether a file says what was guessed, as far as the file's digits go."""
    return _toml(getattr(wardrobe, name)) == _toml(value)


def _bad(path: Path, what: str, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path} {what}", why=why, fix="start from the garments.toml beside an avatar"
    )


_ANYBODY: Final = Wardrobe(
    lower=Lower.TROUSERS,
    upper=Upper.TOP,
    hems=(2.0, 2.0),
    sleeves=(2.0, 2.0),
    waist=1.0,
    upper_hem=1.0,
)
"""Somebody to try corrections on, so that a bad file is refused before anything is made."""
_COMMENTS: Final = {
    "lower": "trousers, shorts, skirt or dress; a skirt or dress is one tube around both legs",
    "upper": "top, coat (one tube around both legs below the hips) or none",
    "one_piece": "whether both are one: true for a dress or overall, false for a skirt",
    "hems": "ends on the left and right leg: 0 hip, 1 knee, 2 ankle; more covers the shoe",
    "sleeves": "ends on the left and right arm: 0 shoulder, 1 elbow, 2 wrist; below 0 for none",
    "waist": "where the lower garment is first seen: 0 shoulders, 1 hips, 2 knees",
    "upper_hem": "where the upper garment ends, counted like waist",
    "neck": "neckline: 0 between the shoulders, 1 at the chin, below 0 on the chest",
    "hair": "how far hair hangs below the chin, in torso lengths; 0 for none",
    "lower_stiffness": "soft (silk, jersey), medium (cotton) or stiff (denim, leather)",
    "upper_stiffness": "likewise",
    "standoff": "how far the cloth stands off the skin [m]",
}
"""What each line says above it."""
