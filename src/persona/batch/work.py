"""Do one job in this process, and say what became of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from persona.batch.commands import animate, evaluate
from persona.batch.jobs import Job
from persona.batch.receipts import Receipt, refused
from persona.batch.recorder import Recorder
from persona.batch.storage import Shelf, fetched
from persona.core.atomic import replacing_file
from persona.core.errors import BackendError, PersonaError
from persona.core.fingerprint import code_version
from persona.core.progress import speaking
from persona.core.timing import measured, peak_memory

RESULTS: Final = "results"
"""Folder of what the jobs make."""
THUMBNAILS: Final = "thumbnails"
THUMBNAIL_PX: Final = 320
"""Height of a thumbnail."""


def do_job(
    facts: Mapping[str, Any],
    url: str,
    *,
    heard: Callable[[str], None] = lambda _: None,
    prepare: bool = False,
) -> dict[str, Any]:
    """Do a job and write its result; the receipt is written by whoever gave it.

    Args:
        facts: The fields of a `Job`, plain values.
        url: Where results go.
        heard: Told the name of every stage as it begins.
        prepare: Do only what needs no GPU; a later call, on any machine with the same disk, goes on
            from there.

    Returns:
        The fields of a `Receipt`, plain values; nothing of what was only prepared. Refusals are
        receipts, too; what is not foreseen, and disks that cannot be written, are raised.
    """
    job, shelf, recorder = Job(**facts), Shelf(url), Recorder(heard)
    try:
        with measured() as watch, speaking(recorder):
            _same_code(job)
            with fetched(job.source, shelf.root / ".inputs") as source:
                target = shelf.root / RESULTS / job.output
                target.parent.mkdir(parents=True, exist_ok=True)
                shelf.sweep(f"{RESULTS}/{job.output}")
                if prepare:
                    _prepare(job, source, target, recorder)
                    return {}
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


def _prepare(job: Job, source: Path, target: Path, recorder: Recorder) -> None:
    """Do what a graphics card is not needed for: seeing, fitting, simulating."""
    from persona.pipeline.create import create

    if job.kind == "create":
        create(source, out=target, progress=recorder, prepare=True, **job.options)


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


def _animate(
    job: Job, source: Path, target: Path, shelf: Shelf, recorder: Recorder
) -> tuple[dict[str, float], list[str]]:
    del shelf
    return animate(source, target, job.options, recorder), []


def _evaluate(
    job: Job, source: Path, target: Path, shelf: Shelf, recorder: Recorder
) -> tuple[dict[str, float], list[str]]:
    del shelf
    return evaluate(source, target, job.options, recorder), []


_WORK: Final = {"create": _create, "animate": _animate, "evaluate": _evaluate}
