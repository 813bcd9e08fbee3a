"""Batches of jobs that take no time: everything is done once, whatever is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from persona.batch.head import MANIFEST, run_batch, write_manifest
from persona.batch.jobs import Job, content_hash, name_of, plan_jobs
from persona.batch.pool import Limits, LocalPool
from persona.batch.receipts import Receipt, all_keys, read_receipt
from persona.batch.storage import Shelf, expand
from persona.batch.summary import write_summary
from persona.core.errors import BackendError, InputError
from persona.core.progress import Progress
from tools.batch_chaos import children

QUICK = "tests.batch.quick_worker"
ROOT = Path(__file__).parents[2]
HEAD = (sys.executable, "-m", "tests.batch.quick_head")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    # Workers find the tests' own module from here.
    monkeypatch.chdir(ROOT)


@pytest.fixture
def photos(tmp_path):
    """Write files of orders and give their paths."""

    def write(*orders):
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for k, order in enumerate(orders):
            (folder / f"p{k:04d}.png").write_text(f"{order} 0 {k}")
        return expand((str(folder),), (".png",))

    return write


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.said.append(text)


def do(sources, out, *, workers=2, limits=None, progress=None, **words):
    shelf = Shelf(str(out))
    jobs = list(plan_jobs("create", sources, {"seed": 0}))
    pool = LocalPool(shelf.url, workers=workers, threads=1, limits=limits or Limits(), module=QUICK)
    counts = run_batch(jobs, shelf, pool, progress=progress or Heard(), planned=len(jobs), **words)
    return counts, shelf, jobs


def test_all_are_done_and_then_kept(photos, tmp_path):
    sources = photos(*["go"] * 9)
    counts, shelf, jobs = do(sources, tmp_path / "out")
    assert (counts.done, counts.kept, counts.failed) == (9, 0, 0)
    for job in jobs:
        receipt = read_receipt(shelf, job.key)
        assert receipt.state == "done"
        assert (shelf.root / receipt.output / "avatar.txt").read_text() == '{"seed": 0}'
    times = {p: p.stat().st_mtime_ns for p in shelf.root.rglob("avatar.txt")}
    counts, *_ = do(sources, tmp_path / "out")
    assert (counts.done, counts.kept) == (0, 9)
    assert times == {p: p.stat().st_mtime_ns for p in shelf.root.rglob("avatar.txt")}


def test_a_live_table_tells_who_does_what(photos, tmp_path):
    rows = []

    class Watched(Heard):
        def _begin(self, name, steps):
            stage = super()._begin(name, steps)
            stage.table = rows.extend
            return stage

    do(photos("go 1.2", "go 1.2"), tmp_path / "out", progress=Watched())
    names, stages, seconds, memory = zip(*rows, strict=True)
    assert set(names) == {"p0000", "p0001"}
    assert "read the order" in stages
    assert "1 s" in seconds
    assert any(text.endswith("GiB") for text in memory)


def test_what_is_no_longer_whole_is_done_again(photos, tmp_path):
    sources = photos("go", "go")
    _, shelf, jobs = do(sources, tmp_path / "out")
    victim = shelf.root / read_receipt(shelf, jobs[1].key).output / "avatar.txt"
    victim.write_text("cut")
    (shelf.root / "receipts" / f"{jobs[0].key}.json").write_text('{"key": 3}')
    counts, *_ = do(sources, tmp_path / "out")
    assert (counts.done, counts.kept) == (2, 0)
    assert victim.read_text() == '{"seed": 0}'


def test_what_a_killed_worker_was_writing_is_removed(photos, tmp_path):
    jobs = list(plan_jobs("create", photos("go", "go"), {"seed": 0}))
    results = tmp_path / "out" / "results"
    mine = results / f".partial-0123abcd-{jobs[0].output}"
    anothers = results / ".partial-0123abcd-other.persona"
    for folder in (mine, anothers):
        folder.mkdir(parents=True)
    do(photos("go", "go"), tmp_path / "out")
    assert not mine.exists()
    assert anothers.exists()


def test_one_that_is_refused_does_not_stop_the_others(photos, tmp_path):
    sources = photos("go", "refuse", "go")
    counts, shelf, jobs = do(sources, tmp_path / "out")
    assert (counts.done, counts.failed, counts.quarantined) == (2, 1, 0)
    receipt = read_receipt(shelf, jobs[1].key)
    assert receipt.error["fix"] == "take another"
    assert receipt.tries == 1
    counts, *_ = do(sources, tmp_path / "out")
    assert (counts.done, counts.kept, counts.failed) == (0, 2, 1)
    (tmp_path / "photos" / "p0001.png").write_text("go 0 1")
    counts, *_ = do(sources, tmp_path / "out", retry_failed=True)
    assert (counts.done, counts.failed) == (1, 0)


@pytest.mark.parametrize(
    ("order", "said"), [("die", "SIGKILL"), ("break", "ZeroDivisionError: nobody foresaw this")]
)
def test_poison_is_tried_twice_and_put_aside(photos, tmp_path, order, said):
    heard = Heard()
    counts, shelf, jobs = do(photos("go", order, "go", "go"), tmp_path / "out", progress=heard)
    assert (counts.done, counts.quarantined) == (3, 1)
    receipt = read_receipt(shelf, jobs[1].key)
    assert receipt.state == "quarantined"
    assert receipt.tries == 2
    assert said in receipt.error["what"]
    assert any("tried again" in text for text in heard.said)


def test_limits_of_time_and_memory(photos, tmp_path):
    sources = photos("hog", "go")
    limits = Limits(seconds=60, gigabytes=0.3)
    counts, shelf, jobs = do(sources, tmp_path / "out", limits=limits)
    assert (counts.done, counts.quarantined) == (1, 1)
    assert "0.3 GiB" in read_receipt(shelf, jobs[0].key).error["what"]
    limits = Limits(seconds=1.5)
    (tmp_path / "photos" / "p0000.png").write_text("go 30")
    counts, shelf, jobs = do(sources, tmp_path / "late", limits=limits)
    assert "longer than 1.5 s" in read_receipt(shelf, jobs[0].key).error["what"]


def test_a_full_disk_stops_the_batch_and_blames_no_photo(photos, tmp_path):
    sources = photos("go", "fill", "go")
    with pytest.raises(BackendError, match="No space left") as told:
        do(sources, tmp_path / "out", workers=1)
    assert "make room" in told.value.fix
    assert not [k for k in all_keys(Shelf(str(tmp_path / "out"))) if k.startswith("fill")]
    (tmp_path / "photos" / "p0001.png").write_text("go 0 1")
    counts, *_ = do(sources, tmp_path / "out")
    assert counts.done + counts.kept == 3


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be written"):
        Shelf(str(tmp_path / "file")).check()
    with pytest.raises(BackendError, match="cannot be reached"):
        Shelf("nowhere://bucket/out").check()


def test_another_disk_than_this_one(photos, tmp_path):
    sources = photos("go", "refuse")
    shelf = Shelf("memory://batch")
    jobs = list(plan_jobs("create", sources, {"seed": 0}))

    class Here:
        """Works in this process, which alone sees this memory."""

        def __init__(self):
            self.given = []

        def room(self):
            return 1 - len(self.given)

        def busy(self):
            return len(self.given)

        def doing(self):
            return []

        def submit(self, job):
            self.given.append(job)

        def wait(self):
            from dataclasses import asdict

            from persona.batch.pool import Ended
            from tests.batch.quick_worker import answer

            job = self.given.pop()
            return [Ended(job, **answer(asdict(job), shelf.url))]

        def close(self):
            pass

    counts = run_batch(jobs, shelf, Here(), progress=Heard())
    assert (counts.done, counts.failed) == (1, 1)
    receipt = read_receipt(shelf, jobs[0].key)
    assert receipt.files == {"avatar.txt": 11}
    assert shelf.read(f"{receipt.output}/avatar.txt") == b'{"seed": 0}'
    assert run_batch(jobs, shelf, Here(), progress=Heard()).kept == 1
    write_summary(shelf)
    assert b"nobody is in it" in shelf.read("report.html")


def test_the_same_content_is_one_job(photos, tmp_path):
    first, second = photos("go", "go")
    Path(second).write_bytes(Path(first).read_bytes())
    assert len(list(plan_jobs("create", [first, second], {}))) == 1
    assert content_hash(first) == content_hash(second)


def test_shards_share_everything_and_overlap_in_nothing(photos):
    sources = photos(*["go"] * 40)
    parts = [{job.key for job in plan_jobs("create", sources, {}, shard=(k, 3))} for k in (1, 2, 3)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 40
    assert all(parts)
    with pytest.raises(InputError, match="shard 4/3"):
        list(plan_jobs("create", sources, {}, shard=(4, 3)))


def test_options_code_and_content_make_the_key(photos):
    (source,) = photos("go")
    key = next(plan_jobs("create", [source], {"seed": 0})).key
    assert next(plan_jobs("create", [source], {"seed": 0})).key == key
    assert next(plan_jobs("create", [source], {"seed": 1})).key != key
    assert next(plan_jobs("animate", [source], {"seed": 0})).key != key
    Path(source).write_text("other")
    assert next(plan_jobs("create", [source], {"seed": 0})).key != key


def test_names_are_harmless():
    assert name_of("s3://bucket/My photo (1).final.png") == "My_photo_1_final"
    assert name_of("../../etc/passwd") == "passwd"
    assert name_of("/x/ä/..") == "unnamed"


def test_an_evaluation_goes_by_the_avatars_name(photos):
    first, second = photos("go", "go")
    Path(second).write_bytes(Path(first).read_bytes())
    assert len(list(plan_jobs("animate", [first, second], {}))) == 1
    assert len(list(plan_jobs("evaluate", [first, second], {}))) == 2


@pytest.mark.slow
def test_thousands_of_jobs_take_no_memory(tmp_path):
    out = tmp_path / "out"
    result = subprocess.run(
        [*HEAD, "many", str(out), "4000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    early, late, done = map(int, result.stdout.split())
    assert done == 4000
    assert late - early < 20 << 20


@pytest.mark.slow
def test_twenty_workers_and_the_head_are_killed(photos, tmp_path):
    sources = photos(*["go"] * 100)
    folder, out = tmp_path / "photos", tmp_path / "out"
    for k, source in enumerate(sources):
        Path(source).write_text(f"go 0.9 {k}")
    draw, killed = random.Random(0), 0
    head = subprocess.Popen([*HEAD, "run", str(out), str(folder)], cwd=ROOT)
    while killed < 20 and head.poll() is None:
        # Now and then before it has begun, mostly in the middle of a job.
        time.sleep(draw.uniform(0.2, 2.5))
        workers = children(head.pid)
        if workers:
            os.kill(draw.choice(workers), signal.SIGKILL)
            killed += 1
    assert killed == 20
    left = children(head.pid)
    os.kill(head.pid, signal.SIGKILL)
    head.wait()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}/stat").exists() for pid in left):
        assert time.monotonic() < deadline, "workers outlived their head"
        time.sleep(0.05)
    shelf = Shelf(str(out))
    before = {key: read_receipt(shelf, key) for key in all_keys(shelf)}
    done = {key for key, receipt in before.items() if receipt.state == "done"}
    assert 0 < len(done) < 100
    again = [*HEAD, "run", str(out), str(folder), "retry"]
    subprocess.run(again, cwd=ROOT, check=True)
    after = {key: read_receipt(shelf, key) for key in all_keys(shelf)}
    assert len(after) == 100
    assert all(receipt.state == "done" for receipt in after.values())
    assert all(after[key] == before[key] for key in done), "finished work was done again"
    results = sorted((out / "results").iterdir())
    assert len(results) == 100
    assert all((r / "avatar.txt").read_text() == '{"seed": 0}' for r in results)
    assert not [p for p in out.rglob("*") if "half" in p.name or ".partial-" in p.name]


@pytest.mark.slow
def test_ctrl_c_leaves_a_batch_that_goes_on(photos, tmp_path):
    photos(*["go 1.5"] * 12)  # long enough for the signal to arrive on a busy machine
    folder, out = str(tmp_path / "photos"), tmp_path / "out"
    head = subprocess.Popen([*HEAD, "run", str(out), folder], cwd=ROOT, stderr=subprocess.PIPE)
    shelf = Shelf(str(out))
    deadline = time.monotonic() + 60
    while not (out / "receipts").is_dir() or not all_keys(shelf):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    left = children(head.pid)
    head.send_signal(signal.SIGINT)
    head.communicate()
    assert head.returncode != 0
    assert not any(Path(f"/proc/{pid}/stat").exists() for pid in left)
    done = set(all_keys(shelf))
    assert len(done) < 12
    before = {key: read_receipt(shelf, key) for key in done}
    subprocess.run([*HEAD, "run", str(out), folder], cwd=ROOT, check=True)
    assert len(all_keys(shelf)) == 12
    assert all(read_receipt(shelf, key) == before[key] for key in done)


def test_the_report_shows_failures_first_and_escapes(photos, tmp_path):
    _, shelf, _ = do(photos("go", "refuse", "warn"), tmp_path / "out")
    facts = {"kind": "create", "state": "done", "output": "r/x", "files": {"": 1}}
    evil = Receipt(key="0" * 64, name="<script>", **facts)
    shelf.write(f"receipts/{evil.key}.json", evil.text())
    write_summary(shelf)
    page = (shelf.root / "report.html").read_text()
    assert page.index("nobody is in it") < page.index("Results")
    assert "<script>" not in page
    assert "a warning" in page
    rows = (shelf.root / "results.csv").read_text().splitlines()
    assert len(rows) == 5
    assert json.loads((shelf.root / "results.json").read_text())[0]["state"] == "failed"


def test_the_manifest_holds_no_paths(photos, tmp_path):
    jobs = list(plan_jobs("create", photos("go"), {"seed": 0}))
    assert write_manifest(jobs, Shelf(str(tmp_path / "out"))) == 1
    text = (tmp_path / "out" / MANIFEST).read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["name"] == "p0000"
    assert isinstance(jobs[0], Job)
