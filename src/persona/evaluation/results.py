"""Everything an evaluation came to, as one record: what the JSON holds and the page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from persona.core.config import read_json, save_config
from persona.core.plain import from_plain
from persona.evaluation.ledger import FrameScore
from persona.evaluation.picture_metrics import PICTURE_METRICS
from persona.evaluation.published import PublishedScore
from persona.evaluation.statistics import Estimate, over_frames, over_subjects

Mode = Literal["unfitted", "fitted", "unfitted, same frames"]
"""How poses were treated. The last is what the fitted number compares with: the unfitted one in the
frames that were also fitted."""
MODES: Final[tuple[Mode, ...]] = ("unfitted", "fitted", "unfitted, same frames")
MAX_BYTES: Final = 64 << 20
"""A larger file is no result."""
MEAN: Final = "mean"
"""Stands for all subjects together."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method on one subject, or on all of them, in one mode."""

    subject: str
    """Who, or `MEAN`."""
    method: str
    """How."""
    mode: Mode
    """Whether poses were refined."""
    numbers: dict[str, Estimate]
    """Metric -> mean and interval."""


@dataclass(frozen=True, kw_only=True)
class SubjectFacts:
    """Who was evaluated, and where they come from."""

    name: str
    """What tables call the person."""
    dataset: str
    """Kind of source."""
    frames: int
    """Frames to be judged by."""
    fps: float | None
    """Frames a second, where they follow each other."""
    photo_digest: str
    """SHA-256 of the photo's pixels: what every method was given."""
    source: str
    """What it was read from, without folders."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A method that gave nothing for a subject; it is missing in the means, and said so."""

    subject: str
    """Whom."""
    method: str
    """Which."""
    what: str
    """What it said."""
    why: str
    """And why."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What something took."""

    subject: str
    """For whom."""
    method: str
    """By whom."""
    stage: str
    """What."""
    seconds: float
    """On the clock [s]."""
    count: int
    """Times it was done."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What is needed to do it again."""

    command: str
    """Without folders of the machine it ran on."""
    versions: dict[str, str]
    """Program -> version."""
    code: str
    """Hash of this package's files."""
    seed: int
    """Of avatars and of intervals."""
    cores: int
    """Processors it was given."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """One evaluation."""

    name: str
    """What it is called."""
    provenance: Provenance
    """How it came about."""
    rules: dict[str, float]
    """Which frames were measured."""
    methods: dict[str, str]
    """Method -> what it is."""
    subjects: tuple[SubjectFacts, ...]
    """Who."""
    rows: tuple[Row, ...]
    """What came out, subject by subject, then means over those that every method can do."""
    costs: tuple[StageCost, ...]
    """What it took."""
    refusals: tuple[Refusal, ...]
    """What could not be done."""
    published: tuple[PublishedScore, ...] = ()
    """What papers say, measured by others on other pictures."""

    def row(self, subject: str, method: str, mode: str) -> Row | None:
        """Find a row."""
        for row in self.rows:
            if (row.subject, row.method, row.mode) == (subject, method, mode):
                return row
        return None


def rows_of(
    scores: Mapping[tuple[str, str], Sequence[FrameScore]],
    *,
    made: Mapping[tuple[str, str], float] | None = None,
    seed: int = 0,
) -> list[Row]:
    """Make rows of frame scores.

    Means over subjects take only subjects that every method gave something for: otherwise who
    fails at the hardest person would gain by it.

    Args:
        scores: (subject, method) -> frames.
        made: (subject, method) -> seconds that the avatar took, where that is known.
        seed: Of the intervals.
    """
    table = {mode: {key: _series(frames, mode) for key, frames in scores.items()} for mode in MODES}
    for key, seconds in (made or {}).items():
        if table["unfitted"].get(key):
            table["unfitted"][key]["create_seconds"] = [seconds]
    rows = []
    for subject, method in scores:
        for mode in MODES:
            series = table[mode][subject, method]
            numbers = {name: over_frames(found, seed=seed) for name, found in series.items()}
            if numbers:
                rows.append(Row(subject=subject, method=method, mode=mode, numbers=numbers))
    return rows + [row for mode in MODES for row in _means(table[mode], mode, seed)]


def _means(
    table: Mapping[tuple[str, str], Mapping[str, Sequence[float]]], mode: Mode, seed: int
) -> list[Row]:
    known = {key for key, series in table.items() if series}
    able = [m for m in dict.fromkeys(m for _, m in table) if any(m == other for _, other in known)]
    common = [s for s in dict.fromkeys(s for s, _ in table) if all((s, m) in known for m in able)]
    rows = []
    for method in able if common else []:
        series = [table[subject, method] for subject in common]
        numbers = {
            name: over_subjects([found[name] for found in series], seed=seed)
            for name in PICTURE_METRICS
            if all(name in found for found in series)
        }
        if numbers:
            rows.append(Row(subject=MEAN, method=method, mode=mode, numbers=numbers))
    return rows


def _series(frames: Sequence[FrameScore], mode: Mode) -> dict[str, list[float]]:
    """Collect each metric's values of a mode, in the order of the frames."""
    series: dict[str, list[float]] = {}
    for score in frames:
        if mode != "unfitted" and score.fitted is None:
            continue
        numbers = score.fitted if mode == "fitted" else score.unfitted
        for name, value in (numbers or {}).items():
            series.setdefault(name, []).append(value)
    drawn = [score.draw_seconds for score in frames if score.draw_seconds > 0]
    if mode == "unfitted" and drawn:
        # Frames over seconds, not the mean of rates.
        series["frames_per_second"] = [len(drawn) / sum(drawn)]
    return {name: series[name] for name in PICTURE_METRICS if name in series}


def save_results(path: Path, results: Results) -> None:
    """Write the JSON."""
    save_config(path, results)


def load_results(path: Path) -> Results:
    """Read it back.

    Raises:
        FileFormatError: It is something else, or of another version.
    """
    return from_plain(Results, read_json(path, max_bytes=MAX_BYTES))
