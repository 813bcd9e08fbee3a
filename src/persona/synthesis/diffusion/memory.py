"""What is said when a card runs out of memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from persona.core.errors import BackendError


@contextmanager
def told_of_memory(fix: str) -> Iterator[None]:
    """Turn torch's error into ours.

    Raises:
        BackendError: The card is out of memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BackendError(
            f"the card ran out of memory: {str(error)[:160]}",
            why="its need grows with the frames made together and with the picture",
            fix=f"{fix}; what is done is kept",
        ) from error
