"""SPZ, Niantic's packed splats, versions 1 to 3.

References:
    Niantic, "SPZ", file format in the README of nianticlabs/spz (MIT).
"""

import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from persona.export.ply import SH_DC
from persona.export.reading.cloud import SplatFile, check_count, cloud_of, refused, smallest_three
from persona.export.reading.ply import ROOT_HALF, harmonics_left_out

MAGIC: Final = b"NGSP"
GZIP: Final = b"\x1f\x8b"
HEADER: Final = 16
"""Magic, version, count, degree, bits, flags, nothing [bytes]."""
GZIP_WINDOW: Final = 31
"""zlib's number for gzip with any window."""
COLOR_SCALE: Final = 0.15
"""How much of a byte's range one unit of a coefficient takes."""
ROTATION_BITS: Final = 9
"""Bits of one part of a rotation in version 3, its sign aside."""
ROW_BYTES: Final = {1: 6 + 1 + 3 + 3 + 3, 2: 9 + 1 + 3 + 3 + 3, 3: 9 + 1 + 3 + 3 + 4}
"""What one splat takes in each version, without view-dependent colour."""
HARMONICS: Final = (0, 9, 24, 45)
"""Coefficients of view-dependent colour up to each degree."""


def read_spz(path: Path, data: bytes) -> SplatFile:
    """Read an SPZ.

    Args:
        path: For the errors.
        data: The whole file.

    Raises:
        FileFormatError: It is damaged, or of a version we cannot unpack.
    """
    if data.startswith(MAGIC):
        raise refused(
            path,
            "it is SPZ version 4, packed with Zstandard, which Python 3.11 cannot unpack",
            fix="convert it: npx @playcanvas/splat-transform IN.spz OUT.ply",
        )
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        head = unpacker.decompress(data, HEADER)
        magic, version, count, degree, bits, _, _ = struct.unpack("<4sIIBBBB", head)
        if magic != MAGIC or version not in ROW_BYTES or degree >= len(HARMONICS):
            raise refused(path, f"it is no SPZ of version 1 to 3 (it says {version})")
        size = check_count(path, count) * ROW_BYTES[version]
        # Never more than the header promises, however well it was packed.
        body = unpacker.decompress(unpacker.unconsumed_tail, size)
    except (zlib.error, struct.error) as error:
        raise refused(path, f"it is damaged: {error}") from error
    if len(body) != size:
        raise refused(path, f"it does not hold the {count} splats its header names")
    means, at = _positions(body, count, version, bits)
    bytes_left = np.frombuffer(body, np.uint8, offset=at)
    alphas, colors, scales, turns = np.split(bytes_left, [count, 4 * count, 7 * count])
    cloud = cloud_of(
        path,
        means=means,
        scales=np.exp(scales.reshape(count, 3) / 16 - 10),
        quats_wxyz=_rotations(turns.reshape(count, -1)),
        opacities=alphas / 255,
        colors=0.5 + SH_DC * (colors.reshape(count, 3) / 255 - 0.5) / COLOR_SCALE,
    )
    facts = harmonics_left_out(HARMONICS[degree])
    return SplatFile(gaussians=cloud, format=f"SPZ {version}", facts=facts)


def _positions(body: bytes, count: int, version: int, bits: int) -> tuple[NDArray[Any], int]:
    """Give the places (n, 3), and where what follows them begins."""
    if version == 1:
        halves = np.frombuffer(body, "<f2", 3 * count)
        return halves.reshape(count, 3).astype(np.float64), 6 * count
    raw = np.frombuffer(body, np.uint8, 9 * count).reshape(count, 3, 3).astype(np.int32)
    whole = raw[..., 0] | raw[..., 1] << 8 | raw[..., 2] << 16
    signed = np.where(whole >= 1 << 23, whole - (1 << 24), whole)
    return np.ldexp(signed.astype(np.float64), -bits), 9 * count


def _rotations(raw: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Give quaternions (n, 4), wxyz."""
    if raw.shape[1] == 3:
        three = raw / 127.5 - 1
        return smallest_three(np.zeros(len(raw), np.int64), three)
    words = np.ascontiguousarray(raw).view("<u4")[:, 0]
    most = (1 << ROTATION_BITS) - 1
    parts = []
    # Signs and magnitudes from the lowest bits up, the last part first.
    for k in range(3):
        field = words >> (k * (ROTATION_BITS + 1))
        sign = np.where(field >> ROTATION_BITS & 1, -1.0, 1.0)
        parts.append(sign * (field & most) / most * ROOT_HALF)
    xyzw = smallest_three(words >> 30, np.stack(parts[::-1], 1))
    return xyzw[:, [3, 0, 1, 2]]
