"""The sampler's loop: windows and guidance halves of a step are fused, then the step is taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import BackendError
from persona.synthesis.diffusion.progress_file import Denoised, ProgressFile
from persona.synthesis.diffusion.sharing import Alone, Share
from persona.synthesis.diffusion.windows import position_weights, total_weights

UNASKED, ASKED = 0, 1
"""Rows of what guidance compares: without photo and skeleton, and with them."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the UNet is told; row 0 of the guided ones is what it is told when nothing is asked."""

    embedding: Float[Tensor, "1 1 c"]
    """Of the photo, by the image encoder; zero when unasked."""
    photo: Float[Tensor, "4 y x"]
    """Latents of the photo; zero when unasked."""
    pose: Float[Tensor, "n k y x"]
    """Features of each frame's skeleton; zero when unasked."""
    time_ids: Float[Tensor, "1 3"]
    """Rate, motion, noise."""


@dataclass(frozen=True, kw_only=True)
class Denoiser:
    """Everything that stays the same over the steps."""

    unet: Any
    scheduler: Any
    """Its steps are set."""
    conditions: Conditions
    cover: tuple[tuple[int, ...], ...]
    """Windows."""
    guidance: float
    batched: bool = False
    """Both halves of a window in one call."""
    share: Share = field(default_factory=Alone)

    @property
    def pieces(self) -> list[tuple[int, tuple[int, ...]]]:
        """What one step consists of: windows, and the halves that each call does."""
        halves = ((UNASKED, ASKED),) if self.batched else ((UNASKED,), (ASKED,))
        return [(k, rows) for k in range(len(self.cover)) for rows in halves]

    def run(
        self, state: Denoised, kept: ProgressFile, tick: Callable[[], None]
    ) -> Float[Tensor, "n 4 y x"]:
        """Take all steps that are left; see `progress_file` for how a stop is survived.

        Raises:
            BackendError: Numbers overflowed.
        """
        total = total_weights(self.cover, len(state.latents)).to(state.latents.device)
        mine = self.share.mine(self.pieces)
        times = self.scheduler.timesteps
        self.scheduler.set_begin_index(state.step)
        while state.step < len(times):
            time = times[state.step]
            scaled = self.scheduler.scale_model_input(state.latents, time)
            for piece in mine[state.done :]:
                self._add(piece, scaled, time, state.sums)
                state.done += 1
                tick()
                kept.save(state)
            sums = self.share.add_up(state.sums) / total[:, None, None, None]
            guided = sums[UNASKED] + self.guidance * (sums[ASKED] - sums[UNASKED])
            latents = self.scheduler.step(guided, time, state.latents, return_dict=False)[0]
            if not bool(torch.isfinite(latents).all()):
                raise BackendError(
                    f"step {state.step + 1} gave numbers beyond {latents.dtype}",
                    why="activations of this model leave the range of float16 now and then",
                    fix="compute in bfloat16, or float32",
                )
            state.latents, state.done = latents, 0
            state.sums = torch.zeros_like(state.sums)
            state.step += 1
            kept.save(state, now=state.step == len(times))
        return state.latents

    def _add(
        self,
        piece: tuple[int, tuple[int, ...]],
        scaled: Float[Tensor, "n 4 y x"],
        time: Tensor,
        sums: Float[Tensor, "2 n 4 y x"],
    ) -> None:
        """Predict one window, and add it to the sums with the weights of its places."""
        frames, rows = list(self.cover[piece[0]]), piece[1]
        told = self.conditions
        photo = told.photo.expand(len(frames), -1, -1, -1)
        asked = torch.tensor([float(row == ASKED) for row in rows]).to(photo)
        noisy = torch.cat([scaled[frames].to(photo), photo], 1).repeat(len(rows), 1, 1, 1, 1)
        noisy[:, :, 4:] *= asked[:, None, None, None, None]
        pose = told.pose[frames].repeat(len(rows), 1, 1, 1, 1) * asked[:, None, None, None, None]
        self.unet.conv_in.pose = pose.flatten(0, 1)
        try:
            predicted = self.unet(
                noisy,
                time,
                encoder_hidden_states=told.embedding * asked[:, None, None],
                added_time_ids=told.time_ids.repeat(len(rows), 1),
                return_dict=False,
            )[0]
        finally:
            self.unet.conv_in.pose = None
        weights = position_weights(len(frames), device=sums.device).to(sums)
        for k, row in enumerate(rows):
            sums[row, frames] += predicted[k].to(sums.dtype) * weights[:, None, None, None]


def agreed(state: Denoised, share: Share) -> Denoised:
    """Bring all processes to the latest step that any of them has finished."""
    steps = share.agree(state.step)
    latest = max(steps)
    if min(steps) != latest:
        share.take_from(state.latents, steps.index(latest))
        if state.step != latest:
            state.step, state.done = latest, 0
            state.sums.zero_()
    return state
