"""SplatFile: a cloud as a stranger's file has it, checked before anything is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from persona.core.errors import FileFormatError
from persona.export.covariances import join_covariances
from persona.geometry.rotations import quaternion_to_matrix
from persona.records.gaussians import Gaussians

MOST_BYTES: Final = 2**30
"""Size of one splat file; five million splats with all harmonics have this."""
MOST_SPLATS: Final = 5_000_000
"""Splats of one file; a cloud of them takes 320 MB."""
FARTHEST: Final = 1e6
"""Largest coordinate or size that is believed [m]."""
LEAST_SCALE: Final = 1e-9
"""Smallest standard deviation [m]; flat splats have none across."""

FLAWS: Final = (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)
"""What reading garbled bytes may raise; all of it means that the file is damaged."""


@dataclass(frozen=True, kw_only=True)
class SplatFile:
    """What a file turned out to hold."""

    gaussians: Gaussians
    """In the file's own axes and units: no splat format says reliably what is up."""
    format: str
    """Name of the format, for example ``SPZ 3``."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was detected, assumed or left out, by name."""


def refused(path: Path, why: str, *, fix: str = "export it again as .ply") -> FileFormatError:
    """Say that a file holds no splats that we read."""
    return FileFormatError(f"{path.name} holds no splats that can be read", why=why, fix=fix)


def check_count(path: Path, count: int) -> int:
    """Give the number of splats back when there are neither none nor too many.

    Raises:
        FileFormatError: There are.
    """
    if not 1 <= count <= MOST_SPLATS:
        raise refused(path, f"it says that it has {count} splats; 1 to {MOST_SPLATS} can be read")
    return count


def cloud_of(
    path: Path,
    *,
    means: NDArray[Any],
    scales: NDArray[Any],
    quats_wxyz: NDArray[Any],
    opacities: NDArray[Any],
    colors: NDArray[Any],
    normals: NDArray[Any] | None = None,
) -> Gaussians:
    """Check numbers of a stranger and make a cloud of them.

    Args:
        path: For the errors.
        means: Centres (n, 3) [m].
        scales: Standard deviations (n, 3) [m].
        quats_wxyz: Rotations (n, 4), of any length but none.
        opacities: (n,), cut to [0, 1].
        colors: sRGB (n, 3), cut to [0, 1].
        normals: (n, 3); None, or one of no length, takes the axis that is shortest.

    Raises:
        FileFormatError: A number is not finite or absurd.
    """
    given = {"places": means, "sizes": scales, "rotations": quats_wxyz}
    given |= {"opacities": opacities, "colours": colors}
    for name, values in given.items():
        # Written so that NaN is refused too.
        if not bool((np.abs(values) <= FARTHEST).all()):
            raise refused(path, f"its {name} hold numbers that are not finite, or beyond 1e6")
    quats = _floats(quats_wxyz)
    length = quats.norm(dim=1, keepdim=True)
    if bool((length < 1e-6).any()):
        raise refused(path, "a rotation has no length")
    quats = quats / length
    sizes = _floats(scales).clamp(min=LEAST_SCALE)
    rows = torch.arange(len(sizes))
    shortest = quaternion_to_matrix(quats)[rows, :, sizes.argmin(1)]
    if normals is not None:
        told = _floats(np.clip(np.nan_to_num(normals), -FARTHEST, FARTHEST))
        lengths = told.norm(dim=1, keepdim=True)
        sound = (lengths > 1e-6) & (lengths < FARTHEST)
        shortest = torch.where(sound, told / lengths.clamp(min=1e-6), shortest)
    return Gaussians(
        means=_floats(means),
        covariances=join_covariances(sizes, quats),
        opacities=_floats(opacities).clamp(0, 1),
        colors=_floats(colors).clamp(0, 1),
        normals=shortest,
    )


def _floats(values: NDArray[Any]) -> Tensor:
    # Copied: what was read from a file's bytes must not be written to.
    return torch.from_numpy(np.array(values, np.float32))


def sigmoid(values: NDArray[Any]) -> NDArray[np.float64]:
    """Turn logits into opacities without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(values, np.float64)))


def smallest_three(largest: NDArray[Any], three: NDArray[np.float64]) -> NDArray[np.float64]:
    """Complete unit quaternions of which the largest part is left out.

    Args:
        largest: Which of the four it is (n).
        three: The others in order (n, 3).
    """
    rest = np.sqrt(np.clip(1 - (three**2).sum(1), 0, None))
    full = np.zeros((len(three), 4))
    kept = np.array([[j for j in range(4) if j != i] for i in range(4)])[largest]
    np.put_along_axis(full, kept, three, 1)
    np.put_along_axis(full, largest[:, None].astype(np.int64), rest[:, None], 1)
    return full
