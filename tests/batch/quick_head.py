"""A head of its own process, to be killed or measured: ``quick_head.py run|many OUT ...``."""

import os
import signal
import sys

from persona.batch.head import run_batch
from persona.batch.jobs import Job, plan_jobs
from persona.batch.pool import Ended, Limits, LocalPool, resident_memory
from persona.batch.storage import Shelf, expand
from persona.core.progress import Progress


def many(out, count):
    """Plan jobs that a trivial pool does at once; print memory early and late."""
    marks = {}

    class Trivial:
        def __init__(self):
            self.given, self.done = [], 0

        def room(self):
            return 8 - len(self.given)

        def busy(self):
            return len(self.given)

        def doing(self):
            return []

        def submit(self, job):
            self.given.append(job)

        def wait(self):
            given, self.given = self.given, []
            self.done += len(given)
            if self.done == 1000:
                marks["early"] = resident_memory(os.getpid())
            facts = {"state": "done", "kind": "create", "output": "", "files": {}}
            return [
                Ended(job, receipt={"key": job.key, "name": job.name, **facts}) for job in given
            ]

        def close(self):
            marks["late"] = resident_memory(os.getpid())

    jobs = (
        Job(key=f"{k:064x}", name=f"p{k}", kind="create", source="x.png", code="c")
        for k in range(count)
    )
    counts = run_batch(jobs, Shelf(out), Trivial(), progress=Progress(), planned=count)
    sys.stdout.write(f"{marks['early']} {marks['late']} {counts.done}\n")


def run(out, folder, *, retry):
    """Do a folder of orders with two workers."""
    jobs = plan_jobs("create", expand((folder,), (".png",)), {"seed": 0})
    pool = LocalPool(out, workers=2, threads=1, limits=Limits(), module="tests.batch.quick_worker")
    run_batch(jobs, Shelf(out), pool, progress=Progress(), retry_failed=retry)


if __name__ == "__main__":
    # A shell that runs tests in the background has its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1] == "many":
        many(sys.argv[2], int(sys.argv[3]))
    else:
        run(sys.argv[2], sys.argv[3], retry="retry" in sys.argv)
