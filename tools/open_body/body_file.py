"""Write the arrays as one SMPL-X-format npz without object arrays, identical on every run."""

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every member, so that equal arrays make equal files."""


def write_npz(path: Path, arrays: dict[str, NDArray[np.generic]]) -> int:
    """Write ``arrays`` in sorted order and return the file's size in bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", EPOCH), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9
            )
    return path.stat().st_size
