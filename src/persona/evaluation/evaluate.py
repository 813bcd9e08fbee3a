"""Evaluate: every method on every subject, under one protocol, into one report."""

import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import torch

import persona
from persona.core.atomic import remove_leftovers
from persona.core.errors import InputError, MissingPartError, OptimizationError, PersonaError
from persona.core.fingerprint import code_version, fingerprint
from persona.core.progress import current
from persona.evaluation.evaluation_page import Strip, write_page
from persona.evaluation.frames_of_others import FramesMethod
from persona.evaluation.ledger import FrameScore, Ledger
from persona.evaluation.methods import Drawer, Drawn, Method, Timed
from persona.evaluation.picture_metrics import PictureMeter
from persona.evaluation.protocol import (
    Fittable,
    Unposed,
    chosen_frames,
    ledger_key,
    score_frames,
)
from persona.evaluation.published import PUBLISHED
from persona.evaluation.readers.opening import Opener
from persona.evaluation.results import (
    Provenance,
    Refusal,
    Results,
    StageCost,
    SubjectFacts,
    rows_of,
    save_results,
)
from persona.evaluation.spec import EvaluationSpec, SubjectSpec
from persona.evaluation.strips import strip_of
from persona.evaluation.subjects import Subject, SubjectFrame

WORST: Final = 10
"""Frames that are shown because the first method did worst in them."""
SHOWN: Final = 3
"""Frames of every subject that are shown, evenly spread."""
PAGE, NUMBERS = "index.html", "results.json"
REFUSALS: Final = (InputError, MissingPartError, OptimizationError)
"""What one subject or method may fail by; a core that cannot run would fail all of them."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What to evaluate, and with what."""

    spec: EvaluationSpec
    """Whom, how."""
    opener: Opener
    """Opens subjects."""
    methods: Mapping[str, Method]
    """All that can be run here, by name."""
    meter: PictureMeter = field(default_factory=PictureMeter)
    """What is measured."""
    command: str = ""
    """For the report: how to do it again."""
    seed: int = 0
    """Of intervals."""

    def chosen(self) -> list[Method]:
        """Give the methods of the specification, ours first.

        Raises:
            InputError: One has no such name, or two have the same.
        """
        unknown = [name for name in self.spec.methods if name not in self.methods]
        if unknown:
            raise InputError(
                f"no method is called {unknown[0]!r}",
                why=f"there are {', '.join(self.methods)}",
                fix="correct the spelling; frames of others belong below [[others]]",
            )
        found: list[Method] = [self.methods[name] for name in self.spec.methods]
        found += [FramesMethod(other=o, root=self.opener.root) for o in self.spec.others]
        names = [method.name for method in found]
        if not found or len(set(names)) != len(names):
            raise InputError(
                f"{len(names)} methods with {len(set(names))} names were given",
                why="rows of the table are told apart by them, and there must be one",
                fix="rename one below [[others]]",
            )
        return found


@dataclass
class _Findings:
    """What has come together so far."""

    scores: dict[tuple[str, str], Sequence[FrameScore]] = field(default_factory=dict)
    subjects: list[SubjectFacts] = field(default_factory=list)
    made: dict[tuple[str, str], float] = field(default_factory=dict)
    costs: list[StageCost] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    worst: list[tuple[float, Strip]] = field(default_factory=list)

    def refuse(self, subject: str, method: str, error: PersonaError) -> None:
        """Write down what could not be done, and say it."""
        current().warn(f"{subject}, {method}: {error.what}")
        self.refusals.append(
            Refusal(subject=subject, method=method, what=error.what, why=error.why)
        )


def evaluate(job: Evaluation, report: Path) -> Results:
    """Run everything that is not done yet, and write page and numbers.

    Args:
        job: What to evaluate.
        report: Folder for `PAGE`, `NUMBERS`, and what a next run goes on from.

    Raises:
        InputError: The specification asks for what does not exist.
    """
    methods = job.chosen()
    work = report / "work"
    work.mkdir(parents=True, exist_ok=True)
    remove_leftovers(report)
    found = _Findings()
    for spec in job.spec.subjects:
        try:
            subject = job.opener.open(spec)
        except REFUSALS as error:
            found.refuse(spec.name, "all", error)
            continue
        found.subjects.append(_facts(subject, spec))
        _evaluate_subject(job, subject, methods, work, found)
    results = _gathered(job, methods, found)
    worst = [strip for _, strip in sorted(found.worst, key=lambda pair: pair[0])][:WORST]
    write_page(results, report / PAGE, strips=found.strips, worst=worst)
    save_results(report / NUMBERS, results)
    return results


def _evaluate_subject(
    job: Evaluation, subject: Subject, methods: Sequence[Method], work: Path, found: _Findings
) -> None:
    drawers: dict[str, Drawer] = {}
    for method in methods:
        try:
            begun = time.perf_counter()
            drawer = method.prepare(subject)
            seconds = time.perf_counter() - begun
            scores = _scored(job, subject, method.name, drawer, work)
        except REFUSALS as error:
            found.refuse(subject.name, method.name, error)
            continue
        drawers[method.name] = drawer
        made = method.made_seconds(subject) if isinstance(method, Timed) else None
        if made is not None:
            found.made[subject.name, method.name] = made
        found.scores[subject.name, method.name] = scores
        found.costs += _costs(subject.name, method.name, seconds, scores)
    if not drawers:
        return
    first = next(iter(drawers))
    compared = [s for s in found.scores[subject.name, first] if "psnr_box" in _numbers(s)]
    ranked = sorted(compared, key=_closeness)
    shown = _spread([score.index for score in compared])
    worst = {score.index: _closeness(score) for score in ranked[:WORST]}
    for frame, drawn in _drawn(subject, drawers, set(shown) | set(worst)):
        title = f"{subject.name}, frame {frame.name}"
        strip = strip_of(frame, drawn, title=title)
        if frame.index in shown:
            found.strips.append(strip)
        if frame.index in worst:
            words = f"{title}: {worst[frame.index]:.2f} dB in the box"
            found.worst.append((worst[frame.index], replace(strip, title=words)))


def _scored(
    job: Evaluation, subject: Subject, method: str, drawer: Drawer, work: Path
) -> list[FrameScore]:
    rules = job.spec.rules
    ledger = Ledger(
        work / "scores" / f"{subject.name}_{method}",
        ledger_key(subject, drawer, rules, job.meter),
    )
    with current().stage(f"{subject.name}: {method}", steps=subject.frame_count) as bar:
        return score_frames(
            subject,
            drawer,
            rules,
            job.meter,
            ledger,
            tick=lambda done: bar.advance(done - bar.done),
        )


def _drawn(
    subject: Subject, drawers: Mapping[str, Drawer], indices: set[int]
) -> Iterator[tuple[SubjectFrame, dict[str, Drawn]]]:
    """Draw some frames again, by everybody."""
    for frame in chosen_frames(subject, indices):
        pictures = {}
        for name, drawer in drawers.items():
            laid = isinstance(drawer, Unposed) and drawer.only_fitted
            fitted = drawer.draw_fitted(frame) if laid and isinstance(drawer, Fittable) else None
            pictures[name] = drawer.draw(frame) if fitted is None else fitted
        yield frame, pictures


def _numbers(score: FrameScore) -> Mapping[str, float]:
    return score.unfitted or score.fitted or {}


def _closeness(score: FrameScore) -> float:
    return _numbers(score)["psnr_box"]


def _spread(indices: Sequence[int]) -> list[int]:
    """Choose a few, evenly spread, none at the very ends."""
    at = (np.arange(SHOWN) + 0.5) / SHOWN * len(indices)
    return [indices[int(k)] for k in at] if indices else []


def _costs(
    subject: str, method: str, prepare: float, scores: Sequence[FrameScore]
) -> list[StageCost]:
    stages = {
        "prepare": [prepare],
        "draw a frame": [s.draw_seconds for s in scores if s.draw_seconds > 0],
        "refine a pose": [s.fit_seconds for s in scores if s.fit_seconds > 0],
    }
    return [
        StageCost(subject=subject, method=method, stage=stage, seconds=sum(taken), count=len(taken))
        for stage, taken in stages.items()
        if taken
    ]


def _facts(subject: Subject, spec: SubjectSpec) -> SubjectFacts:
    source = "generated" if spec.path is None else Path(spec.path).name
    if spec.other is not None:
        source += f", judged by {Path(spec.other).name}"
    return SubjectFacts(
        name=subject.name,
        dataset=subject.dataset,
        frames=subject.frame_count,
        fps=subject.fps,
        photo_digest=fingerprint(subject.photo.rgb),
        source=source,
    )


def _gathered(job: Evaluation, methods: Sequence[Method], found: _Findings) -> Results:
    rules = job.spec.rules
    plain = {
        "every": float(rules.every),
        "fitted_every": float(rules.fitted_every),
        "surface_every": float(rules.surface_every),
        "refit_steps": float(rules.refit.steps),
        "refit_rows": float(rules.refit.rows),
    }
    groups = job.spec.published
    return Results(
        name=job.spec.name,
        provenance=Provenance(
            command=job.command,
            versions={
                "persona": persona.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": version("numpy"),
                "mediapipe": version("mediapipe"),
            },
            code=code_version(),
            seed=job.seed,
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        ),
        rules=plain,
        methods={method.name: method.about for method in methods},
        subjects=tuple(found.subjects),
        rows=tuple(rows_of(found.scores, made=found.made, seed=job.seed)),
        costs=tuple(found.costs),
        refusals=tuple(found.refusals),
        published=tuple(score for group in groups for score in PUBLISHED[group]),
    )
