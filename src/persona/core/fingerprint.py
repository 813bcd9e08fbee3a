"""Name values and code by their content, so that a stage repeats only when something changed."""

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch


def fingerprint(*values: Any) -> str:
    """Hash a tree of dataclasses, tensors, arrays, paths and scalars by content.

    Two values have the same fingerprint when they have the same types, names and bits. Tensors
    count by dtype, shape and bytes, not by device. Paths count by name, not by what is in them.

    Raises:
        TypeError: A value is of a kind whose content cannot be told, a function for example.

    Example:
        >>> fingerprint(1, "a") == fingerprint(1, "a"), fingerprint(1) == fingerprint(1.0)
        (True, False)
    """
    digest = hashlib.sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


@cache
def code_version(*folders: str) -> str:
    """Hash the source files and native libraries of this package, as they are on disk.

    Args:
        folders: Only what is in these of its folders; none means all of it.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    roots = [root / folder for folder in folders] or [root]
    for path in sorted(p for r in roots for end in ("*.py", "*.so") for p in r.rglob(end)):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Add one value, with its type first and its length where it has one: no two trees collide."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().contiguous()
        digest.update(f"tensor {plain.dtype} {tuple(plain.shape)};".encode())
        # As bytes: numpy knows no bfloat16. A copy is made only of what is not contiguous.
        digest.update(plain.reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        digest.update(
            f"{type(value).__module__}.{type(value).__qualname__} {len(fields)};".encode()
        )
        for field in fields:
            digest.update(f"{field.name}=".encode())
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, enum.Enum):
        digest.update(f"enum {type(value).__qualname__} {value.name};".encode())
    elif isinstance(value, Mapping):
        digest.update(f"table {len(value)};".encode())
        for key in sorted(value, key=repr):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, tuple | list):
        digest.update(f"list {len(value)};".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, str | bytes | Path):
        data = value if isinstance(value, bytes) else str(value).encode()
        digest.update(f"{type(value).__name__} {len(data)};".encode() + data)
    elif value is None or isinstance(value, bool | int | float | torch.device | torch.dtype):
        digest.update(f"{type(value).__name__} {value!r};".encode())
    else:
        raise TypeError(f"a {type(value).__name__} has no fingerprint; pass what it was made from")
