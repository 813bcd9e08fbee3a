"""Row: one measurement, as a line of the table and as an object for programs."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Times:
    """What the rounds of one case took."""

    forward_ms: float
    """The way there, median."""
    step_ms: float | None
    """There and back, with all that a step of training needs; None where there is no way back."""
    best_forward_ms: float
    """The fastest round: what other work on the machine disturbed least."""
    best_step_ms: float | None
    """The fastest round, there and back."""


def one_way(laps: Sequence[Sequence[float]]) -> Times:
    """Sum up rounds whose parts are all on the way there [ms]."""
    forward = [sum(parts) for parts in laps]
    return Times(
        forward_ms=statistics.median(forward),
        step_ms=None,
        best_forward_ms=min(forward),
        best_step_ms=None,
    )


def there_and_back(laps: Sequence[Sequence[float]]) -> Times:
    """Sum up rounds of two parts, the way there and the rest of a step [ms]."""
    forward, step = [parts[0] for parts in laps], [sum(parts) for parts in laps]
    return Times(
        forward_ms=statistics.median(forward),
        step_ms=statistics.median(step),
        best_forward_ms=min(forward),
        best_step_ms=min(step),
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians of one case on one backend."""

    name: str
    """What was timed, such as ``raster`` or ``animate.pose``."""
    backend: str
    """Who did it: native, reference or gsplat."""
    isa: str | None
    """Instruction set of the native core; None for the others."""
    gaussians: int
    """How many."""
    size: int
    """Height of the picture [px]; 0 where nothing is drawn."""
    channels: int
    """Feature channels; 0 where nothing is drawn."""
    sigma: float
    """Standard deviation over spacing of neighbours; 0 for a trained avatar."""
    threads: int
    """CPU threads."""
    times: Times
    """How long it took."""

    @property
    def fps(self) -> float:
        """Times a second: whole steps where there are steps in the name, else forward passes."""
        whole_step = self.times.step_ms if self.name == "train" else None
        return 1e3 / (whole_step or self.times.forward_ms)

    def plain(self) -> dict[str, Any]:
        """Give the row for JSON, times rounded to a microsecond."""
        values = asdict(self)
        for name, time_ms in values.pop("times").items():
            values[name] = None if time_ms is None else round(time_ms, 3)
        return {**values, "fps": round(self.fps, 2)}


_COLUMNS = (
    ("name", "{:<16}"),
    ("backend", "{:<9}"),
    ("isa", "{:<8}"),
    ("gaussians", "{:>9}"),
    ("size", "{:>5}"),
    ("channels", "{:>8}"),
    ("sigma", "{:>5}"),
    ("threads", "{:>7}"),
    ("forward_ms", "{:>10}"),
    ("step_ms", "{:>9}"),
    ("best_forward_ms", "{:>15}"),
    ("best_step_ms", "{:>12}"),
    ("fps", "{:>8}"),
)


def table_head() -> str:
    """Give the line above the rows."""
    return _line([name for name, _ in _COLUMNS])


def table_line(row: Row) -> str:
    """Give one row of the table."""
    plain = row.plain()
    return _line(["-" if plain[name] is None else str(plain[name]) for name, _ in _COLUMNS])


def _line(values: Sequence[str]) -> str:
    cells = (form.format(v) for v, (_, form) in zip(values, _COLUMNS, strict=True))
    return "  ".join(cells).rstrip() + "\n"
