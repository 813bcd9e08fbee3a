"""Kill a writer many times at random moments and count what cannot be read afterwards.

Run by test_run_folder.py in a process of its own, because it forks: importing torch once instead
of once a kill makes fifty kills a matter of seconds. Prints one JSON object.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from persona.core.errors import FileFormatError
from persona.core.run_folder import JsonCodec, RunFolder

STAGES = ("first", "second", "third")


def compute(name, turn):
    """Return a value that is large enough to be caught half-written."""
    return {"name": name, "turn": turn, "numbers": [turn] * 60_000}


def write_safely(folder, turn):
    with RunFolder.open(folder, codec=JsonCodec(), code="1") as run:
        for name in STAGES:
            run.step(name, compute, name, turn)


def write_naively(folder, turn):
    for name in STAGES:
        stage = folder / "stages" / name
        stage.mkdir(parents=True, exist_ok=True)
        JsonCodec().save(compute(name, turn), stage)


def count_unreadable(folder):
    lost = 0
    for name in STAGES:
        stage = folder / "stages" / name
        if stage.is_dir():
            try:
                value = JsonCodec().load(stage)
                lost += value != compute(name, value["turn"])
            except FileFormatError:
                lost += 1
    return lost


def kill(write, folder, kills, random_moment):
    """Return how many stages were unreadable after each of many kills, summed."""
    lost = 0
    for turn in range(kills):
        child = os.fork()
        if child == 0:
            for again in range(10**9):
                write(folder, turn * 10**6 + again)
        time.sleep(random_moment.uniform(0.005, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lost += count_unreadable(folder)
    return lost


if __name__ == "__main__":
    where, kill_count = Path(sys.argv[1]), int(sys.argv[2])
    moments = random.Random(0)
    safe = kill(write_safely, where / "safe", kill_count, moments)
    naive = kill(write_naively, where / "naive", kill_count, moments)
    write_safely(where / "safe", -1)
    leftovers = [p.name for p in (where / "safe" / "stages").iterdir() if p.name not in STAGES]
    sys.stdout.write(json.dumps({"safe": safe, "naive": naive, "leftovers": leftovers}))
