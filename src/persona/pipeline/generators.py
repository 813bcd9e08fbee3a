"""Generators of frames by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from jaxtyping import UInt8
from torch import Tensor

from persona.animation.program import DRIVING_FRAMES, driving_motion
from persona.avatar import Avatar
from persona.core.device import device_of_process
from persona.core.errors import InputError
from persona.core.run_folder import RunFolder
from persona.core.weights import weights_path
from persona.pipeline.dressed_motion import SynthesizeFrames
from persona.pipeline.generated import LABELLED_EVERY, DiffusionFrames
from persona.records.frame_set import FrameSet
from persona.records.motion import Motion
from persona.records.outfit import Outfit
from persona.synthesis.diffusion.mimicmotion import MimicMotion, count_pieces
from persona.synthesis.diffusion.settings import MimicMotionSettings, for_memory
from persona.synthesis.diffusion.sharing import Share, share_of_process
from persona.synthesis.generator import FrameGenerator, Sitter

PHYSICS: Final = "physics"
MIMICMOTION: Final = "mimicmotion"
NONE: Final = "none"
NAMES: Final = (PHYSICS, MIMICMOTION)
"""Generators that can be asked for, and put together by a plus."""


@dataclass(frozen=True, kw_only=True)
class DiffusionOptions:
    """What people decide about generators by diffusion."""

    frames: int = DRIVING_FRAMES
    """How many frames are asked for, at 30 a second."""
    every: int = LABELLED_EVERY
    """One frame of so many is labelled and learned from."""
    sampling: MimicMotionSettings = field(default_factory=MimicMotionSettings)
    """How the model samples."""
    fit_card: bool = True
    """Change the settings for memory as the card needs it."""
    device: str = "auto"
    """auto, cpu, cuda."""
    base: Path | None = None
    """Your own folder of SVD-XT 1.1; None takes the fetched one."""
    checkpoint: Path | None = None
    """Your own folder or file of MimicMotion 1.1; likewise."""


def parse_generators(text: str) -> tuple[str, ...]:
    """Take NAME or NAME+NAME apart; "none" gives nothing.

    Raises:
        InputError: A name is unknown, or one is there twice.
    """
    names = tuple(text.split("+"))
    if names == (NONE,):
        return ()
    strange = [name for name in names if name not in NAMES]
    if strange or len(set(names)) != len(names):
        raise InputError(
            f"the generator {text!r} was asked for",
            why=f"there are {', '.join(NAMES)}, each at most once, or {NONE} alone",
            fix="for example: --generator physics+mimicmotion",
        )
    return names


@dataclass(frozen=True, kw_only=True)
class PhysicsFrames:
    """Physics as a `synthesis.generator.FrameGenerator`."""

    synthesize: SynthesizeFrames
    """Over which motions."""
    name: str = PHYSICS
    """What people call it."""

    @property
    def key(self) -> object:
        """Its settings."""
        return self.name, self.synthesize

    def steps(self, sitter: Sitter) -> int:
        """Count simulated frames."""
        return self.synthesize.steps(_dressed(sitter)[0])

    def __call__(
        self,
        sitter: Sitter,
        *,
        folder: Path | None = None,
        tick: Callable[[int], None] = lambda _: None,
    ) -> FrameSet:
        """Simulate; it takes a minute, and keeps nothing on the way.

        Raises:
            InputError: Avatar or outfit are not there.
        """
        avatar, outfit = _dressed(sitter)
        return self.synthesize(avatar, outfit, tick=tick)


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
        folder: Path | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Make a film; see `MimicMotion`."""
        made = MimicMotion.load(
            self.base,
            self.checkpoint,
            settings=self.settings,
            device=self.device,
            dtype=torch.float32 if self.device.type == "cpu" else torch.bfloat16,
            share=self.share,
        )
        return made(photo, skeletons, folder=folder, tick=tick)


def mimicmotion_frames(options: DiffusionOptions, motion: Motion | None = None) -> DiffusionFrames:
    """Set MimicMotion up; nothing is read yet but where its weights are.

    Args:
        options: What people decide.
        motion: What is asked for; None takes `animation.program.driving_motion`.

    Raises:
        MissingPartError: Weights are missing; the text has the command that gets them.
    """
    device = device_of_process(options.device)
    settings = options.sampling
    if device.type == "cuda" and options.fit_card:
        memory = torch.cuda.get_device_properties(device).total_memory
        settings = for_memory(settings, memory / 2**30)
    checkpoint = options.checkpoint
    if checkpoint is None or not checkpoint.is_file():
        checkpoint = weights_path("mimicmotion-1.1", checkpoint)
    film = MimicMotionFilm(
        base=weights_path("svd-xt-1.1", options.base),
        checkpoint=checkpoint,
        settings=settings,
        device=device,
        share=share_of_process(device),
    )
    return DiffusionFrames(
        name=MIMICMOTION,
        film=film,
        motion=motion or driving_motion(options.frames),
        width=settings.width,
        height=settings.height,
        every=options.every,
    )


def by_diffusion(
    names: tuple[str, ...], options: DiffusionOptions | None = None
) -> FrameGenerator | None:
    """Set up whoever of some generators makes pictures by diffusion; None where nobody does.

    Raises:
        MissingPartError: Weights are missing; the text has the command that gets them.
    """
    return mimicmotion_frames(options or DiffusionOptions()) if MIMICMOTION in names else None


def film_folder(run: RunFolder) -> Path:
    """Give the folder in which a film's state is kept."""
    folder = run.path / "generating"
    folder.mkdir(exist_ok=True)
    return folder


def _dressed(sitter: Sitter) -> tuple[Avatar, Outfit]:
    if sitter.avatar is None or sitter.outfit is None:
        raise InputError(
            "physics was asked for frames of somebody without avatar and outfit",
            why="it moves the clothes of a finished avatar",
            fix="make the avatar first, as `persona create` does",
        )
    return sitter.avatar, sitter.outfit
