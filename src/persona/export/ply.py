"""One pose of an avatar as a 3D Gaussian Splatting PLY, the file splat viewers open."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.atomic import replacing_file
from persona.core.conventions import PROVENANCE
from persona.core.errors import FileFormatError, InputError
from persona.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from persona.records.gaussians import Gaussians

SH_DC: Final = 0.28209479177387814
"""Value of the constant spherical harmonic, 1 / (2 sqrt(pi)); colour = 0.5 + SH_DC f_dc."""
REST_COUNT: Final = 45
"""Coefficients of degrees one to three; all zero here, but some importers insist on them."""
MIN_OPACITY: Final = 1e-4
"""Opacities are kept this far from 0 and 1, where their logit ends."""
MIN_SCALE: Final = 1e-6
"""Smallest standard deviation written [m], where its logarithm ends."""
MAX_HEADER: Final = 16_384
"""No splat file has a longer header; a longer one is not ours to read [bytes]."""

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


def read_ply(path: Path) -> Gaussians:
    """Read back what `write_ply` wrote.

    Raises:
        FileFormatError: The file is no such PLY, or shorter than its header says.
    """
    data = path.read_bytes()
    header, mark, _ = data[:MAX_HEADER].partition(b"end_header\n")
    words = [line.split() for line in header.decode("ascii", "replace").splitlines()]
    counts = [
        int(line[2]) for line in words if line[:2] == ["element", "vertex"] and line[2].isdigit()
    ]
    names = tuple(line[2] for line in words if line[:2] == ["property", "float"] and len(line) == 3)
    start = len(header) + len(mark)
    if not mark or words[0] != ["ply"] or len(counts) != 1 or names != _NAMES:
        raise _unreadable(path, "its header is not the one of a Gaussian cloud")
    if len(data) - start != counts[0] * len(_NAMES) * 4:
        raise _unreadable(path, f"it does not hold the {counts[0]} rows its header names")
    table = torch.from_numpy(np.frombuffer(data, "<f4", offset=start).copy())
    table = table.reshape(counts[0], len(_NAMES))
    rest = 9 + REST_COUNT
    return Gaussians(
        means=table[:, 0:3],
        normals=table[:, 3:6],
        colors=0.5 + SH_DC * table[:, 6:9],
        opacities=torch.sigmoid(table[:, rest]),
        covariances=_join(table[:, rest + 1 : rest + 4].exp(), table[:, rest + 4 : rest + 8]),
    )


def split_covariances(
    covariances: Float[Tensor, "n 6"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 4"]]:
    """Give standard deviations [m] and the rotation (wxyz) whose columns are the axes."""
    xx, xy, xz, yy, yz, zz = covariances.double().unbind(-1)
    matrix = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).reshape(-1, 3, 3)
    variances, axes = torch.linalg.eigh(matrix)
    # Eigenvectors come with any sign; a rotation must not mirror.
    axes[..., 0] *= torch.linalg.det(axes).sign()[:, None]
    scales = variances.clamp(min=0.0).sqrt()
    return scales.to(covariances), matrix_to_quaternion(axes).to(covariances)


def _join(scales: Float[Tensor, "n 3"], quats_wxyz: Float[Tensor, "n 4"]) -> Float[Tensor, "n 6"]:
    factors = quaternion_to_matrix(quats_wxyz) * scales[:, None]
    x, y, z = factors.unbind(1)
    return torch.stack(
        [(a * b).sum(1) for a, b in ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z))], 1
    )


def _unreadable(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path.name} is not a Gaussian PLY that persona wrote",
        why=why,
        fix="export it again; for clouds of other programs convert them first",
    )
