"""Generators of frames by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Final

import torch

from persona.animation.program import DRIVING_FRAMES, driving_motion
from persona.avatar import Avatar
from persona.core.device import device_of_process
from persona.core.errors import InputError
from persona.core.run_folder import RunFolder
from persona.core.weights import has_weights, weights_path, weights_paths
from persona.perception.models.choice import EMBEDDED, LABEL_MODELS, parse_labels
from persona.perception.models.face_likeness import WEIGHTS as FACE_WEIGHTS
from persona.perception.models.face_likeness import FaceLikeness, likeness_to
from persona.perception.models.labels import ModelLabels
from persona.pipeline.dressed_motion import SynthesizeFrames
from persona.pipeline.films import MimicMotionFilm, WanAnimateFilm
from persona.pipeline.generated import LABELLED_EVERY, DiffusionFrames
from persona.records.frame_set import FrameSet, join_frames
from persona.records.motion import Motion
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.synthesis.diffusion.aapose import draw_aapose
from persona.synthesis.diffusion.settings import (
    MimicMotionSettings,
    WanAnimateSettings,
    for_memory,
    wan_for_memory,
)
from persona.synthesis.diffusion.sharing import share_of_process
from persona.synthesis.diffusion.wan_animate import WEIGHTS
from persona.synthesis.generator import FrameGenerator, Sitter

PHYSICS: Final = "physics"
MIMICMOTION: Final = "mimicmotion"
WAN_ANIMATE: Final = "wan-animate"
NONE: Final = "none"
NAMES: Final = (PHYSICS, MIMICMOTION, WAN_ANIMATE)
"""Generators that can be asked for, and put together by a plus."""


@dataclass(frozen=True, kw_only=True)
class DiffusionOptions:
    """What people decide about generators by diffusion."""

    frames: int = DRIVING_FRAMES
    """How many frames are asked for, at 30 a second."""
    every: int = LABELLED_EVERY
    """One frame of so many is labelled and learned from."""
    sampling: MimicMotionSettings = field(default_factory=MimicMotionSettings)
    """How MimicMotion samples."""
    wan: WanAnimateSettings = field(default_factory=WanAnimateSettings)
    """How Wan-Animate samples."""
    fit_card: bool = True
    """Change the settings for memory as the card needs it."""
    device: str = "auto"
    """auto, cpu, cuda."""
    base: Path | None = None
    """Your own folder of SVD-XT 1.1; None takes the fetched one."""
    checkpoint: Path | None = None
    """Your own folder or file of MimicMotion 1.1; likewise."""
    wan_folder: Path | None = None
    """Your own folder of Wan-Animate; likewise."""
    labels: str = EMBEDDED
    """Who looks at the frames; see `perception.models.choice.parse_labels`."""
    label_folders: Mapping[str, Path] = field(default_factory=dict)
    """Your own folders of label models by name; others are the fetched ones."""
    faces: Path | None = None
    """Your own folder of SigLIP, which compares faces; None takes the fetched one where there is
    one, and else does without."""


@dataclass(frozen=True, kw_only=True)
class FaceWeights:
    """Compares faces by SigLIP, read when the first film is judged."""

    folder: Path
    """Its weights."""
    device: torch.device
    """Where to compute."""

    @property
    def key(self) -> object:
        """Which weights."""
        return "siglip", self.folder

    def __call__(self, photo: Photo, observation: Observation) -> FaceLikeness | None:
        """Read the weights; None where the photo's own face does not do.

        Raises:
            MissingPartError: The extra or a part of the weights is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        # On white, as generators show people: the model sees what is around a face.
        covered = observation.mask[..., None]
        on_white = (photo.rgb * covered + 1 - covered).clamp(0, 1)
        shown = (on_white * 255).round().to(torch.uint8)
        return likeness_to(self.folder, shown, observation.face, device=self.device)


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


def wan_animate_frames(options: DiffusionOptions, motion: Motion | None = None) -> DiffusionFrames:
    """Set Wan-Animate up; nothing is read yet but where its weights are.

    Args:
        options: What people decide.
        motion: What is asked for; None takes `animation.program.driving_motion`.

    Raises:
        MissingPartError: Weights are missing; the text has the command that gets them.
        InputError: Several processes were started, which have nothing to share here.
    """
    device = device_of_process(options.device)
    if share_of_process(device).world > 1:
        raise InputError(
            "several processes were started for wan-animate",
            why="each of its segments goes on from the one before: there is nothing to share",
            fix="start it without torchrun, or use --generator mimicmotion",
        )
    settings = options.wan
    if device.type == "cuda" and options.fit_card:
        memory = torch.cuda.get_device_properties(device).total_memory
        settings = wan_for_memory(settings, memory / 2**30)
    film = WanAnimateFilm(
        folder=weights_path(WEIGHTS, options.wan_folder), settings=settings, device=device
    )
    return DiffusionFrames(
        name=WAN_ANIMATE,
        film=film,
        motion=motion or driving_motion(options.frames),
        width=settings.width,
        height=settings.height,
        draw=draw_aapose,
        every=options.every,
        faces=_faces(options, device),
        **_labels(options, device),
    )


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
        faces=_faces(options, device),
        **_labels(options, device),
    )


@dataclass(frozen=True)
class Together:
    """Several generators one after the other, whose frames are put together."""

    generators: tuple[FrameGenerator, ...]

    @property
    def name(self) -> str:
        """Names and plus signs."""
        return "+".join(generator.name for generator in self.generators)

    @property
    def key(self) -> object:
        """All that each depends on."""
        return tuple(generator.key for generator in self.generators)

    def steps(self, sitter: Sitter) -> int:
        """Count those of all."""
        return sum(generator.steps(sitter) for generator in self.generators)

    def __call__(
        self,
        sitter: Sitter,
        *,
        folder: Path | None = None,
        tick: Callable[[int], None] = lambda _: None,
    ) -> FrameSet:
        """Let each make its frames."""
        done, made = 0, []
        for generator in self.generators:
            own = None if folder is None else folder / generator.name
            if own is not None:
                own.mkdir(exist_ok=True)
            before = done
            made.append(generator(sitter, folder=own, tick=lambda k, n=before: tick(n + k)))
            done += generator.steps(sitter)
        return reduce(join_frames, made)


def by_diffusion(
    names: tuple[str, ...], options: DiffusionOptions | None = None
) -> FrameGenerator | None:
    """Set up whoever of some generators makes pictures by diffusion; None where nobody does.

    Raises:
        InputError: Labels were chosen, and nobody does; or there are none of that name.
        MissingPartError: Weights are missing; the text has the command that gets them.
    """
    options = options or DiffusionOptions()
    parse_labels(options.labels)
    made = [SETUPS[name](options) for name in names if name in SETUPS]
    if not made and options.labels != EMBEDDED:
        raise InputError(
            f"frames were to be looked at by {options.labels}, and nobody makes any by diffusion",
            why="what physics makes is known, and needs no labels",
            fix="leave --labels out, or choose a generator: --generator wan-animate",
        )
    return Together(tuple(made)) if len(made) > 1 else next(iter(made), None)


SETUPS: Final = {MIMICMOTION: mimicmotion_frames, WAN_ANIMATE: wan_animate_frames}
"""Generators by diffusion, and who sets them up."""


def frame_generator(
    names: tuple[str, ...], options: DiffusionOptions | None = None
) -> FrameGenerator:
    """Set all of some generators up, physics too.

    Raises:
        InputError: There is none.
        MissingPartError: Weights are missing; the text has the command that gets them.
    """
    every: list[FrameGenerator] = []
    if PHYSICS in names:
        every.append(PhysicsFrames(synthesize=SynthesizeFrames()))
    others = by_diffusion(names, options)
    if others is not None:
        every.append(others)
    if not every:
        raise InputError(
            "no generator was named",
            why="somebody must make the frames",
            fix="for example: --generator mimicmotion",
        )
    return Together(tuple(every)) if len(every) > 1 else every[0]


def film_folder(run: RunFolder) -> Path:
    """Give the folder in which a film's state is kept."""
    folder = run.path / "generating"
    folder.mkdir(exist_ok=True)
    return folder


def _labels(options: DiffusionOptions, device: torch.device) -> dict[str, Any]:
    """Say who looks at the frames, as `DiffusionFrames` takes it."""
    names, own = parse_labels(options.labels), options.label_folders
    idle = [name for name in own if name not in names]
    if idle:
        raise InputError(
            f"a folder of {idle[0]} was given, and --labels {options.labels} does not use it",
            why="it would not be read",
            fix=f"--labels {'+'.join([*names, idle[0]])}, or leave the folder out",
        )
    if not names:
        return {}
    found = weights_paths({LABEL_MODELS[name].weights: own.get(name) for name in names})
    folders = {name: found[LABEL_MODELS[name].weights] for name in names}
    models = ModelLabels(folders=folders, device=device)
    return {"labels": models, "labels_key": models.key}


def _faces(options: DiffusionOptions, device: torch.device) -> FaceWeights | None:
    """Say who compares faces: whoever was named or is here."""
    if options.faces is None and not has_weights(FACE_WEIGHTS):
        return None
    return FaceWeights(folder=weights_path(FACE_WEIGHTS, options.faces), device=device)


def _dressed(sitter: Sitter) -> tuple[Avatar, Outfit]:
    if sitter.avatar is None or sitter.outfit is None:
        raise InputError(
            "physics was asked for frames of somebody without avatar and outfit",
            why="it moves the clothes of a finished avatar",
            fix="make the avatar first with `persona create`, then name it by --avatar",
        )
    return sitter.avatar, sitter.outfit
