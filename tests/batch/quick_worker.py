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
    del shelf, recorder
    words = source.read_text().split()
    order = words[0]
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


def answer(job, url):
    """Answer as a worker does, with quick work."""
    work._WORK["create"] = quick
    return worker.answer(job, url)


if __name__ == "__main__":
    assert Path(work.__file__).is_file()
    work._WORK["create"] = quick
    sys.exit(worker.main())
