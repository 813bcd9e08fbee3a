"""Do one job in this process, and say what became of it."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from persona.batch.jobs import Job
from persona.batch.receipts import Receipt, refused
from persona.batch.storage import Shelf, fetched
from persona.core.atomic import replacing_file
from persona.core.errors import BackendError, InputError, PersonaError
from persona.core.fingerprint import code_version
from persona.core.progress import Progress, Stage, speaking
from persona.core.timing import Stopwatch, measured, peak_memory

RESULTS: Final = "results"
"""Folder of what the jobs make."""
THUMBNAILS: Final = "thumbnails"
THUMBNAIL_PX: Final = 320
"""Height of a thumbnail."""


class Recorder(Progress):
    """A voice that keeps the time of every stage, and the warnings."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warnings.append(text)

    def _end(self, stage: Stage, watch: Stopwatch, *, finished: bool) -> None:
        if finished:
            self.seconds[stage.name] = round(watch.cost().seconds, 3)


def do_job(facts: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Do a job and write its result; the receipt is written by whoever gave it.

    Args:
        facts: The fields of a `Job`, plain values.
        url: Where results go.

    Returns:
        The fields of a `Receipt`, plain values. Refusals are receipts, too; what is not foreseen,
        and disks that cannot be written, are raised.
    """
    job, shelf, recorder = Job(**facts), Shelf(url), Recorder()
    try:
        with measured() as watch, speaking(recorder):
            _same_code(job)
            with fetched(job.source, shelf.root / ".inputs") as source:
                target = shelf.root / RESULTS / job.output
                target.parent.mkdir(parents=True, exist_ok=True)
                numbers, warnings = _WORK[job.kind](job, source, target, shelf, recorder)
            shelf.publish(f"{RESULTS}/{job.output}")
    except PersonaError as error:
        receipt = refused(
            job,
            "failed",
            error,
            seconds=watch.cost().seconds,
            stages=recorder.seconds,
            finished_at=time.time(),
        )
    else:
        output = f"{RESULTS}/{job.output}"
        receipt = Receipt(
            key=job.key,
            name=job.name,
            kind=job.kind,
            state="done",
            output=output,
            files=shelf.sizes(output),
            seconds=watch.cost().seconds,
            stages=recorder.seconds,
            peak_memory=peak_memory(),
            numbers=numbers,
            warnings=[*recorder.warnings, *warnings],
            finished_at=time.time(),
        )
    return {field.name: getattr(receipt, field.name) for field in fields(receipt)}


def _same_code(job: Job) -> None:
    if job.code != code_version():
        raise BackendError(
            "this worker has another persona than the one that planned the job",
            why="the same plan must give the same results on every machine",
            fix="install the same version on all machines of the cluster",
        )


def _create(
    job: Job, source: Path, target: Path, shelf: Shelf, recorder: Recorder
) -> tuple[dict[str, float], list[str]]:
    from persona.pipeline.create import create

    avatar = create(source, out=target, progress=recorder, **job.options)
    name = f"{THUMBNAILS}/{job.key}.jpg"
    _thumbnail(target / "preview.mp4", shelf.root / name)
    shelf.publish(name)
    return avatar.numbers, list(avatar.warnings)


def _thumbnail(film: Path, path: Path) -> None:
    """Keep the first picture of a preview."""
    from PIL import Image

    from persona.images.clips import open_clip

    first = next(iter(open_clip(film).frames())).picture
    picture = Image.fromarray(first)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as partial:
        picture.save(partial, "JPEG", quality=85)


def _command(
    job: Job, source: Path, target: Path, shelf: Shelf, recorder: Recorder
) -> tuple[dict[str, float], list[str]]:
    """Run `persona KIND` on an avatar in a process of its own, and listen to its events."""
    del shelf
    words = [sys.executable, "-m", "persona", job.kind, str(source), "--out", str(target)]
    words += [word for name, value in job.options.items() for word in _flag(name, value)]
    result: dict[str, float] = {}
    with _running([*words, "--json"]) as lines:
        for line in lines:
            event = json.loads(line)
            if event["event"] == "stage_finished":
                recorder.seconds[event["stage"]] = event["seconds"]
            elif event["event"] == "warning":
                recorder.warn(event["text"])
            elif event["event"] == "result":
                numbers = {k: v for k, v in event.items() if isinstance(v, int | float)}
                result.update({k: float(v) for k, v in numbers.items()})
            elif event["event"] == "error":
                raise InputError(event["what"], why=event["why"], fix=event["fix"])
    return result, []


@contextmanager
def _running(words: list[str]) -> Iterator[Iterator[str]]:
    """Give the lines of a command's output; it must end well once they are read."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout.readline, "")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise BackendError(
            f"persona {words[3]} ended with {process.returncode}",
            why="it broke, or was killed",
            fix="run it alone on this input to see more",
        )


def _flag(name: str, value: Any) -> list[str]:
    """Write an option as the command line wants it."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag] if value else []
    return [] if value is None else [f"{flag}={value}"]


def free_space(folder: Path) -> int:
    """Say how much room is left [bytes]."""
    return shutil.disk_usage(folder).free


_WORK: Final = {"create": _create, "animate": _command, "evaluate": _command}
