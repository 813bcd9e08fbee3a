"""Where a segment of Wan-Animate was stopped between two steps, with all that its sampler knows."""

from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import FileFormatError
from persona.synthesis.diffusion.progress_file import ProgressFile

PART: Final = "step"
"""Name of the one file: a later step takes the place of an earlier one."""
NUMBERS: Final = ("lower_order_nums", "this_order", "_step_index")
"""What UniPCMultistepScheduler counts."""
LISTS: Final = ("model_outputs", "timestep_list")
"""What it remembers of its last steps; None before there were any."""

Latents = Float[Tensor, "1 c f y x"]


@dataclass(frozen=True)
class StepKeeper:
    """Keeps the state after a step of one segment; without a folder nothing is kept."""

    kept: ProgressFile
    segment: int
    """Which segment; the state of another is not taken."""

    def save(self, step: int, latents: Latents, scheduler: Any) -> None:
        """Keep the state after so many steps, unless that was done a moment ago."""
        if not self.kept.due():
            return
        told = {name: torch.tensor(getattr(scheduler, name)) for name in NUMBERS}
        told |= {"segment": torch.tensor(self.segment), "done": torch.tensor(step)}
        told |= {"latents": latents, "last_sample": scheduler.last_sample}
        for name in LISTS:
            last = enumerate(getattr(scheduler, name))
            told |= {f"{name}.{k}": value for k, value in last if value is not None}
        # Entries may be one tensor, which safetensors does not write twice.
        self.kept.keep_part(
            PART, {name: value.detach().cpu().clone() for name, value in told.items()}
        )

    def load(self, scheduler: Any, device: torch.device) -> tuple[int, Latents] | None:
        """Give how many steps are done and the latents, and put the sampler where it was.

        Args:
            scheduler: With its timesteps set.
            device: Where the latents go.

        Raises:
            FileFormatError: The file is damaged.
        """
        told = self.kept.part(PART)
        if told is None:
            return None
        try:
            if int(told["segment"]) != self.segment:
                return None
            numbers = {name: int(told[name]) for name in NUMBERS}
            done, latents = int(told["done"]), told["latents"].to(device)
            last = told["last_sample"].to(device)
        except KeyError as error:
            raise FileFormatError(
                f"the state of a stopped segment lacks {error}",
                why="its sampler cannot go on without",
                fix="delete step.safetensors beside the film to begin the segment again",
            ) from error
        for name, number in numbers.items():
            setattr(scheduler, name, number)
        scheduler.last_sample = last
        for name in LISTS:
            held = [told.get(f"{name}.{k}") for k in range(len(getattr(scheduler, name)))]
            setattr(scheduler, name, [None if x is None else x.to(device) for x in held])
        return done, latents
