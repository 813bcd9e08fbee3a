"""The child's program: give the arrays in a pickle as plain bytes, running nothing that it names.

Started by `persona.core.pickles` as a process of its own with limits on memory and time; imports
nothing of this package. The pickle comes as standard input, a file; the answer goes to standard
output: eight bytes with the length of a JSON text, the text, then the arrays' bytes one by one.

Whatever class or function a pickle names is looked up in `ALLOWED` and nowhere else. What stands
there is no class of NumPy, SciPy, chumpy, joblib or PyTorch, but one of the few stand-ins below,
which only hold data.
"""

import io
import json
import math
import mmap
import pickle
import re
import resource
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

import numpy as np

MOST_ARRAYS: Final = 4096
"""Arrays that one file may hold."""
MOST_AXES: Final = 8
MOST_ENTRIES: Final = 10_000_000
"""Entries of a sparse matrix, written out; a regressor of joints has 576,125."""
DEEPEST: Final = 16
"""Levels of dictionaries inside each other."""
LONGEST_NAME: Final = 200
MOST_HEAD_BYTES: Final = 1 << 20
"""Names, types and shapes of all arrays, written out."""
NUMBERS: Final = re.compile(r"(b1|[iu][1248]|f[248]|[SU]\d{1,4})\Z")
"""Types of numbers and texts that arrays may hold."""


class Refused(Exception):
    """The pickle holds what is no plain data."""


class Type:
    """Stands for `numpy.dtype`."""

    def __init__(self, code: object, *_: object) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not (NUMBERS.match(text) or text[:1] in "OV"):
            raise Refused(f"numbers of type {text!r}")
        self.code, self.order = text, "="

    def take(self, state: object) -> None:
        """Take the byte order out of NumPy's state of a dtype."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        order = order.decode("latin1") if isinstance(order, bytes) else order
        if order not in ("<", ">", "=", "|"):
            raise Refused("a type without a byte order")
        self.order = order

    @property
    def holds_objects(self) -> bool:
        """Whether entries are Python objects or records, which are left out."""
        return self.code[0] in "OV"

    def dtype(self) -> np.dtype[Any]:
        """Give NumPy's own."""
        if self.holds_objects:
            raise Refused("an array of objects")
        return np.dtype(self.order + self.code)


class Array:
    """Stands for `numpy.ndarray` and its subclasses."""

    value: np.ndarray | None = None

    def take(self, state: object) -> None:
        """Take NumPy's state of an array: version, shape, type, column order, bytes."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refused("an array without a state")
        shape, kind, fortran, data = state[-4:]
        if not isinstance(kind, Type):
            raise Refused("an array without a type")
        if kind.holds_objects:
            return
        if isinstance(data, str):  # what Python 2 called a string
            data = data.encode("latin1")
        self.value = array_of(data, kind.dtype(), shape, fortran=bool(fortran))


class Sparse:
    """Stands for SciPy's matrices by columns or rows."""

    by_rows = False

    def __init__(self) -> None:
        self.state: dict[object, object] = {}

    def take(self, state: object) -> None:
        """Keep the attributes."""
        self.state = state if isinstance(state, dict) else {}

    def dense(self) -> np.ndarray:
        """Write all entries out, with bounds checked by hand."""
        shape = counts(self.state.get("_shape", self.state.get("shape")))
        if len(shape) != 2 or not 0 < math.prod(shape) <= MOST_ENTRIES:
            raise Refused("a sparse matrix that is too large")
        data, places, starts = (row_of(self.state.get(k)) for k in ("data", "indices", "indptr"))
        major, minor = shape if self.by_rows else shape[::-1]
        places, starts = places.astype(np.int64), starts.astype(np.int64)
        sound = len(starts) == major + 1 and len(data) == len(places) == starts[-1]
        sound = sound and starts[0] == 0 and bool((np.diff(starts) >= 0).all())
        if not sound or (len(places) and not 0 <= places.min() <= places.max() < minor):
            raise Refused("a sparse matrix that is damaged")
        full = np.zeros((major, minor), data.dtype)
        np.add.at(full, (np.repeat(np.arange(major), np.diff(starts)), places), data)
        return full if self.by_rows else full.T


class SparseRows(Sparse):
    """Stands for SciPy's matrices by rows."""

    by_rows = True


class Holder:
    """Stands for chumpy's arrays, which keep their numbers in an attribute ``x``."""

    def __init__(self) -> None:
        self.state: dict[object, object] = {}

    def take(self, state: object) -> None:
        """Keep the attributes."""
        self.state = state if isinstance(state, dict) else {}


class Wrapper(Holder):
    """Stands for joblib's note that an array's bytes follow in the file."""


class Storage:
    """Stands for a kind of PyTorch's storages."""

    def __init__(self, code: str) -> None:
        self.code = code


def array_of(data: object, dtype: np.dtype[Any], shape: object, *, fortran: bool) -> np.ndarray:
    """Read bytes as an array of exactly that size."""
    sizes = counts(shape)
    count = math.prod(sizes)
    if not isinstance(data, bytes | memoryview | bytearray) or (
        len(data) != count * dtype.itemsize
    ):
        raise Refused(f"an array of {count} numbers whose bytes are not as many")
    return np.frombuffer(data, dtype, count).reshape(sizes, order="F" if fortran else "C")


def row_of(value: object) -> np.ndarray:
    """Give the numbers of a stand-in that is one row of them."""
    found = plain(value)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "biuf":
        raise Refused("a sparse matrix that is damaged")
    return found


def reconstruct(_kind: object = None, *_: object) -> Array:
    """Stand for NumPy's way to begin an array."""
    return Array()


def begin(kind: object, *_: object) -> object:
    """Stand for `copyreg._reconstructor`."""
    if isinstance(kind, type) and issubclass(kind, Holder | Sparse | Array):
        return kind()
    raise Refused("an object of a class that is no array")


def scalar(kind: object, data: object = b"") -> np.ndarray:
    """Stand for NumPy's single numbers."""
    if not isinstance(kind, Type):
        raise Refused("a number without a type")
    raw = data.encode("latin1") if isinstance(data, str) else data
    return array_of(raw, kind.dtype(), (), fortran=False)


def encode(text: object, encoding: object = "latin1") -> bytes:
    """Stand for `_codecs.encode`, in which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("bytes in a strange encoding")
    return text.encode("latin1")


def no_bytes(*args: object) -> bytes:
    """Stand for `bytes`, which protocol 2 calls for none at all."""
    if args:
        raise Refused("bytes made of something else")
    return b""


def table(*args: object) -> dict[object, object]:
    """Stand for dictionaries of other kinds; what they hold comes afterwards."""
    rows = args[0] if args and isinstance(args[0], list | tuple) else ()
    return {row[0]: row[1] for row in rows if isinstance(row, list | tuple) and len(row) == 2}


def tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> object:
    """Stand for `torch._utils._rebuild_tensor_v2`: a view of a storage, with bounds checked."""
    if not isinstance(storage, np.ndarray) or not isinstance(offset, int) or offset < 0:
        raise Refused("a tensor without a storage")
    shape, steps = counts(size), counts(stride)
    if len(shape) != len(steps):
        raise Refused("a tensor without a shape")
    count = math.prod(shape)
    if not count:
        return np.zeros(shape, storage.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if count > len(storage) or last >= len(storage):
        raise Refused("a tensor that is larger than its storage")
    strides = [step * storage.itemsize for step in steps]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)


def counts(value: object) -> tuple[int, ...]:
    """Give a shape, or steps, when they are such."""
    found = value if isinstance(value, tuple) else ()
    whole = tuple(n for n in found if isinstance(n, int) and 0 <= n < 1 << 40)
    if not isinstance(value, tuple) or len(whole) != len(found) or len(found) > MOST_AXES:
        raise Refused("an array whose shape is no shape")
    return whole


def parameter(data: object = None, *_: object) -> object:
    """Stand for `torch._utils._rebuild_parameter`."""
    return data


BEGINNERS: Final[tuple[Callable[..., object], ...]] = (
    *(reconstruct, begin, scalar, encode, no_bytes, table, tensor, parameter, Type),
    *(Sparse, SparseRows, Holder, Wrapper),
)
"""What a pickle may call."""
STORAGES: Final = {
    **{"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "LongStorage": "i8"},
    **{"IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1"},
    **{"BoolStorage": "b1"},
}
ALLOWED: Final[dict[tuple[str, str], object]] = {
    **{
        (m, "_reconstruct"): reconstruct
        for m in ("numpy.core.multiarray", "numpy._core.multiarray")
    },
    **{(m, "scalar"): scalar for m in ("numpy.core.multiarray", "numpy._core.multiarray")},
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Type,
    ("copy_reg", "_reconstructor"): begin,
    ("copyreg", "_reconstructor"): begin,
    ("_codecs", "encode"): encode,
    **{(m, "object"): None for m in ("__builtin__", "builtins")},
    **{(m, "dict"): table for m in ("__builtin__", "builtins")},
    **{(m, "bytes"): no_bytes for m in ("__builtin__", "builtins")},
    ("collections", "OrderedDict"): table,
    ("collections", "defaultdict"): table,
    **{(f"scipy.sparse.{m}", "csc_matrix"): Sparse for m in ("csc", "_csc")},
    **{(f"scipy.sparse.{m}", "csr_matrix"): SparseRows for m in ("csr", "_csr")},
    ("chumpy.ch", "Ch"): Holder,
    ("chumpy", "Ch"): Holder,
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): Wrapper,
    ("torch._utils", "_rebuild_tensor_v2"): tensor,
    ("torch._utils", "_rebuild_parameter"): parameter,
    **{("torch", name): Storage(code) for name, code in STORAGES.items()},
}
"""Exactly what a pickle may name, and what stands for it."""


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


def plain(value: object) -> object:
    """Give the array that a stand-in holds; anything else as it is."""
    for _ in range(DEEPEST):
        if isinstance(value, Holder):
            value = value.state.get("x")
    if isinstance(value, Array):
        return value.value
    return value.dense() if isinstance(value, Sparse) else value


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
