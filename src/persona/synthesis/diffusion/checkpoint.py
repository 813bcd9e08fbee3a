"""Checkpoints of strangers: read without running them, strictly, and kept as safetensors."""

import pickle
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from persona.core.atomic import replacing_file
from persona.core.errors import FileFormatError, MissingPartError

MAX_BYTES: Final = 64 << 30
"""Largest checkpoint that is opened."""
SLACK: Final = 1.05
"""How much more than its own size a file may hold: they are stored, not compressed."""
SHOWN: Final = 4
"""How many names an error lists."""


def load_parts(path: Path, prefixes: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Read a checkpoint whose tensors are called ``PREFIX.name``.

    A ``.pth`` is read by ``torch.load(weights_only=True)`` once and kept beside itself as
    safetensors, which is read from then on while it is newer.

    Args:
        path: ``.pth`` or ``.safetensors``.
        prefixes: The parts it must have, and no others.

    Returns:
        Part -> tensors by name.

    Raises:
        MissingPartError: There is no such file.
        FileFormatError: It is damaged, holds more than tensors, or has other parts.
    """
    if not path.is_file():
        raise MissingPartError(
            f"{path} is missing",
            why="it holds the weights",
            fix="persona weights list says how to get them",
        )
    kept = path.with_suffix(".safetensors")
    fresh = kept.is_file() and (path == kept or kept.stat().st_mtime >= path.stat().st_mtime)
    tensors = _read_safetensors(kept) if fresh else _read_pickled(path)
    parts: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in prefixes}
    strange: dict[str, int] = {}
    for name, tensor in tensors.items():
        prefix, _, rest = name.partition(".")
        if prefix in parts and rest:
            parts[prefix][rest] = tensor
        else:
            strange[prefix] = strange.get(prefix, 0) + 1
    if strange or not all(parts.values()):
        raise FileFormatError(
            f"{path.name} has tensors of {strange or 'nothing else'}, and of what is needed "
            f"{ {prefix: len(part) for prefix, part in parts.items()} }",
            why=f"the published one has parts called {', '.join(prefixes)} and no others",
            fix="fetch it again; if a trainer wrote it, strip its prefix first",
        )
    if not fresh:
        with replacing_file(kept) as partial:
            save_file({name: t.contiguous() for name, t in tensors.items()}, partial)
    return parts


def load_strictly(
    module: nn.Module, tensors: dict[str, Tensor], *, dtype: torch.dtype, what: str
) -> None:
    """Fill a module built on the meta device; every tensor must be there, with its shape.

    Raises:
        FileFormatError: One is missing, unknown, or of another shape or kind.
    """
    wanted = module.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    unknown = sorted(set(tensors) - set(wanted))
    bent = [n for n in wanted if n in tensors and wanted[n].shape != tensors[n].shape]
    vague = [n for n, t in tensors.items() if not t.is_floating_point()]
    for complaint, names in (
        ("missing", missing),
        ("unknown", unknown),
        ("of another shape", bent),
        ("no floating point", vague),
    ):
        if names:
            raise FileFormatError(
                f"{what}: {len(names)} tensors are {complaint}: {', '.join(names[:SHOWN])}",
                why=f"all {len(wanted)} must be there; what is left at random gives noise",
                fix="check that model and settings belong together, or fetch both again",
            )
    # Copied, as tensors that are read through the file kill the process when it is rewritten; one
    # at a time, as whole copies in two precisions would take twice the memory.
    for name in list(tensors):
        tensors[name] = tensors[name].to(dtype, copy=True)
    module.load_state_dict(tensors, strict=True, assign=True)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, struct.error) as error:
        raise _damaged(path, error) from error


def _read_pickled(path: Path) -> dict[str, Tensor]:
    """Let torch read tensors and plain containers and nothing else."""
    _check_archive(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise FileFormatError(
            f"{path.name} was not opened: {str(error).splitlines()[0][:200]}",
            why="it holds more than tensors, and unpickling that can run anything",
            fix="fetch it from its publisher; do not use this file",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise FileFormatError(
            f"{path.name} holds no table of tensors",
            why="the published checkpoint maps names to tensors",
            fix="fetch it again; if a trainer wrote it, keep its weights alone",
        )
    return found


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileFormatError(
            f"{path.name} has {size / 2**30:.0f} GiB",
            why=f"checkpoints have at most {MAX_BYTES >> 30} GiB",
            fix="check that it is the right file",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            held = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if held > SLACK * size + (1 << 20):
        raise FileFormatError(
            f"{path.name} would unpack to {held / 2**30:.1f} GiB",
            why="checkpoints are stored as they are; one that grows is an attack",
            fix="fetch it from its publisher",
        )


def _damaged(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path.name} cannot be read: {str(error)[:200]}",
        why="it was cut short, or is something else",
        fix="persona weights verify NAME, then fetch it again",
    )
