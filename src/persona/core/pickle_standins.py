"""What stands for the classes that a pickle names: they only hold data, and none of them does more.

`ALLOWED` is the exact list of names that a pickle may use; `pickle_child` looks nowhere else.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

MOST_AXES: Final = 8
MOST_ENTRIES: Final = 10_000_000
"""Entries of a sparse matrix, written out; a regressor of joints has 576,125."""
DEEPEST: Final = 16
"""Levels of dictionaries, and of chumpy arrays, inside each other."""
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


def plain(value: object) -> object:
    """Give the array that a stand-in holds; anything else as it is."""
    for _ in range(DEEPEST):
        if isinstance(value, Holder):
            value = value.state.get("x")
    if isinstance(value, Array):
        return value.value
    return value.dense() if isinstance(value, Sparse) else value
