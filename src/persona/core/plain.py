"""Turn frozen dataclasses into plain JSON values and back, checked against their annotations."""

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

from persona.core.errors import FileFormatError

T = TypeVar("T")
Leaf = Callable[[str, Any], Any]
"""Handles values that JSON cannot hold: ``(where, value) -> plain value``."""
ReadLeaf = Callable[[str, Any, Any], Any]
"""The way back: ``(where, annotation, plain value) -> value``."""

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""JSON has no such numbers; where a float is expected, these names stand for them."""


def to_plain(value: Any, *, where: str = "", leaf: Leaf | None = None) -> Any:
    """Turn a tree of dataclasses, tuples, enums and scalars into JSON values.

    Args:
        value: The tree.
        where: Dotted path of ``value``, for ``leaf`` and for errors.
        leaf: Called for every value of another type; without it such a value is an error.

    Raises:
        TypeError: A value has no plain form. That is a mistake in the program, not in a file.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(
                getattr(value, field.name), where=_join(where, field.name), leaf=leaf
            )
            for field in dataclasses.fields(value)
            if field.init
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return _NOT_FINITE[str(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [
            to_plain(item, where=_join(where, str(index)), leaf=leaf)
            for index, item in enumerate(value)
        ]
    if isinstance(value, Mapping):
        return {
            str(key): to_plain(item, where=_join(where, str(key)), leaf=leaf)
            for key, item in value.items()
        }
    if leaf is not None:
        return leaf(where, value)
    raise TypeError(f"{where or 'value'} is a {type(value).__name__}, which has no plain form")


def from_plain(hint: Any, value: Any, *, where: str = "", leaf: ReadLeaf | None = None) -> Any:
    """Build what the annotation ``hint`` asks for out of JSON values.

    The annotation leads, not the data: nothing is built that no field asked for. Fields that the
    data lacks take their default.

    Args:
        hint: A dataclass, a scalar type, an enum, Path, Literal, a union, tuple or dict of these.
        value: What JSON held.
        where: Dotted path, for errors.
        leaf: Called for every annotation of another kind.

    Raises:
        FileFormatError: A key is unknown or missing, or a value has the wrong type.
    """
    origin = get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return _dataclass_from_plain(typing.cast(type, hint), value, where, leaf)
    if origin in (Union, types.UnionType):
        return _union_from_plain(get_args(hint), value, where, leaf)
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise _wrong(where, f"one of {', '.join(map(repr, get_args(hint)))}", value)
    if origin in (tuple, list):
        return _sequence_from_plain(origin, get_args(hint), value, where, leaf)
    if origin in (dict, Mapping):
        return _mapping_from_plain(get_args(hint), value, where, leaf)
    if isinstance(hint, type):
        found = _scalar_from_plain(hint, value, where)
        if found is not _NOT_A_SCALAR:
            return found
    if leaf is not None:
        return leaf(where, hint, value)
    raise TypeError(f"{where or 'value'} is annotated {hint}, which has no plain form")


def _dataclass_from_plain(kind: type, value: Any, where: str, leaf: ReadLeaf | None) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, f"a table for {kind.__name__}", value)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = sorted(str(key) for key in value if key not in fields)
    if unknown:
        raise FileFormatError(
            f"{_join(where, unknown[0])} is no setting of {kind.__name__}",
            why=f"it knows {', '.join(fields)}",
            fix="correct the spelling or remove the line; unknown keys are never ignored",
        )
    hints = typing.get_type_hints(kind)
    given = {
        name: from_plain(hints[name], value[name], where=_join(where, name), leaf=leaf)
        for name in fields
        if name in value
    }
    missing = [
        name
        for name, field in fields.items()
        if name not in given
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise FileFormatError(
            f"{_join(where, missing[0])} is missing",
            why=f"{kind.__name__} has no default for it",
            fix="make the file again with the program that should have written it",
        )
    return kind(**given)


def _union_from_plain(
    choices: tuple[Any, ...], value: Any, where: str, leaf: ReadLeaf | None
) -> Any:
    if value is None and type(None) in choices:
        return None
    reasons: list[FileFormatError] = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return from_plain(choice, value, where=where, leaf=leaf)
        except FileFormatError as reason:
            reasons.append(reason)
    raise reasons[0]


def _sequence_from_plain(
    kind: type, hints: tuple[Any, ...], value: Any, where: str, leaf: ReadLeaf | None
) -> Any:
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    if kind is tuple and (len(hints) != 2 or hints[1] is not Ellipsis):
        if hints == ((),):
            hints = ()
        if len(value) != len(hints):
            raise _wrong(where, f"a list of {len(hints)}", value)
        each = hints
    else:
        each = (hints[0],) * len(value)
    items = (
        from_plain(hint, item, where=_join(where, str(index)), leaf=leaf)
        for index, (hint, item) in enumerate(zip(each, value, strict=True))
    )
    return kind(items)


def _mapping_from_plain(
    hints: tuple[Any, ...], value: Any, where: str, leaf: ReadLeaf | None
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "a table", value)
    return {
        key: from_plain(hints[1], item, where=_join(where, key), leaf=leaf)
        for key, item in value.items()
    }


_NOT_A_SCALAR = object()


def _scalar_from_plain(hint: type, value: Any, where: str) -> Any:
    if issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError as error:
            wanted = ", ".join(repr(member.value) for member in hint)
            raise _wrong(where, f"one of {wanted}", value) from error
    if issubclass(hint, Path):
        if isinstance(value, str) and "\0" not in value:
            return Path(value)
        raise _wrong(where, "a path", value)
    if hint is bool:
        right = isinstance(value, bool)
    elif hint is int:
        right = isinstance(value, int) and not isinstance(value, bool)
    elif hint is float:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        right = right or (isinstance(value, str) and value in _NOT_FINITE.values())
    elif hint is str:
        right = isinstance(value, str)
    elif hint is type(None):
        right = value is None
    else:
        return _NOT_A_SCALAR
    if not right:
        raise _wrong(where, f"of type {hint.__name__}", value)
    if hint is float:
        try:
            return float(value)  # also reads the three names that are not finite
        except OverflowError as error:
            raise _wrong(where, "a number that a float can hold", value) from error
    return value


def _wrong(where: str, wanted: str, value: Any) -> FileFormatError:
    shown = repr(value)
    if len(shown) > 60:  # enough to recognise it, short enough for one line
        shown = shown[:57] + "..."
    return FileFormatError(
        f"{where or 'the value'} is {shown}",
        why=f"it must be {wanted}",
        fix="correct the file, or make it again with the program that should have written it",
    )


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
