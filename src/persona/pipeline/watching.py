"""Watch a training: curves as a growing table, previews as pictures, TensorBoard if wanted."""

import csv
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from persona.avatar import Avatar
from persona.core.errors import InputError
from persona.core.optional import is_available
from persona.evaluation.contact_sheet import turntable_tiles
from persona.images.files import write_png

SIDES: Final = 4
"""Sides from which a preview shows the person."""
CURVES: Final = "curves.csv"
"""The table's name: step, term, residual."""


@dataclass(frozen=True)
class WatchFolder:
    """Writes into a folder while a training goes on.

    Raises:
        InputError: TensorBoard was asked for and is not installed.
    """

    folder: Path
    """Made where it is missing; an earlier training's table goes on."""
    tensorboard: bool = False
    """Whether to write TensorBoard's event files as well."""

    def __post_init__(self) -> None:
        if self.tensorboard and not is_available("tensorboard"):
            raise InputError(
                "TensorBoard was asked for and is not installed",
                why="it is no part of this package; curves.csv holds the same numbers",
                fix="run `pip install tensorboard`, or leave the option out",
            )
        self.folder.mkdir(parents=True, exist_ok=True)

    def hear(self, step: int, residuals: dict[str, float]) -> None:
        """Append the residuals of a step."""
        table = self.folder / CURVES
        begins = not table.exists()
        with table.open("a", newline="") as file:
            rows = csv.writer(file)
            if begins:
                rows.writerow(("step", "term", "residual"))
            rows.writerows((step, name, f"{value:.6g}") for name, value in residuals.items())
        if self.tensorboard:
            with self._events() as events:
                for name, value in residuals.items():
                    events.add_scalar(name, value, step)

    def look(self, step: int, avatar: Avatar) -> None:
        """Write a preview from `SIDES` sides."""
        with torch.no_grad():
            tiles = turntable_tiles(avatar, SIDES)
        strip = torch.cat([tile.image for tile in tiles], 1)
        write_png(self.folder / f"step_{step:06d}.png", strip.clamp(0, 1))
        if self.tensorboard:
            with self._events() as events:
                events.add_image("preview", strip.permute(2, 0, 1).clamp(0, 1), step)

    def _events(self) -> Any:
        return importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(self.folder))
