"""Splats in rows of bytes: ``.splat`` of antimatter15, and ``.ksplat`` of GaussianSplats3D."""

from pathlib import Path
from typing import Final

import numpy as np

from persona.export.reading.cloud import SplatFile, check_count, cloud_of, refused

SPLAT: Final = np.dtype(
    [("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("turn", "u1", 4)]
)
"""One row of a .splat: rotations wxyz, 128 is nothing."""
KSPLAT: Final = np.dtype(
    [("mean", "<f4", 3), ("scale", "<f4", 3), ("turn", "<f4", 4), ("rgba", "u1", 4)]
)
"""One row of a .ksplat that is not compressed; harmonics follow."""
FILE_HEADER: Final = 4096
SECTION_HEADER: Final = 1024
"""What a .ksplat begins with, and what describes each of its sections [bytes]."""
MOST_SECTIONS: Final = 1024
HARMONICS: Final = (0, 9, 24)
"""Coefficients of view-dependent colour behind each row, by degree."""
BUCKET_BYTES: Final = 12
"""A centre before the rows for every bucket of a section."""


def read_splat(path: Path, data: bytes) -> SplatFile:
    """Read a ``.splat``, which is nothing but rows.

    Raises:
        FileFormatError: It is not whole rows, or they hold no splats.
    """
    if len(data) % SPLAT.itemsize:
        raise refused(path, f"{len(data)} bytes are no rows of {SPLAT.itemsize}")
    rows = np.frombuffer(data, SPLAT)
    check_count(path, len(rows))
    cloud = cloud_of(
        path,
        means=rows["mean"],
        scales=rows["scale"],
        quats_wxyz=(rows["turn"].astype(np.float64) - 128) / 128,
        opacities=rows["rgba"][:, 3] / 255,
        colors=rows["rgba"][:, :3] / 255,
    )
    return SplatFile(gaussians=cloud, format="splat")


def read_ksplat(path: Path, data: bytes) -> SplatFile:
    """Read a ``.ksplat`` that is not compressed.

    Raises:
        FileFormatError: It is damaged, or compressed.
    """
    if len(data) < FILE_HEADER:
        raise refused(path, "it is shorter than a .ksplat's header")
    most, sections, _, count = (int(n) for n in np.frombuffer(data, "<u4", 4, 4))
    level = int(np.frombuffer(data, "<u2", 1, 20)[0])
    if level:
        raise refused(
            path,
            f"it is compressed (level {level})",
            fix="save it without compression, or convert it with @playcanvas/splat-transform",
        )
    sections = sections or most  # Some writers count only the most there may be.
    if not 1 <= sections <= most <= MOST_SECTIONS:
        raise refused(path, f"it says that it has {sections} of at most {most} sections")
    check_count(path, count)
    at = FILE_HEADER + most * SECTION_HEADER
    found = []
    for section in range(sections):
        rows, at = _section(path, data, FILE_HEADER + section * SECTION_HEADER, at)
        found.append(rows)
    rows = np.concatenate(found)
    check_count(path, len(rows))
    cloud = cloud_of(
        path,
        means=rows["mean"],
        scales=rows["scale"],
        quats_wxyz=rows["turn"],
        opacities=rows["rgba"][:, 3] / 255,
        colors=rows["rgba"][:, :3] / 255,
    )
    return SplatFile(gaussians=cloud, format="ksplat")


def _section(path: Path, data: bytes, head: int, at: int) -> tuple[np.ndarray, int]:
    """Read the rows of one section, and say where the next one begins."""
    if head + SECTION_HEADER > len(data):
        raise refused(path, "it ends within its headers")
    held, most, _, buckets = (int(n) for n in np.frombuffer(data, "<u4", 4, head))
    partial = int(np.frombuffer(data, "<u4", 1, head + 36)[0])
    degree = int(np.frombuffer(data, "<u2", 1, head + 40)[0])
    if degree >= len(HARMONICS) or held > most:
        raise refused(path, "a section of it is garbled")
    start = at + 4 * partial + BUCKET_BYTES * buckets
    dtype = np.dtype([*KSPLAT.descr, ("more", "<f4", HARMONICS[degree])])
    if start + most * dtype.itemsize > len(data):
        raise refused(path, f"a section does not hold the {most} splats it names")
    rows = np.frombuffer(data, dtype, held, start)
    kept = np.zeros(held, KSPLAT)
    for name in KSPLAT.names or ():
        kept[name] = rows[name]
    return kept, start + most * dtype.itemsize
