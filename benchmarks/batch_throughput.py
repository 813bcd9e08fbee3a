"""Avatars per hour on one machine, and how busy its card is while they learn.

    python benchmarks/batch_throughput.py PHOTO RUN --jobs 12 --workers 12 --threads 1 --out DIR

RUN is what ``persona create PHOTO --prepare`` left beside its avatar: machines without MediaPipe
take its first stage, ``perceive``, from there and do all others. Jobs differ by their seed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from persona.batch.head import run_batch
from persona.batch.jobs import Job, name_of
from persona.batch.pool import Limits, LocalPool
from persona.batch.receipts import read_receipt
from persona.batch.storage import Shelf
from persona.core.fingerprint import code_version, fingerprint
from persona.core.progress import PlainProgress
from persona.pipeline.create import read_photo

GPU_STAGES = ("learn", "refine")
"""Stages that a card is used in."""
EVERY_SECONDS = 1.0


class Watching(LocalPool):
    """A pool that notes how busy the card is, and how many jobs are where it is used."""

    def __init__(self, *args, **words):
        super().__init__(*args, **words)
        self.seen: list[tuple[int, int]] = []
        self._last = 0.0

    def wait(self):
        """Note, once a second, and wait."""
        now = time.monotonic()
        if now - self._last >= EVERY_SECONDS:
            self._last = now
            using = sum(doing.stage in GPU_STAGES for doing in self.doing())
            self.seen.append((using, utilization()))
        return super().wait()


def utilization() -> int:
    """Ask the driver how busy the card was in the last moment [%]; -1 without one."""
    words = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return -1
    return int(said.split()[0])


def plan(args: argparse.Namespace, shelf: Shelf) -> list[Job]:
    """Make jobs that differ by seed, each with what was perceived before."""
    jobs = []
    for seed in range(args.first_seed, args.first_seed + args.jobs):
        options = {"preset": args.preset, "seed": seed, "refine": args.refine}
        key = fingerprint("throughput", options, code_version())
        job = Job(
            key=key,
            name=name_of(str(args.photo)),
            kind="create",
            source=str(args.photo),
            options=options,
            code=code_version(),
        )
        if args.run is not None:
            run = shelf.root / "results" / f".{job.output}.run" / "stages" / "perceive"
            shutil.copytree(args.run / "stages" / "perceive", run)
            adopt(run / "stage.json", args.photo)
        jobs.append(job)
    return jobs


def adopt(report: Path, photo: Path) -> None:
    """Let this machine's build of the code go on from what another's has seen in the photo."""
    facts = json.loads(report.read_text())
    choices = (None, False)  # nobody was chosen, nothing may be missing
    made_from = fingerprint("perceive", code_version(), choices, [fingerprint(read_photo(photo))])
    report.write_text(json.dumps({**facts, "made_from": made_from}))


def mean(values: list[float]) -> float:
    """Give the mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def main() -> None:
    """Run, and print what it took as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="standard")
    for name, default in (("jobs", 8), ("workers", 2), ("threads", 1), ("refine", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    shelf = Shelf(str(args.out))
    jobs = plan(args, shelf)
    pool = Watching(shelf.url, workers=args.workers, threads=args.threads, limits=Limits())
    began = time.perf_counter()
    counts = run_batch(jobs, shelf, pool, progress=PlainProgress(), planned=len(jobs))
    seconds = time.perf_counter() - began
    receipts = [found for job in jobs if (found := read_receipt(shelf, job.key)) is not None]
    done = [receipt for receipt in receipts if receipt.state == "done"]
    stages = sorted({name for receipt in done for name in receipt.stages})
    learning = [busy for using, busy in pool.seen if using > 0]
    full = [busy for using, busy in pool.seen if using >= max(1, args.workers // 2)]
    told = {
        "jobs": args.jobs,
        "workers": args.workers,
        "threads": args.threads,
        "refine": args.refine,
        "done": counts.done,
        "errors": sorted({receipt.error.get("what", "") for receipt in receipts} - {""}),
        "seconds": round(seconds, 1),
        "avatars_per_hour": round(3600 * counts.done / seconds, 1),
        "stages": {n: round(mean([r.stages.get(n, 0.0) for r in done]), 1) for n in stages},
        "peak_gib": round(max((r.peak_memory for r in done), default=0) / 2**30, 2),
        "card_busy_percent": round(mean([busy for _, busy in pool.seen]), 1),
        "card_busy_while_learning_percent": round(mean(learning), 1),
        "card_busy_with_half_of_the_workers_learning_percent": round(mean(full), 1),
        "seconds_of_that": len(full),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
