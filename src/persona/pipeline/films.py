"""Video models that read their weights when the first film is made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from persona.synthesis.diffusion.mimicmotion import MimicMotion, count_pieces
from persona.synthesis.diffusion.settings import MimicMotionSettings, WanAnimateSettings
from persona.synthesis.diffusion.sharing import Alone, Share
from persona.synthesis.diffusion.wan_animate import WanAnimate, count_steps


@dataclass(frozen=True, kw_only=True)
class MimicMotionFilm:
    """MimicMotion, read from its weights when the first film is made."""

    base: Path
    """Folder of SVD-XT 1.1."""
    checkpoint: Path
    """Folder or file of MimicMotion 1.1."""
    settings: MimicMotionSettings
    """How to sample."""
    device: torch.device
    """Where to compute; in bfloat16, on a CPU in float32."""
    share: Share
    """Who does which pieces."""

    @property
    def key(self) -> object:
        """Settings, and which weights."""
        return self.settings, self.base, self.checkpoint, self.device.type

    def steps(self, frame_count: int) -> int:
        """Count windows and chunks."""
        return count_pieces(self.settings, self.share, frame_count)

    def __call__(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        *,
        face: tuple[int, int, int, int],
        folder: Path | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Make a film; see `MimicMotion`, which looks for no face."""
        del face
        made = MimicMotion.load(
            self.base,
            self.checkpoint,
            settings=self.settings,
            device=self.device,
            dtype=torch.float32 if self.device.type == "cpu" else torch.bfloat16,
            share=self.share,
        )
        return made(photo, skeletons, folder=folder, tick=tick)


@dataclass(frozen=True, kw_only=True)
class WanAnimateFilm:
    """Wan-Animate, read from its weights when the first film is made."""

    folder: Path
    """Its weights."""
    settings: WanAnimateSettings
    """How to sample."""
    device: torch.device
    """Where to compute; in bfloat16, on a CPU in float32."""
    share: Share = field(default_factory=Alone)
    """Its segments follow from one another: nobody shares the work."""

    @property
    def key(self) -> object:
        """Settings, and which weights."""
        return self.settings, self.folder, self.device.type

    def steps(self, frame_count: int) -> int:
        """Count steps of all segments."""
        return count_steps(self.settings, frame_count)

    def __call__(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        *,
        face: tuple[int, int, int, int],
        folder: Path | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Make a film; see `WanAnimate`."""
        made = WanAnimate.load(
            self.folder,
            settings=self.settings,
            device=self.device,
            dtype=torch.float32 if self.device.type == "cpu" else torch.bfloat16,
        )
        return made(photo, skeletons, face=face, folder=folder, tick=tick)
