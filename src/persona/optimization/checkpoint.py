"""Interrupt training at any step and go on as if nothing had happened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from persona.core.atomic import replacing_folder
from persona.core.errors import FileFormatError
from persona.records.storage import load_record, save_record

STEM: Final = "checkpoint"
"""Name of the two files in a checkpoint's folder."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the next step depends on, beside the inputs."""

    done: int
    """Steps taken."""
    inputs: str
    """Fingerprint of avatar, frames, settings and seed: others would go on with another's work."""
    parameters: dict[str, Shaped[Tensor, "..."]]
    """By name."""
    moments: dict[str, Shaped[Tensor, "..."]]
    """What Adam remembers, by the parameter's number and the moment's name."""
    history: tuple[dict[str, float], ...]
    """Residuals so far."""


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    adam: torch.optim.Optimizer,
    *,
    done: int,
    inputs: str,
    history: tuple[dict[str, float], ...],
) -> None:
    """Replace a checkpoint by the present state, whole or not at all."""
    moments = {
        f"{number}.{name}": value
        for number, entries in adam.state_dict()["state"].items()
        for name, value in entries.items()
    }
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    made = Checkpoint(
        done=done, inputs=inputs, parameters=parameters, moments=moments, history=history
    )
    with replacing_folder(folder) as partial:
        save_record(partial / STEM, made)


def resume(
    folder: Path, model: nn.Module, adam: torch.optim.Optimizer, *, inputs: str
) -> tuple[int, tuple[dict[str, float], ...]]:
    """Bring model and optimizer to where a checkpoint left off; nothing happens without one.

    Returns:
        Steps taken, and their history.

    Raises:
        FileFormatError: The checkpoint is damaged, or belongs to other inputs.
    """
    if not folder.exists():
        return 0, ()
    kept = load_record(folder / STEM, Checkpoint)
    own = dict(model.named_parameters())
    fits = {n: tuple(p.shape) for n, p in own.items()} == {
        n: tuple(p.shape) for n, p in kept.parameters.items()
    }
    if kept.inputs != inputs or not fits:
        raise FileFormatError(
            f"the checkpoint {folder} belongs to another avatar, other frames or settings",
            why="going on from it would mix two people",
            fix="remove it, or give back the inputs that it was made with",
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(kept.parameters[name])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.moments.items():
        number, _, moment = name.partition(".")
        state.setdefault(int(number), {})[moment] = value
    adam.load_state_dict({**adam.state_dict(), "state": state})
    return kept.done, kept.history
