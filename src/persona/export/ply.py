"""One pose of an avatar as a 3D Gaussian Splatting PLY, the file splat viewers open."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from persona.core.atomic import replacing_file
from persona.core.conventions import PROVENANCE
from persona.core.errors import InputError
from persona.export.covariances import split_covariances
from persona.records.gaussians import Gaussians

SH_DC: Final = 0.28209479177387814
"""Value of the constant spherical harmonic, 1 / (2 sqrt(pi)); colour = 0.5 + SH_DC f_dc."""
REST_COUNT: Final = 45
"""Coefficients of degrees one to three; all zero here, but some importers insist on them."""
MIN_OPACITY: Final = 1e-4
"""Opacities are kept this far from 0 and 1, where their logit ends."""
MIN_SCALE: Final = 1e-6
"""Smallest standard deviation written [m], where its logarithm ends."""

_NAMES: Final = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
    *(f"f_rest_{k}" for k in range(REST_COUNT)),
    *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
"""The attributes of the Inria reference, in its order; float32, little-endian."""


def write_ply(gaussians: Gaussians, path: Path, *, notes: Sequence[str] = (PROVENANCE,)) -> None:
    """Write a cloud with the Inria attribute names.

    Colours become constant spherical harmonics, opacities logits, covariances logarithms of
    standard deviations with a rotation (wxyz). World frame: y up, metres.

    Args:
        gaussians: What to write.
        path: Where to.
        notes: Lines of text for the header; what is not ASCII becomes "?".

    Raises:
        InputError: The cloud is empty.
    """
    if gaussians.count == 0:
        raise InputError(
            "the cloud has no Gaussians",
            why="viewers take an empty file for a broken one",
            fix="pose an avatar and write what comes back",
        )
    scales, quats = split_covariances(gaussians.covariances)
    opacity = gaussians.opacities.clamp(MIN_OPACITY, 1 - MIN_OPACITY)
    columns = [
        gaussians.means,
        gaussians.normals,
        (gaussians.colors - 0.5) / SH_DC,
        torch.zeros(gaussians.count, REST_COUNT),
        torch.logit(opacity)[:, None],
        scales.clamp(min=MIN_SCALE).log(),
        quats,
    ]
    table = torch.cat([column.detach().float().cpu() for column in columns], 1)
    comments = [" ".join(note.split()).encode("ascii", "replace").decode() for note in notes]
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {c}" for c in comments)]
    lines += [f"element vertex {gaussians.count}"]
    lines += [f"property float {name}" for name in _NAMES]
    header = "\n".join([*lines, "end_header", ""])
    with replacing_file(path) as partial, partial.open("wb") as file:
        file.write(header.encode())
        file.write(table.numpy().astype("<f4").tobytes())
