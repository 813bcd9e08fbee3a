"""Measure what a stage costs: seconds, processor seconds and peak memory."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a block of work took."""

    seconds: float
    """Time on the clock [s]."""
    cpu_seconds: float
    """Time of all threads of this process [s]."""
    peak_memory: int
    """Largest resident size of the process up to the end of the block [bytes]."""


class Stopwatch:
    """Hands out the cost of a `measured` block, during it and after it."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        self._end: tuple[float, float, int] | None = None

    def cost(self) -> Cost:
        """Return the cost up to now, or of the whole block once it is over."""
        clock, cpu, peak = self._end or self._now()
        return Cost(
            seconds=clock - self._clock,
            cpu_seconds=cpu - self._cpu,
            peak_memory=peak,
        )

    def stop(self) -> None:
        """Fix the cost."""
        self._end = self._end or self._now()

    @staticmethod
    def _now() -> tuple[float, float, int]:
        return time.perf_counter(), time.process_time(), peak_memory()


@contextmanager
def measured() -> Iterator[Stopwatch]:
    """Measure a block.

    Example:
        >>> with measured() as watch:
        ...     _ = sum(range(1000))
        >>> watch.cost().seconds < 1.0
        True
    """
    watch = Stopwatch()
    try:
        yield watch
    finally:
        watch.stop()


def peak_memory() -> int:
    """Return the largest resident size this process has had [bytes]."""
    if _STATUS.is_file():
        # getrusage would also count what the parent held at the moment of the fork.
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
