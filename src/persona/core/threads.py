"""Keep threads from getting into each other's way; imports torch only when asked to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def wait_patiently() -> None:
    """Let idle OpenMP threads sleep instead of spinning; call before torch is imported.

    Spinning threads take the core from whoever works, in this process or beside it. A policy that
    the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread: on small tensors a second one costs more than it gives.

    On a machine with other work it costs ten times as much. The native core has its own count.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
