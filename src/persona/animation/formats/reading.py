"""MotionFile: a motion as it was read, and what was found out about its file on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from persona.core.errors import FileFormatError
from persona.geometry.cameras import Camera
from persona.records.motion import Motion

MOST_FRAMES: Final = 100_000
"""Frames of one motion: 55 minutes at 30 a second, 66 MB of rotations."""
MOST_BYTES: Final = 128 * 2**20
"""Size of one motion file, unpacked; the longest text of MOST_FRAMES is refused earlier."""
FASTEST: Final = 1000.0
"""No motion has more frames a second."""
FARTHEST: Final = 10_000.0
"""Nobody is farther from the origin than this [m]; single precision holds a millimetre there."""
WIDEST_TURN: Final = 100.0
"""Longest axis-angle [rad]: sixteen turns; more is no pose."""


@dataclass(frozen=True, kw_only=True)
class MotionFile:
    """What a file of a stranger turned out to hold."""

    motion: Motion
    """In our conventions: metres, y up; the floor is wherever the file has it."""
    format: str
    """Name of the format, for example ``AMASS SMPL-X``."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was detected or assumed, by name: frame rate, up axis, units and so on."""
    retargeted: bool = False
    """Whether the file's skeleton was another than SMPL-X's, so that its feet need planting."""
    limb_errors: Callable[[Motion], Mapping[str, float]] | None = None
    """Measures how far the limbs of a motion point from those of the file's skeleton, where that is
    another [deg]."""
    cameras: Sequence[Camera] = ()
    """The camera of every frame, where the file has them."""


def refused(path: Path, why: str, *, fix: str = "export the motion again") -> FileFormatError:
    """Say that a file holds no usable motion."""
    return FileFormatError(f"{path.name} holds no motion that can be read", why=why, fix=fix)


def check_size(path: Path, *, most: int = MOST_BYTES) -> None:
    """Refuse what is missing, no file, or too large to be a motion, before a byte is read.

    Raises:
        FileFormatError: One of these.
    """
    if not path.is_file():
        raise refused(path, "there is no such file", fix="check the path")
    size = path.stat().st_size
    if size > most:
        raise refused(
            path,
            f"it has {size / 2**20:.0f} MB; a motion has at most {most / 2**20:.0f}",
            fix="cut it into pieces, or lower its frame rate",
        )


def check_frames(path: Path, count: int) -> int:
    """Give the number of frames back when there are neither none nor too many.

    Raises:
        FileFormatError: There are.
    """
    if not 1 <= count <= MOST_FRAMES:
        raise refused(
            path,
            f"it says that it has {count} frames; 1 to {MOST_FRAMES} can be read",
            fix="cut it into pieces, or lower its frame rate",
        )
    return count


def check_fps(path: Path, fps: float) -> float:
    """Give the rate back when people move at such rates.

    Raises:
        FileFormatError: It is not above 0 and at most `FASTEST`.
    """
    if not 0 < fps <= FASTEST:
        raise refused(path, f"its rate is {fps:g} frames a second, not above 0 to {FASTEST:g}")
    return fps


def finite(path: Path, name: str, values: object, *shape: int, most: float) -> Tensor:
    """Give numbers as float64 in a shape.

    Args:
        path: For the error.
        name: What the numbers are, for the error.
        values: An array, or nested lists of numbers.
        shape: Wanted shape; as many numbers must be there, in whatever shape.
        most: Largest magnitude.

    Raises:
        FileFormatError: Another number of them, not finite, too large, or no numbers.
    """
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise refused(path, f"{name} is no array of numbers: {error}") from error
    if array.dtype.kind not in "iuf" or array.size != int(np.prod(shape, dtype=object)):
        wanted = " x ".join(map(str, shape))
        raise refused(path, f"{name} has shape {array.shape} of {array.dtype}, not {wanted}")
    with np.errstate(invalid="ignore"):
        # A signalling NaN warns while it is copied; it is refused below like any other.
        numbers = torch.from_numpy(array.astype(np.float64)).reshape(shape)
    if not bool(torch.isfinite(numbers).all()):
        raise refused(path, f"{name} holds numbers that are not finite")
    if numbers.numel() and float(numbers.abs().max()) > most:
        raise refused(path, f"{name} holds {float(numbers.abs().max()):g}, beyond {most:g}")
    return numbers
