"""Has it got worse: a run against numbers that were committed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from persona.core.config import load_config, save_config
from persona.core.errors import InputError
from persona.evaluation.picture_metrics import PICTURE_METRICS
from persona.evaluation.results import Results

EXIT_WORSE: Final = 5
"""Exit code when a number is worse than the baseline allows."""


@dataclass(frozen=True, kw_only=True)
class BaselineRow:
    """What one method came to on one subject."""

    subject: str
    """Who."""
    method: str
    """How."""
    mode: str
    """Whether poses were refined."""
    numbers: dict[str, float]
    """Metric -> mean."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Numbers to compare with, and the run they are of."""

    name: str
    """The evaluation."""
    code: str
    """Hash of the code that gave them."""
    rules: dict[str, float]
    """Which frames."""
    frames: dict[str, int]
    """Subject -> frames it has."""
    rows: tuple[BaselineRow, ...]
    """What came out."""


@dataclass(frozen=True, kw_only=True)
class Worse:
    """A number that got worse than its tolerance allows."""

    subject: str
    """Whose."""
    method: str
    """Which method's."""
    mode: str
    """In which mode."""
    metric: str
    """Of what."""
    value: float | None
    """Now; None where it was not measured any more."""
    baseline: float
    """Before."""

    @property
    def text(self) -> str:
        """The finding in words."""
        known = PICTURE_METRICS[self.metric]
        return (
            f"{self.subject}, {self.method}, {self.mode}: {known.label} "
            f"{known.written(self.value)} {known.unit}, was {known.written(self.baseline)}, "
            f"tolerance {known.tolerance:g}"
        )


def baseline_of(results: Results) -> Baseline:
    """Take from a run what the next ones are compared with; times are left out."""
    kept = {name for name, metric in PICTURE_METRICS.items() if metric.tolerance is not None}
    return Baseline(
        name=results.name,
        code=results.provenance.code[:12],
        rules=results.rules,
        frames={subject.name: subject.frames for subject in results.subjects},
        rows=tuple(
            BaselineRow(
                subject=row.subject,
                method=row.method,
                mode=row.mode,
                # Six digits: more change with the processor.
                numbers={n: float(f"{e.mean:.6g}") for n, e in row.numbers.items() if n in kept},
            )
            for row in results.rows
        ),
    )


def save_baseline(path: Path, results: Results) -> None:
    """Write the numbers of a run for later ones."""
    save_config(path, baseline_of(results))


def find_worse(results: Results, path: Path) -> list[Worse]:
    """Compare a run with a committed baseline.

    Subjects and methods of the baseline that the run was not asked for are not compared; those it
    was asked for and did not give are worse.

    Raises:
        FileFormatError: The baseline cannot be read.
        InputError: It is of other frames, or nothing of it was measured.
    """
    baseline = load_config(path, Baseline)
    _check_same(results, baseline)
    found = []
    asked = {subject.name for subject in results.subjects}
    whole = asked == set(baseline.frames)
    compared = 0
    for row in baseline.rows:
        if row.method not in results.methods:
            continue
        if row.subject not in asked and not (whole and row.subject not in baseline.frames):
            continue
        now = results.row(row.subject, row.method, row.mode)
        for name, before in row.numbers.items():
            metric = PICTURE_METRICS.get(name)
            if metric is None or metric.tolerance is None:
                continue
            compared += 1
            value = None if now is None or name not in now.numbers else now.numbers[name].mean
            if value is None or metric.worse_by(value, before) > metric.tolerance:
                found.append(
                    Worse(
                        subject=row.subject,
                        method=row.method,
                        mode=row.mode,
                        metric=name,
                        value=value,
                        baseline=before,
                    )
                )
    if not compared:
        raise InputError(
            f"{path.name} holds nothing that this run measured",
            why=f"it is about {', '.join(sorted(baseline.frames))}",
            fix="evaluate those, or write another baseline with --save-baseline",
        )
    return found


def _check_same(results: Results, baseline: Baseline) -> None:
    if results.rules != baseline.rules:
        raise InputError(
            f"the baseline was measured by other rules: {baseline.rules}",
            why=f"this run's are {results.rules}: other frames have other means",
            fix="measure by the same rules, or write another baseline",
        )
    for subject in results.subjects:
        if baseline.frames.get(subject.name, subject.frames) != subject.frames:
            raise InputError(
                f"{subject.name} has {subject.frames} frames",
                why=f"in the baseline it has {baseline.frames[subject.name]}",
                fix="evaluate the same frames, or write another baseline",
            )
