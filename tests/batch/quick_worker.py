"""A worker whose jobs take no time, or as long as their photo says: for tests of the batch."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from persona.batch import work, worker
from persona.core.errors import PhotoError


def quick(job, source, target, shelf, recorder):
    """Do what the photo says, then write what was in it."""
    del shelf
    words = source.read_text().split()
    order = words[0]
    with recorder.stage("read the order"):
        pass
    if order == "refuse":
        raise PhotoError("nobody is in it", why="a person is needed", fix="take another")
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "fill":
        raise OSError(28, "No space left on device")
    if order == "break":
        raise ZeroDivisionError("nobody foresaw this")
    if order == "hog":
        held = b"x" * (400 << 20)
        time.sleep(30)
        del held
    time.sleep(float(words[1]) if len(words) > 1 else 0.0)
    target.mkdir(parents=True, exist_ok=True)
    partial = target / "half"
    partial.write_text(json.dumps(job.options))
    partial.rename(target / "avatar.txt")
    return {"length": float(len(words))}, ["a warning"] if order == "warn" else []


def prepare(job, source, target, recorder):
    """Refuse what is to be refused early, and leave something for the second task."""
    del job, recorder
    if source.read_text().split()[0] == "early":
        raise PhotoError("nobody was there", why="a person is needed", fix="take another")
    target.with_suffix(".prepared").touch()


def answer(job, url, **words):
    """Answer as a worker does, with quick work."""
    work._WORK["create"] = quick
    work._prepare = prepare
    return worker.answer(job, url, **words)


if __name__ == "__main__":
    assert Path(work.__file__).is_file()
    work._WORK["create"] = quick
    sys.exit(worker.main())
