"""Models of diffusers and transformers from a folder as published: read strictly, never run."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError

from persona.core.errors import FileFormatError, MissingPartError

_COMPLAINTS: Final = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def read_settings(kind: Any, folder: Path, *, weights: str) -> Any:
    """Read a tokenizer, a scheduler or a processor, which has settings and no tensors.

    Args:
        kind: A class with ``from_pretrained``.
        folder: Holds its files.
        weights: Name among `core.weights.ENTRIES`, for what is said.

    Raises:
        FileFormatError: They are damaged, missing, or another model's.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{kind.__name__} cannot be read from {folder}: {error}",
            why="its files are damaged, missing, or another model's",
            fix=f"persona weights verify {weights}",
        ) from error


def read_pretrained(kind: Any, folder: Path, dtype: torch.dtype, *, weights: str) -> Any:
    """Read one model; a tensor that is missing or too many is an error, not a warning.

    Args:
        kind: A class with ``from_pretrained``.
        folder: Holds ``config.json`` and ``.safetensors``, whole or in shards.
        dtype: What to compute in.
        weights: Name among `core.weights.ENTRIES`, for what is said.

    Raises:
        MissingPartError: There are no safetensors.
        FileFormatError: The folder holds another model, or a damaged one.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise MissingPartError(
            f"{folder} holds no .safetensors",
            why="weights are read from safetensors alone, which cannot run anything",
            fix=f"persona weights fetch {weights}",
        )
    half = [file for file in files if ".fp16." in file.name]
    try:
        model, told = kind.from_pretrained(
            folder,
            variant="fp16" if half else None,
            torch_dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise FileFormatError(
            f"{folder.name} cannot be read from {folder}: {error}",
            why="it is damaged, cut short, or another model",
            fix=f"persona weights verify {weights}",
        ) from error
    wrong = {key: sorted(map(str, told[key])) for key in _COMPLAINTS if told.get(key)}
    if wrong:
        raise FileFormatError(
            f"{folder.name} does not fit its settings: {json.dumps(wrong)[:300]}",
            why="tensors left at random would give noise without a word",
            fix=f"persona weights verify {weights}",
        )
    return model.eval()
