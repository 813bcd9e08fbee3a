"""One protocol for everybody: draw every frame as its pose was given, some also with it refined."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from persona.core.errors import InputError
from persona.core.fingerprint import code_version, fingerprint
from persona.evaluation.ledger import FrameScore, Ledger
from persona.evaluation.methods import Drawer, Drawn, Posable
from persona.evaluation.picture_metrics import PictureMeter
from persona.evaluation.refit import RefitConfig, draw_fitted, refit
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.evaluation.surface_metrics import surface_errors
from persona.evaluation.temporal import Watcher

JUDGES: Final = ("evaluation", "images", "kernels", "rendering", "geometry")
"""Folders of this package whose code decides a number, beside those that make an avatar."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Which frames are measured, and how.

    Raises:
        InputError: A number makes no sense.
    """

    every: int = 1
    """One frame in so many is drawn and compared; flicker and jitter need all."""
    fitted_every: int = 10
    """One compared frame in so many is also drawn with its pose refined; 0 refines none."""
    surface_every: int = 1
    """One frame in so many has its surface compared, where that is known."""
    batch: int = 20
    """Frames between two savings."""
    refit: RefitConfig = field(default_factory=RefitConfig)
    """How poses are refined."""

    def __post_init__(self) -> None:
        counts = (self.every, self.surface_every, self.batch)
        if min(counts) < 1 or self.fitted_every < 0:
            raise InputError(
                f"one frame in {min(counts)} was asked for",
                why="frames are counted from 1; only fitted_every may be 0, for none",
                fix="leave the number away, or make it 1 or more",
            )


@runtime_checkable
class Fittable(Protocol):
    """A drawer that has its own way of being laid onto the true picture."""

    def draw_fitted(self, frame: SubjectFrame) -> Drawn | None:
        """Draw a frame moved to where the truth is; None where it cannot."""
        ...


@runtime_checkable
class Unposed(Protocol):
    """A drawer whose picture is only known when it was laid onto the true one."""

    @property
    def only_fitted(self) -> bool:
        """Whether the unfitted mode means nothing for it."""
        ...


def ledger_key(subject: Subject, drawer: Drawer, rules: Rules, meter: PictureMeter) -> str:
    """Name everything that the numbers depend on.

    A method counts by what it draws of the first frame: whatever changed it, changes that.
    """
    first = next(iter(subject.frames(0, 1)))
    drawn = drawer.draw(first)
    return fingerprint(
        (subject.name, subject.dataset, subject.frame_count, subject.fps, subject.photo.rgb),
        (first.picture, first.mask, first.camera, first.params, first.joints),
        (drawn.color, drawn.alpha),
        rules,
        sorted(meter.lpips),
        code_version(*JUDGES),
    )


def score_frames(
    subject: Subject,
    drawer: Drawer,
    rules: Rules,
    meter: PictureMeter,
    ledger: Ledger,
    *,
    tick: Callable[[int], None] = lambda _: None,
) -> list[FrameScore]:
    """Measure all frames of a subject; what the ledger holds is taken from there.

    One frame is in memory at a time, and the numbers of all.

    Args:
        subject: Whose frames.
        drawer: Who draws.
        rules: Which frames, and how.
        meter: What is measured.
        ledger: Where finished batches are.
        tick: Told how many frames are done.
    """
    scores: list[FrameScore] = []
    number = 0
    while len(scores) < subject.frame_count and number * rules.batch < subject.frame_count:
        kept = ledger.load(number)
        if kept is None:
            break
        scores.extend(kept)
        number += 1
        tick(min(number * rules.batch, subject.frame_count))
    start = number * rules.batch
    if start >= subject.frame_count:
        return scores
    timed = subject.fps is not None
    judge = _Judge(drawer=drawer, rules=rules, meter=meter, timed=timed)
    fresh: list[FrameScore] = []
    for frame in subject.frames(max(0, start - 2)):
        if frame.index < start:
            judge.recall(frame)
            continue
        if frame.index % rules.every == 0 or frame.surface is not None:
            found = judge.score(frame)
            if found is not None:
                fresh.append(found)
        done = frame.index + 1
        if done % rules.batch == 0 or done == subject.frame_count:
            ledger.save(frame.index // rules.batch, tuple(fresh))
            scores.extend(fresh)
            fresh = []
            tick(done)
    return scores


@dataclass
class _Judge:
    """Draws and measures frames in rising order."""

    drawer: Drawer
    rules: Rules
    meter: PictureMeter
    timed: bool
    watcher: Watcher = field(default_factory=Watcher)

    def recall(self, frame: SubjectFrame) -> None:
        """Draw a frame that was measured before: what follows is compared with it."""
        if self.timed and frame.index % self.rules.every == 0:
            self.watcher, _ = self.watcher.step(self.drawer.draw(frame), frame)

    def score(self, frame: SubjectFrame) -> FrameScore | None:
        """Measure a frame; None where there is nothing to measure."""
        numbers: dict[str, float] = {}
        fitted: dict[str, float] | None = None
        seconds, fit_seconds = 0.0, 0.0
        if frame.index % self.rules.every == 0:
            begun = time.perf_counter()
            drawn = self.drawer.draw(frame)
            seconds = time.perf_counter() - begun
            numbers |= self.meter.measure(drawn, frame)
            if self.timed:
                self.watcher, moved = self.watcher.step(drawn, frame)
                numbers |= moved
            begun = time.perf_counter()
            again = self._fitted(frame)
            fit_seconds = time.perf_counter() - begun
            fitted = None if again is None else self.meter.measure(again, frame)
        numbers |= self._surface(frame)
        if isinstance(self.drawer, Unposed):
            seconds = 0.0  # to read a file is not to draw
            numbers = {} if self.drawer.only_fitted else numbers
        if not numbers and not fitted:
            return None
        return FrameScore(
            index=frame.index,
            name=frame.name,
            unfitted=numbers,
            fitted=fitted,
            draw_seconds=seconds,
            fit_seconds=fit_seconds if fitted is not None else 0.0,
        )

    def _fitted(self, frame: SubjectFrame) -> Drawn | None:
        if isinstance(self.drawer, Fittable):
            return self.drawer.draw_fitted(frame)
        step = self.rules.every * self.rules.fitted_every
        if not step or frame.index % step or frame.params is None:
            return None
        if not isinstance(self.drawer, Posable):
            return None
        params = refit(self.drawer, frame, self.rules.refit)
        return draw_fitted(self.drawer, frame, params)

    def _surface(self, frame: SubjectFrame) -> Mapping[str, float]:
        if frame.surface is None or frame.index % self.rules.surface_every:
            return {}
        found = surface_errors(self.drawer, frame)
        if found is None:
            return {}
        return {
            "vertex_mm": found.vertex_mm,
            "accuracy_mm": found.accuracy_mm,
            "completeness_mm": found.completeness_mm,
            "normal_deg": found.normal_deg,
        }


def chosen_frames(subject: Subject, indices: set[int]) -> Iterator[SubjectFrame]:
    """Give some frames in order, reading no further than needed."""
    if not indices:
        return
    for frame in subject.frames(min(indices), max(indices) + 1):
        if frame.index in indices:
            yield frame
