"""Read body model files from strangers: sizes first, numbers only, one typed error."""

import ast
import warnings
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from persona.core.errors import FileFormatError

Arrays = dict[str, NDArray[np.generic]]

MAX_MEMBER_BYTES: Final = 512 * 2**20
"""Largest array we unpack; SMPL-X's posedirs in float64 take 122 MB."""
MAX_TOTAL_BYTES: Final = 2**30
"""Most a whole file may unpack to."""
MAX_MEMBERS: Final = 256
MAX_HEADER_BYTES: Final = 4096
NUMBER_KINDS: Final = "biufU"
"""Booleans, integers, floats and text; never objects."""


def read_arrays(
    path: Path, *, most: int = MAX_TOTAL_BYTES, names: Collection[str] | None = None
) -> Arrays:
    """Read the numeric arrays of an npz; arrays of Python objects are left where they are.

    Nothing is unpacked before the sizes in the zip directory, and then those in each array's own
    header, were found small enough. Pickles are never opened.

    Args:
        path: The file.
        most: Bytes that it may unpack to.
        names: Arrays to read; the others are not unpacked. None reads all.

    Raises:
        FileFormatError: Not an npz, damaged, or too large to be a body or a motion.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive.infolist(), most)
            found = {
                info.filename: _read_array(path, archive, info)
                for info in archive.infolist()
                if names is None or info.filename.removesuffix(".npy") in names
            }
    except FileNotFoundError as error:
        raise FileFormatError(
            f"{path} does not exist",
            why="a body model is read from a file",
            fix="give the path of an SMPL-X npz, or leave it out to use the shipped open body",
        ) from error
    # The last is zipfile's word for an encryption, and for a compression that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise FileFormatError(
            f"{path} could not be read: {error}",
            why="a body model is an npz: a zip archive of arrays",
            fix="fetch the file again; it is damaged or something else",
        ) from error
    return {name.removesuffix(".npy"): array for name, array in found.items() if array is not None}


def _check_sizes(path: Path, members: list[zipfile.ZipInfo], most: int) -> None:
    largest = max((info.file_size for info in members), default=0)
    total = sum(info.file_size for info in members)
    if largest > MAX_MEMBER_BYTES or total > most or len(members) > MAX_MEMBERS:
        raise FileFormatError(
            f"{path} would unpack to {total / 2**20:.0f} MB in {len(members)} arrays",
            why=f"it should need less than {most / 2**20:.0f} MB in {MAX_MEMBERS} arrays",
            fix="check where the file comes from; a small file that unpacks to much is an attack",
        )


def _read_array(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> NDArray[np.generic] | None:
    """Read one member whose size was checked; None for objects and for what is no array."""
    if not info.filename.endswith(".npy"):
        return None
    with archive.open(info) as file:
        data = file.read(info.file_size + 1)
    try:
        dtype, shape, fortran, start = _header(data)
        if dtype.kind not in NUMBER_KINDS:
            return None
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if min(shape, default=0) < 0 or len(data) != start + count * dtype.itemsize:
            raise ValueError("the header promises another size than the data have")
        array = np.frombuffer(data, dtype, count, start)
        return array.reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError) as error:
        raise FileFormatError(
            f"{info.filename} in {path} is not an array: {error}",
            why="every member of a body file is one array in NumPy's format",
            fix="fetch the file again, or write it with numpy.savez_compressed",
        ) from error


def _header(data: bytes) -> tuple[np.dtype[np.generic], tuple[int, ...], bool, int]:
    """Parse the header of an npy file: type, shape, column order, where the numbers start."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12:
        raise ValueError("it does not begin like one")
    wide = data[6] >= 2
    begin = 12 if wide else 10
    length = int.from_bytes(data[8:begin], "little")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header has {length} bytes")
    with warnings.catch_warnings():
        # Damaged digits make Python's parser warn before it refuses.
        warnings.simplefilter("ignore", SyntaxWarning)
        header = ast.literal_eval(data[begin : begin + length].decode("latin1").strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header is damaged")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape):
        raise ValueError("its shape is no shape")
    if not isinstance(header["descr"], str):
        raise TypeError("records are no numbers")
    return np.dtype(header["descr"]), shape, bool(header["fortran_order"]), begin + length
