"""Make avatars of many photos, or animate or evaluate many avatars; the same command goes on.

What is done is kept: results, receipts, and a report to look at. A batch that was stopped or killed
goes on when the same command is given again.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import tyro

from persona.core.errors import InputError
from persona.core.progress import current

EXIT_SOME_FAILED = 6
"""The batch is over, and some of its jobs did not end well."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona batch` takes."""

    inputs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Photos, folders of them, or URLs such as s3://bucket/photos. With animate or evaluate as the
    first word: avatars, or folders of them."""
    out: str
    """Folder or URL for everything that comes out."""
    workers: int | None = None
    """Jobs at a time; left out, one for every two cores."""
    threads: int | None = None
    """Threads of each worker; left out, the cores divided by the workers."""
    ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Work on the Ray cluster at this address; local starts one on this machine."""
    gpus: float = 0.0
    """GPUs of each job with --ray: 0.25 lets four share one."""
    retry_failed: bool = False
    """Do again what was refused or given up before."""
    shard: Annotated[str, tyro.conf.arg(metavar="I/N")] = "1/1"
    """Do the I-th of N parts, for arrays of a scheduler; all parts may share one --out."""
    minutes: float = 60.0
    """Most time a job may take."""
    gigabytes: float = 8.0
    """Most memory a worker may take [GiB]."""
    preset: Literal["draft", "standard", "studio"] = "standard"
    """For photos: as of `persona create`."""
    generator: Literal["physics", "none"] | None = None
    """For photos: as of `persona create`."""
    allow_partial: bool = False
    """For photos: as of `persona create`."""
    body: Path | None = None
    """For photos: as of `persona create`; every worker must find the file there."""
    seed: int = 0
    """For photos: as of `persona create`."""
    motion: str = "walk"
    """For animate: as of `persona animate`."""
    size: int = 720
    """For animate: height of the picture [px]."""


def run(args: Args) -> int:
    """Do the batch; return 0, or 6 when some jobs did not end well."""
    from persona.batch.head import batch_result, run_batch, write_manifest
    from persona.batch.jobs import plan_jobs
    from persona.batch.storage import PHOTOS, Shelf, expand
    from persona.batch.summary import write_summary

    kind, inputs = _kind(args)
    shelf = Shelf(args.out)
    shelf.check()
    sources = expand(inputs, PHOTOS if kind == "create" else (".persona",))
    shard = _shard(args.shard)
    jobs = list(plan_jobs(kind, sources, _options(args, kind), shard=shard))
    if shard == (1, 1):
        write_manifest(jobs, shelf)
    pool = _pool(args, shelf)
    voice = current()
    try:
        counts = run_batch(
            jobs,
            shelf,
            pool,
            progress=voice,
            planned=len(jobs),
            retry_failed=args.retry_failed,
        )
    finally:
        write_summary(shelf)
    voice.result(batch_result(counts, args.out))
    return EXIT_SOME_FAILED if counts.failed or counts.quarantined else 0


def _kind(args: Args) -> tuple[Any, tuple[str, ...]]:
    if args.inputs and args.inputs[0] in ("create", "animate", "evaluate"):
        return args.inputs[0], args.inputs[1:]
    return "create", args.inputs


def _options(args: Args, kind: str) -> dict[str, Any]:
    if kind == "create":
        options = {
            "preset": args.preset,
            "seed": args.seed,
            "allow_partial": args.allow_partial,
            "generator": args.generator,
        }
        return options | ({"body": str(args.body.resolve())} if args.body else {})
    return {"motion": args.motion, "size": args.size} if kind == "animate" else {}


def _shard(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit()):
        raise InputError(
            f"--shard {text} is no part of a whole",
            why="it is two numbers with a stroke between",
            fix="give --shard 3/8 for the third of eight parts",
        )
    return int(part), int(parts)


def _pool(args: Args, shelf: Any) -> Any:
    from persona.batch.pool import Limits, LocalPool

    cores = len(os.sched_getaffinity(0))
    workers = max(1, cores // 2) if args.workers is None else args.workers
    if not 1 <= workers <= 1024:
        raise InputError(
            f"{workers} workers were asked for",
            why="there is at least one, and no machine feeds more than a thousand",
            fix="leave --workers away",
        )
    threads = max(1, cores // workers) if args.threads is None else args.threads
    limits = Limits(seconds=60 * args.minutes, gigabytes=args.gigabytes)
    if args.ray is None:
        if args.gpus:
            raise InputError(
                "--gpus was given without --ray",
                why="workers of one machine find its GPU themselves",
                fix="add --ray local, or leave --gpus away",
            )
        return LocalPool(shelf.url, workers=workers, threads=threads, limits=limits)
    from persona.batch.ray_pool import RayPool

    return RayPool(
        shelf.url,
        address=cast(str, args.ray),
        workers=workers,
        threads=threads,
        gpus=args.gpus,
        limits=limits,
    )
