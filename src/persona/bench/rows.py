"""Row: one measurement, as a line of the table and as an object for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


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
    forward_ms: float
    """The way there."""
    step_ms: float | None
    """There and back, with all that a step of training needs; None where there is no way back."""

    @property
    def fps(self) -> float:
        """Times a second: whole steps where there are steps in the name, else forward passes."""
        time_ms = self.step_ms if self.name == "train" and self.step_ms else self.forward_ms
        return 1e3 / time_ms

    def plain(self) -> dict[str, Any]:
        """Give the row for JSON, times rounded to a microsecond."""
        values = asdict(self)
        values["forward_ms"] = round(self.forward_ms, 3)
        values["step_ms"] = None if self.step_ms is None else round(self.step_ms, 3)
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
