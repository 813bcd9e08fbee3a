"""Say whether Triton can compile kernels here, and how their work is cut."""

import importlib.metadata
from typing import Final

import torch

from persona.core.optional import is_available

INSTALL_FIX: Final = "it comes with torch's CUDA packages for Linux: reinstall torch"
OLDEST: Final = (3, 3)
"""The first Triton whose kernels take tuples."""

BLOCK: Final = 128
"""Elements of one program; four warps."""


_usable: set[str] = set()
"""The version, once it was found usable: looking for it takes as long as drawing."""


def why_not_triton() -> str | None:
    """Give the reason Triton cannot be used here, or None when it can. Compiles nothing."""
    if _usable:
        return None
    if not torch.cuda.is_available():
        return "triton needs a CUDA device, and torch sees none"
    if not is_available("triton"):
        return f"the package triton is not installed; {INSTALL_FIX}"
    version = triton_version()
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return f"triton {version} is older than {OLDEST[0]}.{OLDEST[1]}; install a newer torch"
    _usable.add(version)
    return None


def triton_version() -> str:
    """Give the version of the installed package."""
    return importlib.metadata.version("triton")


def program_grid(count: int) -> tuple[int]:
    """Give the grid of one-dimensional work."""
    return (-(-count // BLOCK),)
