"""Compare ratios of times, which a machine's speed divides out of, with a committed baseline."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from persona.bench.rows import Row
from persona.core.atomic import write_bytes
from persona.core.errors import FileFormatError, InputError
from persona.kernels.dispatch import Backend
from persona.kernels.native_core import ISAS

DEFAULT_TOLERANCE = 1.5
"""How many times worse than its baseline a ratio may be; a busy machine moves it by a third."""

ONCE_PER_ISA = ("raster", "project", "animate.pose")
"""Kernels that are compiled for each instruction set; other rows are made of these."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Ratios that were measured before; lower is better for all of them."""

    threads: int
    """CPU threads they were measured with; other numbers have other ratios."""
    tolerance: float
    """How many times worse a ratio may become."""
    ratios: dict[str, float]
    """Name -> ratio."""


@dataclass(frozen=True, kw_only=True)
class Slower:
    """A ratio that is worse than its baseline allows."""

    name: str
    """Which ratio."""
    ratio: float
    """What it is now."""
    baseline: float
    """What it was."""

    def __str__(self) -> str:
        worse = self.ratio / self.baseline
        return f"{self.name}: {self.ratio:.4g}, was {self.baseline:.4g} ({worse:.2f} times)"


def ratios_of(rows: Iterable[Row]) -> dict[str, float]:
    """Divide times of the same run by each other, each the fastest of its rounds.

    Native over its plain-torch twin; an instruction set over the next simpler one; more channels
    over fewer; a step over its forward pass; a frame over its drawing. Lower is better each time.
    """
    rows = [row for row in rows if row.backend != Backend.GSPLAT.value]
    ratios: dict[str, float] = {}
    by_case = defaultdict(list)
    for row in rows:
        by_case[(row.name, row.gaussians, row.size, row.channels, row.sigma)].append(row)
    for (name, gaussians, size, channels, sigma), same in by_case.items():
        case = f"{name} {gaussians} at {size} px"
        case += f", {channels} channels, sigma {sigma:g}" if channels else f", sigma {sigma:g}"
        ratios |= _ratios_of_case(case, same)
    return ratios | _channel_ratios(rows) | _frame_ratios(rows)


def find_slower(ratios: dict[str, float], baseline: Baseline) -> list[Slower]:
    """List the ratios that are worse than the baseline allows; those it does not know pass."""
    return [
        Slower(name=name, ratio=ratio, baseline=baseline.ratios[name])
        for name, ratio in ratios.items()
        if name in baseline.ratios and ratio > baseline.tolerance * baseline.ratios[name]
    ]


def load_baseline(path: Path, *, threads: int) -> Baseline:
    """Read a baseline that fits this run.

    Raises:
        FileFormatError: It is no baseline.
        InputError: It is missing, or was measured with another number of threads.
    """
    if not path.is_file():
        raise InputError(
            f"there is no baseline {path}",
            why="a ratio is compared with what it was before",
            fix="name it with --baseline, or write one with --save-baseline",
        )
    try:
        baseline = Baseline(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise FileFormatError(
            f"{path.name} is no baseline: {error}",
            why="it holds threads, tolerance and ratios",
            fix="write it again with --save-baseline",
        ) from error
    if baseline.threads != threads:
        raise InputError(
            f"{path.name} was measured with {baseline.threads} threads, this run with {threads}",
            why="threads help one side of a ratio more than the other",
            fix=f"use --threads {baseline.threads}",
        )
    return baseline


def save_baseline(path: Path, ratios: dict[str, float], *, threads: int) -> None:
    """Put ratios into a baseline; those of other workloads, and its tolerance, stay."""
    known, tolerance = {}, DEFAULT_TOLERANCE
    if path.is_file():
        before = load_baseline(path, threads=threads)
        known, tolerance = before.ratios, before.tolerance
    merged = {**known, **{name: float(f"{ratio:.4g}") for name, ratio in ratios.items()}}
    values = {"threads": threads, "tolerance": tolerance, "ratios": dict(sorted(merged.items()))}
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def _ratios_of_case(case: str, rows: Sequence[Row]) -> dict[str, float]:
    """Compare the contestants of one case with each other."""
    ratios = {}
    native = sorted((r for r in rows if r.isa), key=lambda row: ISAS.index(row.isa or ""))
    twin = next((row for row in rows if row.backend == Backend.REFERENCE.value), None)
    if not native:
        return {}
    best = native[-1]
    if twin is not None:
        ratios[f"{case}: forward, {best.isa} / torch"] = (
            best.times.best_forward_ms / twin.times.best_forward_ms
        )
        if best.times.best_step_ms and twin.times.best_step_ms:
            ratios[f"{case}: step, {best.isa} / torch"] = (
                best.times.best_step_ms / twin.times.best_step_ms
            )
    for simpler, richer in itertools.pairwise(native if best.name in ONCE_PER_ISA else []):
        ratios[f"{case}: forward, {richer.isa} / {simpler.isa}"] = (
            richer.times.best_forward_ms / simpler.times.best_forward_ms
        )
    if best.times.best_step_ms:
        ratios[f"{case}: step / forward, {best.isa}"] = (
            best.times.best_step_ms / best.times.best_forward_ms
        )
    return ratios


def _channel_ratios(rows: Iterable[Row]) -> dict[str, float]:
    """Compare numbers of channels, which otherwise are the same case."""
    groups = defaultdict(dict)
    for row in rows:
        if row.name == "raster" and row.isa:
            groups[(row.gaussians, row.size, row.sigma, row.isa)][row.channels] = row
    ratios = {}
    for (gaussians, size, sigma, isa), by_count in groups.items():
        case = f"raster {gaussians} at {size} px, sigma {sigma:g}"
        for few, more in itertools.pairwise(sorted(by_count)):
            ratio = by_count[more].times.best_forward_ms / by_count[few].times.best_forward_ms
            ratios[f"{case}: forward, {more} / {few} channels, {isa}"] = ratio
    return ratios


def _frame_ratios(rows: Iterable[Row]) -> dict[str, float]:
    """Compare frames with their drawing, and cloth that moves with cloth that does not."""
    times = {(r.name, r.isa, r.gaussians, r.size): r.times.best_forward_ms for r in rows if r.isa}
    ratios = {}
    for (name, isa, gaussians, size), time_ms in times.items():
        drawing = times.get(("animate.draw", isa, gaussians, size))
        if name == "animate" and drawing:
            ratios[f"animate {gaussians} at {size} px: frame / drawing, {isa}"] = time_ms / drawing
        stiff = times.get(("animate", isa, gaussians, size))
        way = name.removeprefix("animate.")
        if way in ("learned", "baked") and stiff:
            ratios[f"animate {gaussians} at {size} px: {way} / stiff, {isa}"] = time_ms / stiff
    return ratios
