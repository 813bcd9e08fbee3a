"""By how much our default beats the plain rigid body: the goal of generated people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from persona.evaluation.results import Results

GOAL_DB: Final = 2.0
"""Least gain of our default over the rigid body, unfitted, in the person's box [dB]."""
GOAL_SURFACE: Final = 0.25
"""Least share of the rigid body's surface error that our default avoids [-]."""


@dataclass(frozen=True, kw_only=True)
class Margin:
    """Means over people: every person counts alike."""

    people: int
    """How many."""
    gain_db: float
    """Picture [dB]."""
    avoided: float | None
    """Share of the surface error that is avoided [-]; None where no surface is known."""

    @property
    def reached(self) -> bool:
        """Whether both goals are reached."""
        surface = self.avoided is not None and self.avoided >= GOAL_SURFACE
        return self.gain_db >= GOAL_DB and surface

    @property
    def text(self) -> str:
        """The margin in words."""
        parts = [f"{self.gain_db:+.2f} dB in the box"]
        if self.avoided is not None:
            parts.append(f"{self.avoided:.0%} less surface error")
        word = "reached" if self.reached else "not reached"
        goal = f"the goal of {GOAL_DB:+g} dB and {GOAL_SURFACE:.0%} is {word}"
        return f"ours over rigid, mean of {self.people}: {', '.join(parts)}; {goal}"


def margin_over(results: Results, *, ours: str = "ours", rigid: str = "rigid") -> Margin | None:
    """Compare two methods person by person, unfitted; None where not both were run."""
    gains: list[float] = []
    avoided: list[float | None] = []
    for subject in results.subjects:
        mine = results.row(subject.name, ours, "unfitted")
        other = results.row(subject.name, rigid, "unfitted")
        if mine is None or other is None or "psnr_box" not in mine.numbers:
            continue
        if "psnr_box" not in other.numbers:
            continue
        gains.append(mine.numbers["psnr_box"].mean - other.numbers["psnr_box"].mean)
        pair = [row.numbers.get("vertex_mm") for row in (mine, other)]
        known = [found.mean for found in pair if found is not None]
        avoided.append(1 - known[0] / known[1] if len(known) == len(pair) else None)
    if not gains:
        return None
    return Margin(people=len(gains), gain_db=float(np.mean(gains)), avoided=_mean(avoided))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
