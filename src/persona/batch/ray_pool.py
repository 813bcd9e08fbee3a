"""The same pool on a Ray cluster: tasks that carry a job there and a receipt back."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from persona.batch.jobs import Job
from persona.batch.pool import Ended, Limits
from persona.batch.worker import answer
from persona.core.errors import BackendError
from persona.core.optional import require

Work: TypeAlias = Callable[[dict[str, Any], str], dict[str, Any]]
"""Job and where results go -> what became of it."""
AHEAD: Final = 2
"""Jobs in Ray's hands for each worker: one is done, one waits; the plan stays here."""
PATIENCE_SECONDS: Final = 1.0
"""Longest wait for an answer."""
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
        self._ray = require("ray", extra="ray", purpose="run a batch on a cluster")
        self._url, self._workers, self._limits = url, workers, limits
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        variables = {**dict.fromkeys(names, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}
        _join(self._ray, address, workers, variables)
        # A worker that has touched a GPU keeps its memory until it ends: one job each.
        resources = {"num_gpus": gpus, "max_calls": 1} if gpus else {"num_gpus": 0}
        self._work = self._ray.remote(
            num_cpus=1, max_retries=0, memory=int(limits.gigabytes * 2**30), **resources
        )(work)
        self._running: dict[Any, tuple[Job, float]] = {}

    def room(self) -> int:
        """Say how many more jobs may be given now."""
        return AHEAD * self._workers - len(self._running)

    def busy(self) -> int:
        """Say how many jobs Ray has."""
        return len(self._running)

    def submit(self, job: Job) -> None:
        """Give a job."""
        self._running[self._work.remote(asdict(job), self._url)] = (job, time.monotonic())

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


def _join(ray: Any, address: str, workers: int, variables: dict[str, str]) -> None:
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    runtime = {"env_vars": variables}
    try:
        if address == HERE:
            ray.init(
                num_cpus=workers, include_dashboard=False, log_to_driver=False, runtime_env=runtime
            )
        else:
            ray.init(address=address, log_to_driver=False, runtime_env=runtime)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise BackendError(
            f"the Ray cluster at {address} cannot be joined: {error}",
            why="it is not there, has other versions of Ray or Python, or wants a token",
            fix="see `ray status`, install the same versions on all machines, share its token "
            "(docs/cluster.md), or leave --ray away",
        ) from error
