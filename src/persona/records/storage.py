"""Save and load every record as safetensors plus JSON, with a version and its provenance.

``NAME.json`` holds the fields, ``NAME.safetensors`` the tensors they name. Files may come from
strangers: sizes are checked before anything is allocated, nothing is executed, and whatever is
wrong with a file is a `FileFormatError`.
"""

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from jaxtyping import jaxtyped
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

import persona
from persona.core.atomic import write_bytes, write_text
from persona.core.config import read_json
from persona.core.conventions import PROVENANCE
from persona.core.errors import FileFormatError, PersonaError
from persona.core.plain import from_plain, to_plain

Record = TypeVar("Record")

FORMAT: Final = "persona-record"
"""First word of every JSON file, so that others' files are told apart."""
VERSION: Final = 1
"""Raised when old files can no longer be read as they are."""

MAX_JSON_BYTES: Final = 16 << 20
"""A record's fields without its tensors are far smaller."""
MAX_TENSOR_BYTES: Final = 4 << 30
"""A studio avatar has about 0.1 GB; ten times its Gaussians still fit."""
MAX_TENSORS: Final = 20_000
"""A set of 2,000 pictures has nine of each."""
_MAX_HEADER_BYTES: Final = 4 << 20
"""So many with long names fit."""
_MAX_AXES: Final = 8
"""No record has a tensor of more axes."""

_BYTES: Final = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "I16": 2,
    "I32": 4,
    "I64": 8,
    "F16": 2,
    "BF16": 2,
    "F32": 4,
    "F64": 8,
}
"""Number types of safetensors that records use -> bytes an entry."""


def save_record(path: Path, record: Any, *, about: Mapping[str, Any] | None = None) -> None:
    """Write a record as ``path.safetensors`` and ``path.json``.

    Each file appears whole or not at all, the JSON last and with the digest of the other; a pair
    that does not belong together is refused at loading.

    Args:
        path: Where to, without an ending.
        record: A frozen dataclass of tensors, scalars, tuples, enums and further records.
        about: More to write into the JSON, for people: licences, report numbers.

    Raises:
        TypeError: A field holds something that is none of these, or tensors whose shapes disagree
            with the annotations; mistakes in the program, which loading would refuse.
    """
    if misfit := _misfit(record):
        raise TypeError(f"{type(record).__name__}: {misfit}")
    tensors: dict[str, Tensor] = {}

    def keep(where: str, value: Any) -> dict[str, str]:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{where} is a {type(value).__name__}; records hold tensors and scalars"
            )
        # A copy of its own: the format refuses tensors that share memory.
        tensors[where] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": where}

    value = to_plain(record, leaf=keep)
    data = safetensors_torch.save(tensors, metadata={"provenance": PROVENANCE})
    head = {
        "format": FORMAT,
        "version": VERSION,
        "record": type(record).__name__,
        "provenance": PROVENANCE,
        "made_with": f"persona {persona.__version__}",
        "tensors_sha256": hashlib.sha256(data).hexdigest(),
    }
    text = json.dumps({**head, "about": to_plain(dict(about or {})), "value": value}, indent=1)
    write_bytes(_with_ending(path, ".safetensors"), data)
    write_text(_with_ending(path, ".json"), text + "\n")


def load_record(path: Path, kind: type[Record]) -> Record:
    """Read a record of the given class, bit for bit as it was saved.

    Args:
        path: Where from, without an ending.
        kind: Class of the record; its annotations say what is expected.

    Raises:
        FileFormatError: A file is missing, damaged, of another kind or version, or too large; or a
            field has the wrong type or shape, or breaks an invariant of the record.
    """
    head = _read_head(path)
    if head["record"] != kind.__name__:
        raise FileFormatError(
            f"{path} holds a {head['record']!r}",
            why=f"a {kind.__name__} was asked for",
            fix="check the path",
        )
    tensors = _read_tensors(_with_ending(path, ".safetensors"), head["tensors_sha256"])
    return _rebuild(path, kind, head["value"], tensors)


def read_about(path: Path) -> dict[str, Any]:
    """Read only what `save_record` was told to write for people.

    Raises:
        FileFormatError: As for `load_record`.
    """
    return _read_head(path)["about"]


@dataclass(frozen=True)
class RecordCodec:
    """Keeps the stages of a `RunFolder` as records."""

    kinds: tuple[type, ...]
    """Classes that stages may return; a file that names another is refused."""

    def save(self, value: Any, folder: Path) -> None:
        """Write ``record.json`` and ``record.safetensors``."""
        if type(value) not in self.kinds:
            raise TypeError(f"{type(value).__name__} is not among the kinds of this codec")
        save_record(folder / "record", value)

    def load(self, folder: Path) -> Any:
        """Read the record back.

        Raises:
            FileFormatError: As for `load_record`.
        """
        name = _read_head(folder / "record")["record"]
        for kind in self.kinds:
            if kind.__name__ == name:
                return load_record(folder / "record", kind)
        raise _bad(folder, f"it holds a {name!r}, which no stage returns")


def _rebuild(path: Path, kind: type[Record], value: Any, tensors: dict[str, Tensor]) -> Record:
    """Build the record; whatever its own checks refuse is the file's fault here."""
    unused = set(tensors)

    def fetch(where: str, hint: Any, plain: Any) -> Tensor:
        name = plain.get("tensor") if isinstance(plain, dict) else None
        if not isinstance(name, str) or name not in tensors:
            raise _bad(path, f"the tensor of {where} is missing")
        unused.discard(name)
        tensor = tensors[name]
        # jaxtyping's classes check number type and rank here; plain Tensor accepts all.
        if not isinstance(tensor, hint):
            shape = tuple(tensor.shape)
            raise _bad(path, f"{where} is {tensor.dtype} of shape {shape}, not {_hint_name(hint)}")
        return tensor

    try:
        record = from_plain(kind, value, leaf=fetch)
    except FileFormatError:
        raise
    except PersonaError as error:
        raise _bad(path, error.what) from error
    if misfit := _misfit(record):
        raise _bad(path, misfit)
    if unused:
        raise _bad(path, f"no field names the tensor {min(unused)!r}")
    return record


def _misfit(record: Any) -> str:
    """Say which tensor breaks the promise that an axis name is one size within a record."""
    hints = typing.get_type_hints(type(record))
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    with jaxtyped("context"):
        for name, value in values.items():
            if isinstance(value, Tensor) and not isinstance(value, hints[name]):
                return f"{name} has shape {tuple(value.shape)}, which does not suit its siblings"
    nested = (_misfit(value) for value in values.values() if dataclasses.is_dataclass(value))
    return next(filter(None, nested), "")


def _read_head(path: Path) -> dict[str, Any]:
    """Read the JSON file and check what every record has."""
    head = read_json(_with_ending(path, ".json"), max_bytes=MAX_JSON_BYTES)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise _bad(path, "it is not a record of persona")
    version = head.get("version")
    if version != VERSION:
        raise FileFormatError(
            f"{path} has format version {version!r}",
            why=f"this persona reads version {VERSION}",
            fix="update persona, or make the file again",
        )
    wanted = {"record": str, "tensors_sha256": str, "about": dict, "value": dict}
    for key, kind in wanted.items():
        if not isinstance(head.get(key), kind):
            raise _bad(path, f"its {key!r} is missing or of the wrong type")
    return head


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read a safetensors file whose sizes were checked first."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            _check_header(path, file.read(8), file, size)
            file.seek(0)
            data = file.read(size)
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _bad(path, "it is not the file that its JSON was written with")
    try:
        return safetensors_torch.load(data)
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise _bad(path, f"it is damaged: {error}") from error


def _check_header(path: Path, first: bytes, file: Any, size: int) -> None:
    """Refuse sizes that are absurd or that do not add up, before they are believed."""
    length = int.from_bytes(first, "little")
    if size > MAX_TENSOR_BYTES or length > _MAX_HEADER_BYTES or 8 + length > size:
        raise _bad(path, f"it has {size:,} bytes and announces a header of {length:,}")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise _bad(path, "its header is no JSON") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS + 1:
        raise _bad(path, f"its header is no table of at most {MAX_TENSORS} tensors")
    promised = sum(
        _entry_bytes(path, entry) for key, entry in header.items() if key != "__metadata__"
    )
    if promised != size - 8 - length:
        raise _bad(path, f"it promises {promised:,} bytes of numbers and has {size - 8 - length:,}")


def _entry_bytes(path: Path, entry: Any) -> int:
    if not isinstance(entry, dict):
        raise _bad(path, "an entry of its header is no table")
    shape, dtype = entry.get("shape"), entry.get("dtype")
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise _bad(path, f"it holds numbers of type {dtype!r}")
    if (
        not isinstance(shape, list)
        or len(shape) > _MAX_AXES
        or not all(type(axis) is int and 0 <= axis <= MAX_TENSOR_BYTES for axis in shape)
    ):
        raise _bad(path, "a shape in its header makes no sense")
    return math.prod(shape) * _BYTES[dtype]


def _with_ending(path: Path, ending: str) -> Path:
    # Not `with_suffix`: the name itself may have a dot.
    return path.with_name(path.name + ending)


def _hint_name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint))


def _bad(path: Path, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path}: {what}",
        why="it was damaged, or written by something else",
        fix="make it again, or get an undamaged copy",
    )
