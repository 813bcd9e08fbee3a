"""The child's program: give the arrays in a pickle as plain bytes, running nothing that it names.

Started by `persona.core.pickles` as a process of its own with limits on memory and time. The pickle
comes as standard input, a file; the answer goes to standard output: eight bytes with the length of
a JSON text, the text, then the arrays' bytes one by one.

Whatever class or function a pickle names is looked up in `pickle_standins.ALLOWED` and nowhere
else. What stands there is no class of NumPy, SciPy, chumpy, joblib or PyTorch.
"""

import io
import json
import math
import mmap
import pickle
import resource
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

import numpy as np

from persona.core.pickle_standins import (
    ALLOWED,
    BEGINNERS,
    DEEPEST,
    Array,
    Holder,
    Refused,
    Sparse,
    Storage,
    Type,
    Wrapper,
    array_of,
    counts,
    plain,
)

MOST_ARRAYS: Final = 4096
"""Arrays that one file may hold."""
LONGEST_NAME: Final = 200
MOST_HEAD_BYTES: Final = 1 << 20
"""Names, types and shapes of all arrays, written out."""
PYTHONS_OWN: Any = pickle._Unpickler
"""The one written in Python, whose instructions can be replaced."""


class Reader(PYTHONS_OWN):
    """Python's own unpickler, with every way to call something narrowed to `BEGINNERS`."""

    dispatch: ClassVar[dict[int, Any]] = dict(PYTHONS_OWN.dispatch)
    stack: list[Any]

    def __init__(self, file: Any, storages: Callable[[object], object] | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self.file, self.storages = file, storages

    def find_class(self, module: str, name: str) -> object:
        """Look a name up in `ALLOWED`."""
        if (module, name) not in ALLOWED:
            raise Refused(f"{module}.{name}, which is none of the classes that hold plain data")
        return ALLOWED[module, name]

    def persistent_load(self, pid: object) -> object:
        """Fetch one of PyTorch's storages."""
        if self.storages is None:
            raise Refused("a part that is kept elsewhere")
        return self.storages(pid)

    def _call(self, function: object, args: object) -> object:
        if not isinstance(args, tuple) or not any(function is known for known in BEGINNERS):
            raise Refused("a call of something that is no class of plain data")
        return function(*args)  # type: ignore[operator]

    def load_reduce(self) -> None:
        """Call one of `BEGINNERS`."""
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        """Make one of the stand-ins."""
        args = self.stack.pop()
        kind = self.stack[-1]
        self.stack[-1] = Array() if kind is Array else self._call(kind, args)

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_build(self) -> None:
        """Give a stand-in its state."""
        state = self.stack.pop()
        thing = self.stack[-1]
        if not isinstance(thing, Type | Array | Sparse | Holder):
            raise Refused("a state for something that has none")
        thing.take(state)
        if isinstance(thing, Wrapper):
            self.stack[-1] = self._following(thing.state)

    dispatch[pickle.BUILD[0]] = load_build

    def refuse(self) -> None:
        """Refuse what no file of arrays needs."""
        raise Refused("an instruction that plain data do not need")

    for _code in (
        *(pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEWOBJ_EX),
        *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.BYTEARRAY8, pickle.PERSID),
    ):
        dispatch[_code[0]] = refuse

    def _following(self, state: dict[object, object]) -> np.ndarray:
        """Read the bytes that joblib writes after its note."""
        kind, shape = state.get("dtype"), state.get("shape")
        if not isinstance(kind, Type):
            raise Refused("an array without a type")
        dtype = kind.dtype()
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self.file.read(1)
            self.file.read(padding[0] if padding else 0)
        data = self.file.read(math.prod(counts(shape)) * dtype.itemsize)
        return array_of(data, dtype, shape, fortran=state.get("order") == "F")


def read_zip(data: Any, most: int) -> object:
    """Read what `torch.save` wrote: a pickle and its storages in an uncompressed zip."""
    with zipfile.ZipFile(data) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if sum(info.file_size for info in members.values()) > most:
            raise Refused("more bytes than a file of its kind may have")
        heads = [name for name in members if name.endswith("/data.pkl")]
        if len(heads) != 1:
            raise Refused("no data.pkl; it is no file of torch.save")
        root = heads[0].removesuffix("data.pkl")
        orders = [name for name in members if name == f"{root}byteorder"]
        if orders and archive.read(orders[0]).strip() != b"little":
            raise Refused("numbers in big-endian order")
        found: dict[str, np.ndarray] = {}

        def storage(pid: object) -> object:
            if not isinstance(pid, tuple) or len(pid) < 3 or pid[0] != "storage":
                raise Refused("a part that is no storage")
            kind, key = pid[1], pid[2]
            name = f"{root}data/{key}"
            if not isinstance(kind, Storage) or not isinstance(key, str) or name not in members:
                raise Refused("a storage that is missing")
            if name not in found:
                raw, dtype = archive.read(name), np.dtype(kind.code).newbyteorder("<")
                found[name] = np.frombuffer(raw, dtype, len(raw) // dtype.itemsize)
            return found[name]

        return Reader(io.BytesIO(archive.read(heads[0])), storage).load()


def arrays_in(value: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """List the arrays, numbers and texts in nested dictionaries, by the path of their keys."""
    value = plain(value)
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, bool | float | str) or (isinstance(value, int) and abs(value) < 1 << 62):
        if len(str(value)) <= LONGEST_NAME:
            yield name, np.array(value)
    elif isinstance(value, dict):
        if depth >= DEEPEST:
            raise Refused("dictionaries too deep inside each other")
        for key, item in value.items():
            text = key.decode("latin1") if isinstance(key, bytes) else str(plain(key))
            if len(text) <= LONGEST_NAME:
                yield from arrays_in(item, f"{name}/{text}" if depth else text, depth + 1)


def chosen(value: object, wanted: set[str], most: int) -> list[tuple[str, np.ndarray]]:
    """Keep the arrays whose last key is wanted, all of them when nothing is."""
    kept, size = [], 0
    for count, (name, array) in enumerate(arrays_in(value)):
        if count >= MOST_ARRAYS:
            raise Refused(f"more than {MOST_ARRAYS} arrays")
        if wanted and name.rpartition("/")[2] not in wanted:
            continue
        if array.dtype.kind not in "biufSU":
            continue
        size += array.nbytes
        if size > most:
            raise Refused("more bytes than a file of its kind may have")
        kept.append((name, array))
    return kept


def limit(memory: int, seconds: int) -> None:
    """Let this process take only so much more memory and time, and write no file but its answer."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    space = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(head: object, arrays: list[tuple[str, np.ndarray]]) -> None:
    """Write what was found, or why nothing was."""
    text = json.dumps(head).encode()
    if len(text) > MOST_HEAD_BYTES:
        text, arrays = json.dumps({"refused": "names that are too long"}).encode(), []
    out = sys.stdout.buffer
    out.write(struct.pack("<Q", len(text)) + text)
    for _, array in arrays:
        out.write(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    out.flush()


def main(memory: int, seconds: int, most: int, wanted: list[str]) -> None:
    """Read standard input, answer on standard output."""
    limit(memory, seconds)
    try:
        data = mmap.mmap(sys.stdin.fileno(), 0, access=mmap.ACCESS_READ)
        value = read_zip(sys.stdin.buffer, most) if data[:2] == b"PK" else Reader(data).load()
        arrays = chosen(value, set(wanted), most)
    except Refused as error:
        return answer({"refused": str(error)}, [])
    except MemoryError:
        return answer({"refused": "more than the memory that a file of its kind needs"}, [])
    # A damaged pickle breaks Python's unpickler in any way; here all of them mean the same, and
    # this process has nothing else to do.
    except Exception as error:  # noqa: BLE001
        return answer({"damaged": f"{type(error).__name__}: {error}"[:300]}, [])
    listed = [
        {"name": name, "dtype": a.dtype.newbyteorder("<").str, "shape": list(a.shape)}
        for name, a in arrays
    ]
    return answer({"arrays": listed}, arrays)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
