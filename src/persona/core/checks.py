"""Boundary checks for shape, range and finiteness; each raises one helpful error."""

import torch
from torch import Tensor

from persona.core.errors import InputError


def check_finite(name: str, value: Tensor) -> None:
    """Refuse NaN and infinity.

    Raises:
        InputError: Some entry is not a finite number.
    """
    if value.is_floating_point() and not torch.isfinite(value).all():
        bad = int((~torch.isfinite(value)).sum())
        raise InputError(
            f"{name} holds {bad} entries that are not finite",
            why="a single NaN spreads to every pixel it touches",
            fix="look at the step that made it; do not replace NaN by zero",
        )


def check_range(name: str, value: Tensor, low: float, high: float) -> None:
    """Refuse entries outside [low, high].

    Raises:
        InputError: The smallest or largest entry lies outside.
    """
    if value.numel() == 0:
        return
    smallest, largest = float(value.min()), float(value.max())
    if smallest < low or largest > high:
        raise InputError(
            f"{name} spans [{smallest:.4g}, {largest:.4g}]",
            why=f"it is defined on [{low:g}, {high:g}]",
            fix="convert it where it enters the program",
        )


def check_shape(name: str, value: Tensor, shape: tuple[int | None, ...]) -> None:
    """Refuse another shape; None stands for any size.

    Raises:
        InputError: Rank or a named size differs.
    """
    same_rank = value.dim() == len(shape)
    if not same_rank or any(
        want is not None and got != want for got, want in zip(value.shape, shape, strict=True)
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"{name} has shape {tuple(value.shape)}",
            why=f"it must be ({wanted})",
            fix="reshape it where it is made; nothing is broadcast here",
        )
