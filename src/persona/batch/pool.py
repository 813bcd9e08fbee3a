"""Worker processes on this machine: given jobs, watched, and replaced when they die."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from persona.batch.jobs import Job

WORKER: Final = "persona.batch.worker"
"""The module that a worker runs."""
LOOK_SECONDS: Final = 0.5
"""Time between two looks at the workers' memory and time."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a job may take."""

    seconds: float = 3600.0
    """Time on the clock [s]."""
    gigabytes: float = 8.0
    """Resident memory of its worker [GiB]."""


@dataclass(frozen=True)
class Ended:
    """A job that is over, one way or another."""

    job: Job
    """Which."""
    receipt: dict[str, Any] | None = None
    """What it says of itself; None where it could not."""
    storage: str = ""
    """What the disk said, where results cannot be written."""
    bug: str = ""
    """Traceback of what nobody foresaw."""
    death: str = ""
    """How its worker died."""


@dataclass(frozen=True)
class Doing:
    """A job that is under way."""

    name: str
    """Its name."""
    stage: str
    """What is being done; empty where that is not known."""
    seconds: float
    """Since when [s]."""
    memory: int
    """What its worker holds [bytes]; 0 where that is not known."""


@runtime_checkable
class Pool(Protocol):
    """Somewhere to have jobs done."""

    def room(self) -> int:
        """Say how many more jobs may be given now."""
        ...

    def busy(self) -> int:
        """Say how many are being done."""
        ...

    def doing(self) -> list[Doing]:
        """Say what is being done."""
        ...

    def submit(self, job: Job) -> None:
        """Give a job."""
        ...

    def wait(self) -> list[Ended]:
        """Wait a moment, or until something is over."""
        ...

    def close(self) -> None:
        """End all workers, at once."""
        ...


class _Worker:
    """One process, and the job it has."""

    def __init__(self, url: str, threads: int, module: str) -> None:
        # The count of threads decides the order of sums: the same everywhere, the same bits.
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C is for the head alone; it ends its workers itself.
            start_new_session=True,
        )
        self.job: Job | None = None
        self.since, self.stage, self.killed = 0.0, "", ""
        self._heard = b""

    def lines(self) -> list[dict[str, Any]] | None:
        """Give what it has said since; None when it is dead. Only when there is something."""
        assert self.process.stdout is not None
        # Not by readline: what it keeps for itself would wake nobody.
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        *whole, self._heard = (self._heard + data).split(b"\n")
        return [json.loads(line) for line in whole] if data else None

    def give(self, job: Job) -> None:
        """Send a job down; a worker that died in between is noticed when it is waited for."""
        self.job, self.since, self.stage, self.killed = job, time.monotonic(), "", ""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.killed = "it was dead before it had the job"

    def kill(self, why: str) -> None:
        """End it, and remember why."""
        self.killed = self.killed or why
        self.process.kill()

    def death(self) -> str:
        """Say how it died."""
        code = self.process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return self.killed or f"its worker died ({name})"


class LocalPool:
    """Worker processes on this machine."""

    def __init__(
        self, url: str, *, workers: int, threads: int, limits: Limits, module: str = WORKER
    ) -> None:
        """Start no process yet: each begins with its first job.

        Args:
            url: Where results go.
            workers: Processes at most.
            threads: Threads of each.
            limits: What a job may take before its worker is ended.
            module: What each process runs; it speaks as `worker` does.
        """
        self._url, self._count, self._threads, self._limits = url, workers, threads, limits
        self._module = module
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    def room(self) -> int:
        """Say how many workers are idle or not yet started."""
        return self._count - self.busy()

    def busy(self) -> int:
        """Say how many work."""
        return sum(worker.job is not None for worker in self._workers)

    def doing(self) -> list[Doing]:
        """Say what each worker does."""
        now = time.monotonic()
        return [
            Doing(
                worker.job.name,
                worker.stage,
                now - worker.since,
                resident_memory(worker.process.pid),
            )
            for worker in self._workers
            if worker.job is not None
        ]

    def submit(self, job: Job) -> None:
        """Give a job to an idle worker."""
        idle = next((w for w in self._workers if w.job is None), None)
        if idle is None:
            idle = _Worker(self._url, self._threads, self._module)
            self._workers.append(idle)
            self._selector.register(_output(idle), selectors.EVENT_READ, idle)
        idle.give(job)

    def wait(self) -> list[Ended]:
        """Wait until a worker answers or dies, or a moment passes; end those beyond limits."""
        ended = []
        for key, _ in self._selector.select(LOOK_SECONDS):
            worker: _Worker = key.data
            lines = worker.lines()
            if lines is None:
                ended += self._buried(worker)
                continue
            for line in lines:
                if "stage" in line:
                    worker.stage = line["stage"]
                elif worker.job is not None:
                    ended.append(Ended(worker.job, **line))
                    worker.job = None
        for worker in self._workers:
            if worker.job is not None:
                self._check(worker)
        return ended

    def close(self) -> None:
        """End all workers, at once."""
        for worker in self._workers:
            worker.kill("the batch was stopped")
            worker.process.wait()
            self._forget(worker)
        self._workers.clear()
        self._selector.close()

    def _buried(self, worker: _Worker) -> list[Ended]:
        self._workers.remove(worker)
        death = worker.death()
        self._forget(worker)
        return [] if worker.job is None else [Ended(worker.job, death=death)]

    def _forget(self, worker: _Worker) -> None:
        self._selector.unregister(_output(worker))
        for pipe in (worker.process.stdin, worker.process.stdout):
            assert pipe is not None
            # A job that it never read may still be in the pipe.
            with suppress(BrokenPipeError):
                pipe.close()

    def _check(self, worker: _Worker) -> None:
        if time.monotonic() - worker.since > self._limits.seconds:
            worker.kill(f"it took longer than {self._limits.seconds:g} s")
        elif resident_memory(worker.process.pid) > self._limits.gigabytes * 2**30:
            worker.kill(f"it took more than {self._limits.gigabytes:g} GiB of memory")


def _output(worker: _Worker) -> Any:
    assert worker.process.stdout is not None
    return worker.process.stdout


def resident_memory(pid: int) -> int:
    """Say how much memory a process holds [bytes]; 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
