"""A run on disk: every stage is saved as it ends, and a run that was killed goes on from there.

A finished stage is a folder ``stages/NAME`` that appears in one rename and holds the stage's
record and ``stage.json``. There is no second list that could disagree with the folders.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from persona.core.atomic import remove_leftovers, replacing_folder
from persona.core.config import load_config, save_config
from persona.core.errors import FileFormatError, InputError
from persona.core.fingerprint import code_version, fingerprint
from persona.core.progress import SILENT, Progress
from persona.core.timing import Cost, measured

Result = TypeVar("Result")

STAGE_FILE: Final = "stage.json"


@runtime_checkable
class Codec(Protocol):
    """Saves what stages return. `persona.records.storage` has the one for records."""

    def save(self, value: Any, folder: Path) -> None:
        """Write ``value`` into an empty folder."""
        ...

    def load(self, folder: Path) -> Any:
        """Read the value back, bit for bit; FileFormatError when the files are damaged."""
        ...


class JsonCodec:
    """A codec for plain JSON values, for stages that return no record."""

    def save(self, value: Any, folder: Path) -> None:
        """Write ``value.json``."""
        (folder / "value.json").write_text(json.dumps(value))

    def load(self, folder: Path) -> Any:
        """Read ``value.json``."""
        try:
            return json.loads((folder / "value.json").read_bytes())
        except (OSError, ValueError) as error:
            raise FileFormatError(
                f"{folder} holds no readable value: {error}",
                why="a finished stage keeps its result there",
                fix="delete the folder; the stage will run again",
            ) from error


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What one stage did, as its ``stage.json`` says."""

    name: str
    """Name of the stage."""
    made_from: str
    """Fingerprint of inputs, settings and code."""
    output: str
    """Fingerprint of the result."""
    seconds: float
    """Time on the clock when it really ran [s]."""
    cpu_seconds: float
    """Time of all threads when it really ran [s]."""
    peak_memory: int
    """Largest resident size of the process up to its end [bytes]."""
    finished_at: float
    """When it ended [s since 1970]."""


@dataclass(kw_only=True)
class RunFolder:
    """One run and where it lives. Open it with `RunFolder.open`."""

    path: Path
    """Folder of the run."""
    codec: Codec
    """How results are written."""
    code: str
    """Version of the code; a stage of another version runs again."""
    progress: Progress = SILENT
    """Who hears about stages."""
    reports: list[StageReport] = field(default_factory=list)
    """Stages of this run so far, in order."""
    resumed: set[str] = field(default_factory=set)
    """Names of the stages that were already finished."""
    _known: dict[int, tuple[Any, str]] = field(default_factory=dict)

    @staticmethod
    @contextmanager
    def open(
        path: Path,
        *,
        codec: Codec,
        progress: Progress = SILENT,
        code: str | None = None,
    ) -> "Iterator[RunFolder]":
        """Open or create the run at ``path`` for one process at a time.

        Args:
            path: Folder of the run.
            codec: How results are written.
            progress: Who hears about stages.
            code: Version of the code; None hashes this package's files.

        Raises:
            InputError: Another process works on this run.
        """
        (path / "stages").mkdir(parents=True, exist_ok=True)
        with (path / ".lock").open("w") as lock:
            try:
                # The system gives the lock back when the process ends, however it ends.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{path} is in use",
                    why="another persona works on this run",
                    fix="wait for it, or choose another --out",
                ) from error
            remove_leftovers(path / "stages")
            yield RunFolder(path=path, codec=codec, code=code or code_version(), progress=progress)

    def step(
        self,
        name: str,
        function: Callable[..., Result],
        *inputs: Any,
        key: Any = None,
        steps: int | None = None,
    ) -> Result:
        """Run one stage, or load what it returned when nothing it depends on has changed.

        Args:
            name: Name of the stage and of its folder.
            function: Called with ``inputs``; its result must be something the codec can save.
            *inputs: What it depends on, by content.
            key: Whatever else it depends on: its settings, seed, model files.
            steps: How many steps it reports. It is then also called with ``tick``, which takes
                the number of steps done so far.
        """
        made_from = fingerprint(name, self.code, key, [self._fingerprint(item) for item in inputs])
        folder = self.path / "stages" / name
        finished = self._finished(folder, made_from)
        if finished is not None:
            report, result = finished
            self.resumed.add(name)
            self.progress.say(f"{name}: finished earlier, nothing it depends on has changed")
        else:
            report, result = self._run(name, function, inputs, folder, made_from, steps)
        self.reports.append(report)
        self._known[id(result)] = (result, report.output)
        return result

    def _run(
        self,
        name: str,
        function: Callable[..., Result],
        inputs: tuple[Any, ...],
        folder: Path,
        made_from: str,
        steps: int | None,
    ) -> tuple[StageReport, Result]:
        with measured() as watch, self.progress.stage(name, steps=steps) as stage:
            if steps is None:
                result = function(*inputs)
            else:
                result = function(*inputs, tick=lambda done: stage.advance(done - stage.done))
        output = fingerprint(result)
        report = _report(name, made_from, output, watch.cost())
        with replacing_folder(folder) as partial:
            self.codec.save(result, partial)
            save_config(partial / STAGE_FILE, report)
        return report, result

    def _finished(self, folder: Path, made_from: str) -> tuple[StageReport, Any] | None:
        """Return the finished stage, or None when it must run."""
        if not (folder / STAGE_FILE).is_file():
            return None
        try:
            report = load_config(folder / STAGE_FILE, StageReport)
            if report.made_from != made_from:
                return None
            result = self.codec.load(folder)
            whole = fingerprint(result) == report.output
        except FileFormatError as error:
            self.progress.warn(f"{folder.name}: cannot be read back ({error.what}); it runs again")
            return None
        if not whole:
            self.progress.warn(f"{folder.name}: its files were changed since; it runs again")
            return None
        return report, result

    def _fingerprint(self, value: Any) -> str:
        """Hash an input; results of earlier steps were hashed when they were made."""
        held = self._known.get(id(value))
        return held[1] if held is not None else fingerprint(value)


def _report(name: str, made_from: str, output: str, cost: Cost) -> StageReport:
    return StageReport(
        name=name,
        made_from=made_from,
        output=output,
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        peak_memory=cost.peak_memory,
        finished_at=time.time(),
    )
