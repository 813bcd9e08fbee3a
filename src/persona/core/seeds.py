"""Split one run seed, by name, into independent generators."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Seeds:
    """The source of all randomness of a run.

    Names, not call order, decide: adding a stage does not move the numbers of another.

    Example:
        >>> a, b = Seeds(7), Seeds(7)
        >>> bool((a.numpy("fit").random(3) == b.numpy("fit").random(3)).all())
        True
        >>> a.integer("fit") == a.integer("optimize")
        False
    """

    seed: int = 0
    """Seed of the whole run."""

    def integer(self, name: str) -> int:
        """Return the seed of ``name``, in [0, 2^63)."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def child(self, name: str) -> "Seeds":
        """Return a source of its own for a stage that splits further."""
        return Seeds(self.integer(name))

    def torch(self, name: str, *, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a fresh torch generator for ``name``; the same one at every call."""
        return torch.Generator(device=device).manual_seed(self.integer(name))

    def numpy(self, name: str) -> np.random.Generator:
        """Return a fresh numpy generator for ``name``; the same one at every call."""
        return np.random.default_rng(self.integer(name))
