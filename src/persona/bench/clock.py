"""Time calls fairly: warmed up, one after the other in every round, and to the end of the GPU."""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from persona.kernels.dispatch import ISA_VARIABLE, isa_from_environment

WARM_UP = 3
"""Rounds that are not counted."""

Marks = Callable[[], None]
"""Called at the end of each timed part."""


def lap_times(
    calls: Mapping[str, Callable[[Marks], object]], *, rounds: int, warm_up: int = WARM_UP
) -> dict[str, list[list[float]]]:
    """Time calls in turns, so that a busy moment of the machine falls on all of them.

    Args:
        calls: What to time; each is handed a function to call at the end of each of its parts.
        rounds: Times that count.
        warm_up: Times before them that do not.

    Returns:
        For each name the times of its parts, round by round [ms].
    """
    laps: dict[str, list[list[float]]] = {name: [] for name in calls}
    for index in range(warm_up + rounds):
        for name, call in calls.items():
            times = _laps(call)
            if index >= warm_up:
                laps[name].append(times)
    return laps


@contextmanager
def instruction_set(isa: str | None) -> Iterator[None]:
    """Let the native core work with one instruction set inside a block; None changes nothing."""
    if isa is None:
        yield
        return
    before = isa_from_environment()
    os.environ[ISA_VARIABLE] = isa
    try:
        yield
    finally:
        if before is None:
            del os.environ[ISA_VARIABLE]
        else:
            os.environ[ISA_VARIABLE] = before


def _laps(call: Callable[[Marks], object]) -> list[float]:
    marks = []

    def mark() -> None:
        # A GPU works on while we go ahead: the part ends when the device has done it.
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        marks.append(time.perf_counter())

    mark()
    call(mark)
    return [1e3 * (end - start) for start, end in itertools.pairwise(marks)]
