"""Read a panorama of light from a Radiance .hdr file, which may come from a stranger."""

import re
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from persona.core.errors import FileFormatError
from persona.core.types import Image

MAX_FILE_BYTES: Final = 128 << 20
"""A panorama of 8192 x 4096 pixels has at most this."""
MAX_PIXELS: Final = 8192 * 4096
"""As floats 0.4 GB; light on a matt person needs a thousandth of it."""
ASPECT_TOLERANCE: Final = 0.02
"""An equirectangular map is twice as wide as high; some programs are a row off."""

_SIZE: Final = re.compile(rb"-Y ([0-9]{1,6}) \+X ([0-9]{1,6})\n")


def read_radiance(path: Path) -> Image:
    """Read an equirectangular map of radiance.

    The header is checked before a pixel is decoded.

    Returns:
        Linear light of any scale, finite and not negative, rows from the top.

    Raises:
        FileFormatError: The file is missing, no Radiance picture, damaged, too large, not twice as
            wide as high, or dark everywhere.
    """
    data = _bytes_of(path)
    height, width = _size(data, path.name)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _damaged(path.name) from error
    if pixels is None or pixels.shape != (height, width, 3) or pixels.dtype != np.float32:
        raise _damaged(path.name)
    radiance = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1]))
    if not bool(radiance.isfinite().all()) or float(radiance.min()) < 0:
        raise _damaged(path.name)
    if float(radiance.max()) == 0:
        raise _refused(
            path.name, "is black everywhere", why="nobody could be seen", fix="check the file"
        )
    return radiance


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise _refused(
            path.name, "cannot be read", why="there is no such file", fix="check the path"
        )
    if path.stat().st_size > MAX_FILE_BYTES:
        raise _too_large(path.name, f"{path.stat().st_size:,} bytes")
    return path.read_bytes()


def _size(data: bytes, name: str) -> tuple[int, int]:
    """Find height and width in the header, and refuse what is no panorama."""
    # After the first empty line and nowhere else, as the decoder has it: a second size further on
    # could otherwise promise less than is allocated.
    head, _, rest = data.partition(b"\n\n")
    found = _SIZE.match(rest)
    if not head.startswith((b"#?RADIANCE", b"#?RGBE")) or found is None:
        raise _refused(
            name,
            "is no Radiance picture that can be read",
            why="its first line must be #?RADIANCE, and its rows go from the top left",
            fix="save the panorama as .hdr; .exr is not read",
        )
    height, width = int(found[1]), int(found[2])
    if height * width > MAX_PIXELS:
        raise _too_large(name, f"{width} x {height} pixels")
    if height == 0 or abs(width / height - 2) > 2 * ASPECT_TOLERANCE:
        raise _refused(
            name,
            f"has {width} x {height} pixels",
            why="a map of all directions (equirectangular) is twice as wide as high",
            fix="give a whole panorama",
        )
    return height, width


def _too_large(name: str, size: str) -> FileFormatError:
    return _refused(
        name,
        f"has {size}",
        why=f"at most {MAX_PIXELS:,} pixels and {MAX_FILE_BYTES:,} bytes are read",
        fix="make it smaller: 512 x 256 is plenty for light",
    )


def _damaged(name: str) -> FileFormatError:
    return _refused(
        name,
        "is damaged",
        why="its pixels cannot be decoded",
        fix="get the original again, or save it anew",
    )


def _refused(name: str, what: str, *, why: str, fix: str) -> FileFormatError:
    return FileFormatError(f"{name} {what}", why=why, fix=fix)
