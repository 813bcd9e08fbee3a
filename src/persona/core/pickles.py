"""Read the arrays in a pickle of a stranger, in a process of its own that runs nothing it names."""

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from persona.core.errors import FileFormatError

PROGRAM: Final = "persona.core.pickle_child"
"""The module that the child runs."""
PATIENCE: Final = 3
"""Times the allowed processor time that the clock may show before the child is ended."""
COPIES: Final = 5
"""Copies of the whole file that reading it may take at once."""
_MAX_HEAD_BYTES: Final = 1 << 20


def read_pickled_arrays(
    path: Path,
    *,
    most: int,
    seconds: int,
    wanted: Collection[str] = (),
) -> dict[str, NDArray[np.generic]]:
    """Read the arrays, numbers and texts in a pickle, a joblib file or a file of `torch.save`.

    Unpickling calls whatever a file names. Here a child process does it, in which every name is
    looked up in an exact list of harmless stand-ins (`pickle_standins.ALLOWED`) and nowhere else,
    with limits on memory and time; what comes back is bytes, types and shapes.

    Args:
        path: The file.
        most: Largest file, and most bytes that may come back.
        seconds: Processor time.
        wanted: Last keys of the arrays to give back; none means all.

    Returns:
        Arrays by the path of their keys, joined by ``/``.

    Raises:
        FileFormatError: It names what is not in the list, is damaged, or takes too much.
    """
    if not path.is_file():
        raise FileFormatError(
            f"{path} does not exist", why="it should be a pickle", fix="check the path"
        )
    size = path.stat().st_size
    if not 0 < size <= most:
        raise FileFormatError(
            f"{path.name} has {size / 2**20:.0f} MB",
            why=f"files of its kind have more than none and at most {most / 2**20:.0f} MB",
            fix="check where it comes from",
        )
    # The file, its texts as Python 2 wrote them, those as bytes, and once more on their way home.
    memory = COPIES * max(size, 16 << 20) + (128 << 20)
    limits = [str(memory), str(seconds), str(most)]
    with path.open("rb") as file, tempfile.TemporaryFile() as answer:
        try:
            child = subprocess.run(
                [sys.executable, "-I", "-m", PROGRAM, *limits, *sorted(wanted)],
                stdin=file,
                stdout=answer,
                stderr=subprocess.DEVNULL,
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                timeout=PATIENCE * seconds + 5,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _too_much(path, seconds) from error
        if child.returncode:
            raise _too_much(path, seconds)
        answer.seek(0)
        return _received(path, answer, most)


def _received(path: Path, answer: IO[bytes], most: int) -> dict[str, NDArray[np.generic]]:
    """Read the child's answer."""
    (length,) = struct.unpack("<Q", answer.read(8))
    head: dict[str, Any] = json.loads(answer.read(min(length, _MAX_HEAD_BYTES)))
    if "refused" in head:
        raise FileFormatError(
            f"{path.name} was not opened: it holds {head['refused']}",
            why="a pickle can run anything; only plain arrays in dictionaries are read",
            fix="save its arrays with numpy.savez where you trust the file, and use that",
        )
    if "damaged" in head:
        raise FileFormatError(
            f"{path.name} could not be read: {head['damaged']}",
            why="it should be a pickle of arrays",
            fix="fetch or write the file again; it is damaged or something else",
        )
    found = {}
    for entry in head["arrays"]:
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        count = int(np.prod(shape, dtype=object)) if shape else 1
        data = answer.read(min(count * dtype.itemsize, most))
        found[entry["name"]] = np.frombuffer(data, dtype, count).reshape(shape)
    return found


def _too_much(path: Path, seconds: int) -> FileFormatError:
    return FileFormatError(
        f"{path.name} was given up",
        why=f"reading it took more than {seconds} s, or memory that such a file does not need",
        fix="check where it comes from; a small file that asks for much is an attack",
    )
