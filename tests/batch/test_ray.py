"""The same batches through Ray: a cluster of this machine alone, two workers, jobs without work."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from persona.batch.head import run_batch
from persona.batch.jobs import plan_jobs
from persona.batch.pool import Limits
from persona.batch.ray_pool import HERE, RayPool
from persona.batch.receipts import read_receipt
from persona.batch.storage import Shelf
from persona.core.errors import BackendError
from tests.batch.quick_worker import answer
from tests.batch.test_batch import Heard, do, photos  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def a_token_for_all():
    # Ray reads it once in the life of a process.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        yield


def pool_at(shelf, address=HERE, limits=None, gpus=0.0):
    return RayPool(
        shelf.url,
        address=address,
        workers=2,
        threads=1,
        limits=limits or Limits(),
        gpus=gpus,
        work=answer,
    )


def test_ray_gives_what_the_local_pool_gives(photos, tmp_path):  # noqa: F811
    sources = photos("go", "refuse", "die", "break", "go 0.2", "warn")
    local, local_shelf, jobs = do(sources, tmp_path / "local")
    shelf = Shelf(str(tmp_path / "ray"))
    counts = run_batch(jobs, shelf, pool_at(shelf), progress=Heard())
    assert counts == local
    for job in jobs:
        here, there = read_receipt(local_shelf, job.key), read_receipt(shelf, job.key)
        assert (here.state, here.tries, here.files) == (there.state, there.tries, there.files)
        if here.state == "done":
            name = f"{here.output}/avatar.txt"
            assert shelf.read(name) == local_shelf.read(name)
    assert run_batch(jobs, shelf, pool_at(shelf), progress=Heard()).kept == counts.done


def test_what_takes_too_long_is_given_up(photos, tmp_path):  # noqa: F811
    shelf = Shelf(str(tmp_path / "out"))
    jobs = list(plan_jobs("create", photos("go 60", "go"), {}))
    pool = pool_at(shelf, limits=Limits(seconds=10))
    counts = run_batch(jobs, shelf, pool, progress=Heard())
    assert (counts.done, counts.quarantined) == (1, 1)


def test_what_takes_too_much_memory_is_given_up(photos, tmp_path):  # noqa: F811
    shelf = Shelf(str(tmp_path / "out"))
    jobs = list(plan_jobs("create", photos("hog", "go"), {}))
    pool = pool_at(shelf, limits=Limits(gigabytes=0.5))
    counts = run_batch(jobs, shelf, pool, progress=Heard())
    assert (counts.done, counts.quarantined) == (1, 1)


def test_a_cluster_that_is_not_there(tmp_path):
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:1 cannot be joined.*refused"):
        pool_at(Shelf(str(tmp_path)), address="127.0.0.1:1")


@pytest.fixture
def cluster():
    """Start a head of its own, as an administrator would, and give its address."""
    host = pytest.importorskip("ray").util.get_node_ip_address()
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    ray = Path(sys.executable).with_name("ray")
    words = f"{ray} start --head --block --num-cpus=2 --num-gpus=1 --include-dashboard=false"
    words += f" --port={port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    head = subprocess.Popen(words.split(), start_new_session=True, **quiet)
    try:
        wait_for(host, port)
        yield f"{host}:{port}"
    finally:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def wait_for(host, port):
    """Wait until somebody listens there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the cluster did not start"
            time.sleep(0.2)
        else:
            return


def test_a_cluster_that_was_there_before(cluster, photos, tmp_path, monkeypatch):  # noqa: F811
    shelf = Shelf(str(tmp_path / "out"))
    jobs = list(plan_jobs("create", photos("go", "go"), {}))
    with monkeypatch.context() as patch:
        patch.setattr("ray.__version__", "2.1.0")
        with pytest.raises(BackendError, match="Version mismatch"):
            pool_at(shelf, address=cluster)
    counts = run_batch(jobs, shelf, pool_at(shelf, address=cluster), progress=Heard())
    assert counts.done == 2
    # Its card is a number only; what counts is that each job comes in two tasks.
    jobs = list(plan_jobs("create", photos("go", "early", "go 0.1"), {"seed": 2}))
    counts = run_batch(jobs, shelf, pool_at(shelf, address=cluster, gpus=0.5), progress=Heard())
    assert (counts.done, counts.failed) == (2, 1)
    assert len(list((tmp_path / "out" / "results").glob("*.prepared"))) == 2
