"""Tell people and programs how far the work is; the only module that writes to a terminal.

Four voices with one vocabulary: a live display on a terminal, plain lines elsewhere, one JSON
event a line for programs, and silence, which is what callers of the Python API get.
"""

import io
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TextIO, TypeAlias, cast

from persona.core.errors import PersonaError
from persona.core.timing import Stopwatch, measured

Stream: TypeAlias = TextIO | io.TextIOBase
"""Where text goes."""

PLAIN_INTERVAL: Final = 5.0
"""Seconds between two plain lines of one stage: readable in a log file."""
EVENT_INTERVAL: Final = 0.5
"""Seconds between two events of one stage: enough for a progress bar elsewhere."""


class Stage:
    """One running stage. This one keeps count and says nothing."""

    def __init__(self, name: str, steps: int | None) -> None:
        self.name, self.steps, self.done, self.note = name, steps, 0, ""
        self.started = time.monotonic()

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Report ``count`` more finished steps, with a word on how it goes."""
        self.done += count
        self.note = note or self.note
        self.show()

    def table(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Show what is under way just now, a row each; only a live display has room for it."""

    def seconds_left(self) -> float | None:
        """Estimate the rest from the pace so far [s]; None before there is a pace."""
        if not self.steps or not self.done:
            return None
        elapsed = time.monotonic() - self.started
        return max(0.0, elapsed / self.done * (self.steps - self.done))

    def show(self) -> None:
        """Draw the state; voices override it."""


class Progress:
    """The silent voice, and the vocabulary of all others."""

    @contextmanager
    def stage(self, name: str, *, steps: int | None = None) -> Iterator[Stage]:
        """Announce a stage around a block; give its number of steps where it is known."""
        with measured() as watch:
            stage = self._begin(name, steps)
            try:
                yield stage
            except BaseException:
                self._end(stage, watch, finished=False)
                raise
            self._end(stage, watch, finished=True)

    def say(self, text: str) -> None:
        """Tell something worth knowing."""

    def warn(self, text: str) -> None:
        """Tell something that makes the result worse than it could be."""

    def result(self, values: Mapping[str, Any]) -> None:
        """Hand over what the command was asked for: names and plain values."""

    def error(self, error: PersonaError) -> None:
        """Say why nothing was made."""

    def _begin(self, name: str, steps: int | None) -> Stage:
        return Stage(name, steps)

    def _end(self, stage: Stage, watch: Stopwatch, *, finished: bool) -> None: ...


SILENT: Final = Progress()
"""Says nothing; the default of every function that takes a `Progress`."""


class PlainProgress(Progress):
    """Lines of text: news to ``err``, results to ``out``."""

    def __init__(self, *, out: Stream | None = None, err: Stream | None = None) -> None:
        self._out, self._err = out or sys.stdout, err or sys.stderr

    def say(self, text: str) -> None:
        """Write a line of news."""
        self._write(text)

    def warn(self, text: str) -> None:
        """Write a line that begins with "warning"."""
        self._write(f"warning: {text}")

    def result(self, values: Mapping[str, Any]) -> None:
        """Write one ``name: value`` a line."""
        for key, value in values.items():
            self._out.write(f"{key.replace('_', ' ')}: {value}\n")
        self._out.flush()

    def error(self, error: PersonaError) -> None:
        """Write what happened, why it is refused and what to do."""
        self._write(f"persona: {error.what}\n  why: {error.why}\n  fix: {error.fix}")

    def _write(self, text: str) -> None:
        self._err.write(f"{text}\n")
        self._err.flush()

    def _begin(self, name: str, steps: int | None) -> Stage:
        self._write(f"{name} ...")
        return _PlainStage(name, steps, self)

    def _end(self, stage: Stage, watch: Stopwatch, *, finished: bool) -> None:
        if finished:
            note = f" ({stage.note})" if stage.note else ""
            self._write(f"{stage.name}: {watch.cost().seconds:.1f} s{note}")


class _PlainStage(Stage):
    def __init__(self, name: str, steps: int | None, voice: PlainProgress) -> None:
        super().__init__(name, steps)
        self._voice, self._last = voice, time.monotonic()

    def show(self) -> None:
        now = time.monotonic()
        if now - self._last < PLAIN_INTERVAL:
            return
        self._last = now
        left = self.seconds_left()
        count = f"{self.done}/{self.steps}" if self.steps else str(self.done)
        rest = f", about {left:.0f} s left" if left is not None else ""
        note = f" ({self.note})" if self.note else ""
        self._voice.say(f"{self.name}: {count}{rest}{note}")


class TerminalProgress(PlainProgress):
    """A live line per running stage, with a bar and the time left."""

    def __init__(self, *, out: Stream | None = None, err: Stream | None = None) -> None:
        super().__init__(out=out, err=err)
        from rich.console import Console

        self._console = Console(file=cast(TextIO, self._err), highlight=False)

    def say(self, text: str) -> None:
        """Write a line above the running stages."""
        self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Write a yellow line above the running stages."""
        self._console.print(f"warning: {text}", style="yellow", markup=False)

    def _begin(self, name: str, steps: int | None) -> Stage:
        return _TerminalStage(name, steps, self._console)

    def _end(self, stage: Stage, watch: Stopwatch, *, finished: bool) -> None:
        assert isinstance(stage, _TerminalStage)  # ours: `_begin` made it
        stage.close()
        mark, style = ("done", "green") if finished else ("stopped", "red")
        note = f"  {stage.note}" if stage.note else ""
        seconds = watch.cost().seconds
        self._console.print(
            f"{mark} {stage.name}  {seconds:.1f} s{note}", style=style, markup=False
        )


class _TerminalStage(Stage):
    def __init__(self, name: str, steps: int | None, console: Any) -> None:
        super().__init__(name, steps)
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.table import Table
        from rich.text import Text

        class BarsAndRows(Bars):
            """The bar, and below it what is under way."""

            rows: Sequence[tuple[str, ...]] = ()

            def get_renderables(self) -> Iterator[Any]:
                """Give the bar, then the rows."""
                yield self.make_tasks_table(self.tasks)
                grid = Table.grid(padding=(0, 2))
                for row in self.rows:
                    grid.add_row("  ", *map(Text, row))
                yield grid

        self._bars = BarsAndRows(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),  # leaves room for the note on 80 columns
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._bars.add_task(name, total=steps, note="")
        self._bars.start()

    def show(self) -> None:
        self._bars.update(self._task, completed=self.done, note=self.note)

    def table(self, rows: Sequence[tuple[str, ...]]) -> None:
        self._bars.rows = rows

    def close(self) -> None:
        self._bars.stop()


class JsonProgress(Progress):
    """One JSON object a line on standard output, for programs."""

    def __init__(self, *, out: Stream | None = None) -> None:
        self._out = out or sys.stdout

    def say(self, text: str) -> None:
        """Emit a ``note`` event."""
        self.emit("note", text=text)

    def warn(self, text: str) -> None:
        """Emit a ``warning`` event."""
        self.emit("warning", text=text)

    def result(self, values: Mapping[str, Any]) -> None:
        """Emit the ``result`` event."""
        self.emit("result", **{key: _plain(value) for key, value in values.items()})

    def error(self, error: PersonaError) -> None:
        """Emit the ``error`` event."""
        kind = type(error).__name__
        self.emit("error", kind=kind, what=error.what, why=error.why, fix=error.fix)

    def emit(self, event: str, **values: Any) -> None:
        """Write one event."""
        self._out.write(json.dumps({"event": event, **values}) + "\n")
        self._out.flush()

    def _begin(self, name: str, steps: int | None) -> Stage:
        self.emit("stage_started", stage=name, steps=steps)
        return _JsonStage(name, steps, self)

    def _end(self, stage: Stage, watch: Stopwatch, *, finished: bool) -> None:
        cost = watch.cost()
        self.emit(
            "stage_finished" if finished else "stage_stopped",
            stage=stage.name,
            seconds=round(cost.seconds, 3),
            peak_memory=cost.peak_memory,
            note=stage.note,
        )


class _JsonStage(Stage):
    def __init__(self, name: str, steps: int | None, voice: JsonProgress) -> None:
        super().__init__(name, steps)
        self._voice, self._last = voice, 0.0

    def show(self) -> None:
        now = time.monotonic()
        if now - self._last >= EVENT_INTERVAL:
            self._last = now
            left = self.seconds_left()
            self._voice.emit(
                "progress",
                stage=self.name,
                done=self.done,
                steps=self.steps,
                seconds_left=None if left is None else round(left, 1),
                note=self.note,
            )


_CURRENT: ContextVar[Progress] = ContextVar("persona_progress", default=SILENT)


def current() -> Progress:
    """Return the voice that the command line chose; silence for callers of the Python API."""
    return _CURRENT.get()


@contextmanager
def speaking(voice: Progress) -> Iterator[Progress]:
    """Make ``voice`` the `current` one for a block."""
    token = _CURRENT.set(voice)
    try:
        yield voice
    finally:
        _CURRENT.reset(token)


def choose_voice(*, as_json: bool = False) -> Progress:
    """Pick the voice for this process: events, a live display, or plain lines."""
    if as_json:
        return JsonProgress()
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()


def _plain(value: Any) -> Any:
    """Let JSON through and turn the rest, paths above all, into text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
