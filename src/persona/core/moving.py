"""Move every tensor of a record, and of the records in it, to a device or another precision."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def moved(record: T, target: torch.device | torch.dtype | str) -> T:
    """Give the same record with its tensors elsewhere; whole numbers keep their type.

    Args:
        record: A frozen dataclass, a tensor, a tuple or a dictionary of such, or anything else,
            which is handed back.
        target: A device, or a precision for floating point tensors.

    Example:
        >>> moved((torch.ones(2), "name", torch.arange(2)), torch.float64)[0].dtype
        torch.float64
    """
    return _moved(record, target)


def _moved(value: Any, target: torch.device | torch.dtype | str) -> Any:
    if isinstance(value, Tensor):
        # Ids stay whole numbers whatever precision is asked for.
        stays = isinstance(target, torch.dtype) and not value.is_floating_point()
        return value if stays else value.to(target)
    if isinstance(value, tuple):
        return tuple(_moved(entry, target) for entry in value)
    if isinstance(value, dict):
        return {key: _moved(entry, target) for key, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        entries = {f.name: _moved(getattr(value, f.name), target) for f in fields(value)}
        return replace(value, **entries)
    return value
