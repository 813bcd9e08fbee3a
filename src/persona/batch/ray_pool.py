"""The same pool on a Ray cluster: tasks that carry a job there and a receipt back."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from persona.batch.jobs import Job
from persona.batch.pool import Doing, Ended, Limits, resident_memory
from persona.batch.storage import is_local
from persona.batch.worker import answer
from persona.core.errors import BackendError
from persona.core.optional import require

Work: TypeAlias = Callable[..., dict[str, Any]]
"""Job and where results go, and ``prepare`` -> what became of it; see `worker.answer`."""
LOOK_SECONDS: Final = 0.5
"""Time between two looks of a task at its own memory."""
AHEAD: Final = 2
"""Jobs in Ray's hands for each worker: one is done, one waits; the plan stays here."""
PATIENCE_SECONDS: Final = 1.0
"""Longest wait for an answer."""
KNOCK_SECONDS: Final = 5.0
"""Longest wait for a cluster's door; Ray itself would wait for minutes."""
HERE: Final = "local"
"""In place of an address: a cluster of this machine alone, that ends with the batch."""


class RayPool:
    """Ray tasks. Nothing large passes through the object store: photos and avatars are files."""

    def __init__(
        self,
        url: str,
        *,
        address: str,
        workers: int,
        threads: int,
        limits: Limits,
        gpus: float = 0.0,
        work: Work = answer,
    ) -> None:
        """Join a cluster, or start one here.

        Args:
            url: Where results go; every machine of the cluster must reach it.
            address: Host and port of a cluster, or `HERE`.
            workers: Jobs at a time.
            threads: Threads of each.
            limits: What a job may take.
            gpus: GPUs of each job; less than 1 shares one.
            work: Does a job on whatever machine Ray picks; see `worker.answer`.

        Raises:
            MissingPartError: Ray is not installed.
            BackendError: The cluster is not there, or has another version.
        """
        # Ray reads these once, when it is imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = require("ray", extra="ray", purpose="run a batch on a cluster")
        self._workers, self._limits = workers, limits
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        variables = {**dict.fromkeys(names, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}
        _join(self._ray, address, workers * threads, variables)
        remote = self._ray.remote
        self._prepare = remote(num_cpus=threads, num_gpus=0, max_retries=0)(_prepared)
        # A worker that has touched a GPU keeps its memory until it ends: one job each.
        on_gpu = remote(num_cpus=1, num_gpus=gpus, max_calls=1, max_retries=0)
        on_cpu = remote(num_cpus=threads, num_gpus=0, max_retries=0)
        self._finish = (on_gpu if gpus else on_cpu)(_finished)
        self._in_two = bool(gpus) and is_local(url)
        self._words = {"work": work, "url": url, "gigabytes": limits.gigabytes}
        self._running: dict[Any, tuple[Job, float]] = {}

    def room(self) -> int:
        """Say how many more jobs may be given now."""
        return AHEAD * self._workers - len(self._running)

    def busy(self) -> int:
        """Say how many jobs Ray has."""
        return len(self._running)

    def doing(self) -> list[Doing]:
        """Say which jobs Ray has, and for how long."""
        now = time.monotonic()
        return [Doing(job.name, "", now - since, 0) for job, since in self._running.values()]

    def submit(self, job: Job) -> None:
        """Give a job: in two tasks where the second needs a GPU and finds what the first left."""
        facts = asdict(job)
        # Ray starts the second when the first is over: until then its GPU is somebody else's.
        before = self._prepare.remote(facts, **self._words) if self._in_two else {}
        task = self._finish.remote(facts, before, **self._words)
        self._running[task] = (job, time.monotonic())

    def wait(self) -> list[Ended]:
        """Wait a moment, or until something is over; end what takes too long."""
        if not self._running:
            return []
        ready, _ = self._ray.wait(list(self._running), timeout=PATIENCE_SECONDS)
        ended = []
        for reference in ready:
            job, _ = self._running.pop(reference)
            try:
                ended.append(Ended(job, **self._ray.get(reference)))
            except self._ray.exceptions.RayError as error:
                said = str(error).strip().splitlines()[0] if str(error).strip() else "no word"
                ended.append(Ended(job, death=f"{type(error).__name__}: {said}"))
        self._end_late_ones()
        return ended

    def close(self) -> None:
        """Leave the cluster; what it still does for this batch ends."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        self._ray.shutdown()

    def _end_late_ones(self) -> None:
        # A job waits at most as long as the one before it takes.
        longest = AHEAD * self._limits.seconds
        for reference, (_, since) in self._running.items():
            if time.monotonic() - since > longest:
                self._ray.cancel(reference, force=True)


def _prepared(facts: dict[str, Any], work: Work, url: str, gigabytes: float) -> dict[str, Any]:
    _die_above(gigabytes)
    return work(facts, url, prepare=True)


def _finished(
    facts: dict[str, Any], before: dict[str, Any], work: Work, url: str, gigabytes: float
) -> dict[str, Any]:
    if any(before.values()):
        return before  # it was refused, or broke
    _die_above(gigabytes)
    return work(facts, url)


def _die_above(gigabytes: float) -> None:
    """End this process as soon as it holds more: Ray then says that a worker died."""

    def look() -> None:
        while resident_memory(os.getpid()) < gigabytes * 2**30:
            time.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    if not any(thread.name == "memory" for thread in threading.enumerate()):
        threading.Thread(target=look, name="memory", daemon=True).start()


def _join(ray: Any, address: str, cores: int, variables: dict[str, str]) -> None:
    words: dict[str, Any] = {"log_to_driver": False, "runtime_env": {"env_vars": variables}}
    try:
        if address == HERE:
            # Without its own address it would join whatever cluster it finds traces of.
            ray.init(address=HERE, num_cpus=cores, include_dashboard=False, **words)
        else:
            _knock(address)
            ray.init(address=address, **words)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise BackendError(
            f"the Ray cluster at {address} cannot be joined: {error}",
            why="it is not there, has other versions of Ray or Python, or wants a token",
            fix="see `ray status`, install the same versions on all machines, share its token "
            "(docs/cluster.md), or leave --ray away",
        ) from error


def _knock(address: str) -> None:
    """See that somebody is there, where the address says where that is."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
