"""Load, save, compare and hash frozen dataclass configs; unknown keys are errors."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final, TypeVar

from persona.core.atomic import write_text
from persona.core.errors import FileFormatError
from persona.core.plain import from_plain, to_plain

Config = TypeVar("Config")

MAX_CONFIG_BYTES: Final = 1 << 20
"""A larger file is no config; refused before it is read."""


def save_config(path: Path, config: object) -> None:
    """Write a config as readable JSON, whole or not at all."""
    write_text(path, json.dumps(to_plain(config), indent=2) + "\n")


def load_config(path: Path, kind: type[Config]) -> Config:
    """Read a config of the given dataclass; keys that the file lacks take their default.

    Raises:
        FileFormatError: No JSON, an unknown key, or a value of the wrong type.
    """
    return from_plain(kind, read_json(path, max_bytes=MAX_CONFIG_BYTES))


def config_from(kind: type[Config], values: dict[str, Any]) -> Config:
    """Build a config from plain values.

    Raises:
        FileFormatError: An unknown key, or a value of the wrong type.
    """
    return from_plain(kind, values)


def config_hash(config: object) -> str:
    """Name a config by its content: equal configs of one class have equal hashes.

    Example:
        >>> config_hash((1, 2)) == config_hash((1, 2)), config_hash((1, 2)) == config_hash((2, 1))
        (True, False)
    """
    text = json.dumps(to_plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{type(config).__qualname__}:{text}".encode()).hexdigest()


def config_diff(old: object, new: object) -> tuple[str, ...]:
    """List what differs between two configs, one line a setting.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Loop:
        ...     steps: int = 60
        >>> config_diff(Loop(), Loop(steps=80))
        ('steps: 60 -> 80',)
    """
    before, after = _flat(to_plain(old)), _flat(to_plain(new))
    return tuple(
        f"{key}: {_shown(before, key)} -> {_shown(after, key)}"
        for key in dict.fromkeys((*before, *after))
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    )


def read_json(path: Path, *, max_bytes: int) -> Any:
    """Read a JSON file of bounded size.

    Raises:
        FileFormatError: The file cannot be read, is too large, or is no JSON.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise FileFormatError(
            f"{path} cannot be read: {error.strerror}",
            why="it should be a JSON file",
            fix="check the path and its permissions",
        ) from error
    if len(data) > max_bytes:
        raise FileFormatError(
            f"{path} is larger than {max_bytes:,} bytes",
            why="no file of this kind is that large",
            fix="check that it is the right file",
        )
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is no JSON: {error}",
            why="it was cut short or written by something else",
            fix="make the file again",
        ) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


_ABSENT = object()


def _flat(plain: Any, where: str = "") -> dict[str, Any]:
    if not isinstance(plain, dict):
        return {where: plain}
    found: dict[str, Any] = {}
    for key, item in plain.items():
        found |= _flat(item, f"{where}.{key}" if where else key)
    return found


def _shown(values: dict[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"
