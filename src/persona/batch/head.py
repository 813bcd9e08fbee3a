"""The head of a batch: skip what is done, give out the rest, keep a receipt of everything."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from persona.batch.jobs import Job
from persona.batch.pool import Ended, Pool
from persona.batch.receipts import (
    TRIES,
    Receipt,
    is_whole,
    read_receipt,
    refused,
    write_receipt,
)
from persona.batch.storage import Shelf, unwritable
from persona.core.errors import BackendError
from persona.core.progress import Progress, Stage

MANIFEST: Final = "manifest.jsonl"
"""What was planned, a job a line."""
CRASH: Final = "a job takes its worker with it: memory, time, or a bug of native code"


@dataclass(kw_only=True)
class Counts:
    """How far a batch is."""

    planned: int = 0
    """Jobs of the plan."""
    kept: int = 0
    """Done before, and whole."""
    done: int = 0
    """Done now."""
    failed: int = 0
    """Refused, now or before."""
    quarantined: int = 0
    """Gone with their workers, now or before."""

    def note(self, busy: int) -> str:
        """Say it in a few words."""
        words = [f"{busy} running", f"{self.kept} kept"] if self.kept else [f"{busy} running"]
        bad = {"failed": self.failed, "quarantined": self.quarantined}
        return ", ".join([*words, *(f"{count} {name}" for name, count in bad.items() if count)])


def run_batch(
    jobs: Iterable[Job],
    shelf: Shelf,
    pool: Pool,
    *,
    progress: Progress,
    planned: int | None = None,
    retry_failed: bool = False,
) -> Counts:
    """Do all jobs that are not done; whatever happens to one, the others go on.

    The head holds no more than the jobs that are under way: plans of any length take the same
    memory. A result exists before its receipt does, so that a batch that was killed anywhere finds
    nothing that is half there.

    Args:
        jobs: The plan, in order.
        shelf: Where results and receipts go.
        pool: Who works; closed at the end.
        progress: Who hears about it.
        planned: How many there are, where it is known.
        retry_failed: Do again what was refused or quarantined before.

    Raises:
        BackendError: Results cannot be written.
    """
    counts, again = Counts(), deque[Job]()
    tries: dict[str, int] = {}
    plan = iter(jobs)
    try:
        with progress.stage("batch", steps=planned) as stage:
            more = True
            while more or again or pool.busy():
                while pool.room() > 0 and (more or again):
                    job = again.popleft() if again else next(plan, None)
                    if job is None:
                        more = False
                    elif job.key in tries or _is_due(job, shelf, counts, stage, retry=retry_failed):
                        pool.submit(job)
                for ended in pool.wait() if pool.busy() else ():
                    if _settle(ended, shelf, counts, tries, progress):
                        stage.advance(note=counts.note(pool.busy()))
                    else:
                        again.append(ended.job)
    finally:
        pool.close()
    return counts


def _is_due(job: Job, shelf: Shelf, counts: Counts, stage: Stage, *, retry: bool) -> bool:
    """Tell whether a job is still to be done; count it where it is not."""
    counts.planned += 1
    receipt = read_receipt(shelf, job.key)
    if receipt is None or (receipt.state == "done" and not is_whole(shelf, receipt)):
        return True
    if receipt.state == "done":
        counts.kept += 1
    elif retry:
        return True
    else:
        _count(receipt, counts)
    stage.advance(note=counts.note(0))
    return False


def _settle(
    ended: Ended,
    shelf: Shelf,
    counts: Counts,
    tries: dict[str, int],
    progress: Progress,
) -> bool:
    """Write the receipt of a job that is over; False when it is to be tried again."""
    job = ended.job
    if ended.storage:
        raise unwritable(shelf.url, OSError(ended.storage))
    if ended.receipt is not None:
        receipt = replace(Receipt(**ended.receipt), tries=tries.pop(job.key, 0) + 1)
    else:
        tries[job.key] = tries.get(job.key, 0) + 1
        if tries[job.key] < TRIES:
            progress.say(f"{job.name} is tried again: {ended.death or _last_line(ended.bug)}")
            return False
        receipt = _crashed(ended, tries.pop(job.key))
    try:
        write_receipt(shelf, receipt)
    except OSError as error:
        raise unwritable(shelf.url, error) from error
    _count(receipt, counts)
    if receipt.error:
        progress.warn(f"{job.name}: {receipt.error['what']}")
    return True


def _crashed(ended: Ended, tries: int) -> Receipt:
    what = ended.death or _last_line(ended.bug)
    error = BackendError(
        f"{ended.job.name} was given up after {tries} tries: {what}",
        why=CRASH,
        fix="try it alone, with more memory or a smaller picture; then --retry-failed",
    )
    receipt = refused(ended.job, "quarantined", error, tries=tries)
    return replace(receipt, error={**receipt.error, "trace": ended.bug}) if ended.bug else receipt


def _count(receipt: Receipt, counts: Counts) -> None:
    if receipt.state == "done":
        counts.done += 1
    elif receipt.state == "failed":
        counts.failed += 1
    else:
        counts.quarantined += 1


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no word"


def write_manifest(jobs: Iterable[Job], shelf: Shelf) -> int:
    """Write the plan, so that others can see what belongs to it; return its length.

    Raises:
        BackendError: It cannot be written.
    """
    lines = [job.line() for job in jobs]
    try:
        shelf.write(MANIFEST, "\n".join(lines) + "\n")
    except OSError as error:
        raise unwritable(shelf.url, error) from error
    return len(lines)


def batch_result(counts: Counts, url: str) -> dict[str, Any]:
    """Say what came out, for the command line."""
    return {
        "out": url,
        "planned": counts.planned,
        "kept": counts.kept,
        "done": counts.done,
        "failed": counts.failed,
        "quarantined": counts.quarantined,
        "report": f"{url.rstrip('/')}/report.html",
    }
