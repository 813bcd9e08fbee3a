"""The stages between photo and avatar: what each takes, gives and depends on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from persona.avatar import Avatar
from persona.body import SmplxBody, load_body
from persona.evaluation.hidden_metrics import measure_hidden
from persona.evaluation.photo_metrics import measure_photo
from persona.fitting.stage import FitBody
from persona.optimization.offsets import OffsetsConfig
from persona.optimization.stage import OptimizeAvatar, OptimizeConfig
from persona.perception.stage import PerceivePhoto
from persona.pipeline.dressed_motion import LearnCloth, SynthesizeFrames
from persona.pipeline.refined import Refined, RefineJointly
from persona.pipeline.tailor import SewOutfit, TailorWardrobe
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.records.wardrobe import Wardrobe
from persona.records.wardrobe_file import Corrections
from persona.synthesis.generator import FrameGenerator

Generator = Literal["physics", "none"]
"""Who makes the frames that clothes learn to move from."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured about an avatar."""

    numbers: dict[str, float]
    """Keys of `evaluation.metrics.METRICS`, and a few that only inform."""


@runtime_checkable
class Perceive(Protocol):
    """Photo -> Observation."""

    def __call__(self, photo: Photo) -> Observation:
        """Find the person."""
        ...


@runtime_checkable
class Fit(Protocol):
    """Observation -> BodyFit."""

    def __call__(self, observation: Observation, *, focal_px: float | None = None) -> BodyFit:
        """Find the body."""
        ...


@runtime_checkable
class Tailor(Protocol):
    """Photo, Observation, BodyFit -> Wardrobe."""

    def __call__(self, photo: Photo, observation: Observation, fit: BodyFit) -> Wardrobe:
        """Say what is worn."""
        ...


@runtime_checkable
class Sew(Protocol):
    """Observation, BodyFit, Wardrobe -> Outfit."""

    def __call__(self, observation: Observation, fit: BodyFit, wardrobe: Wardrobe) -> Outfit:
        """Make garments that can be simulated."""
        ...


@runtime_checkable
class Optimize(Protocol):
    """Photo, Observation, BodyFit, Outfit -> Avatar."""

    def __call__(
        self,
        photo: Photo,
        observation: Observation,
        fit: BodyFit,
        outfit: Outfit,
        *,
        seed: int = 0,
        tick: Callable[[int], None] = ...,
    ) -> Avatar:
        """Make the avatar."""
        ...


@runtime_checkable
class Synthesize(Protocol):
    """Avatar, Outfit -> FrameSet."""

    def __call__(
        self, avatar: Avatar, outfit: Outfit, *, tick: Callable[[int], None] = ...
    ) -> FrameSet:
        """Make frames to learn from."""
        ...

    def steps(self, avatar: Avatar) -> int:
        """Say how many it will report."""
        ...


@runtime_checkable
class Learn(Protocol):
    """Avatar, FrameSet -> Avatar."""

    @property
    def steps(self) -> int:
        """Say how many it will report."""
        ...

    def __call__(
        self,
        avatar: Avatar,
        frames: FrameSet,
        *,
        seed: int = 0,
        tick: Callable[[int], None] = ...,
    ) -> Avatar:
        """Teach the clothes to move."""
        ...


@runtime_checkable
class Refine(Protocol):
    """Avatar, FrameSet, Photo, Observation, BodyFit -> Refined."""

    @property
    def steps(self) -> int:
        """Say how many it will report."""
        ...

    def __call__(
        self,
        avatar: Avatar,
        frames: FrameSet,
        photo: Photo,
        observation: Observation,
        fit: BodyFit,
        *,
        seed: int = 0,
        checkpoint: Path | None = None,
        tick: Callable[[int], None] = ...,
    ) -> Refined:
        """Train with photo and pictures together."""
        ...


@runtime_checkable
class Measure(Protocol):
    """Avatar -> numbers."""

    def __call__(self, avatar: Avatar, photo: Photo, observation: Observation) -> Measured:
        """Measure the avatar."""
        ...


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The steps from photo to avatar, already configured; a test may hand in its own."""

    perceive: Perceive
    """Photo -> Observation."""
    fit: Fit
    """Observation -> BodyFit."""
    tailor: Tailor
    """Photo, Observation, BodyFit -> Wardrobe."""
    sew: Sew
    """Observation, BodyFit, Wardrobe -> Outfit."""
    optimize: Optimize
    """Photo, Observation, BodyFit, Outfit -> Avatar."""
    synthesize: Synthesize | None
    """Avatar, Outfit -> FrameSet; None generates nothing, and clothes follow the skin."""
    learn: Learn
    """Avatar, FrameSet -> Avatar."""
    generate: FrameGenerator | None = None
    """Photo, Observation, BodyFit -> FrameSet by video diffusion; None does without."""
    refine: Refine | None
    """Avatar, FrameSet, Photo, Observation, BodyFit -> Refined; None leaves the avatar as it is."""
    measure: Measure
    """Avatar, Photo, Observation -> Measured."""


def default_stages(
    config: OptimizeConfig,
    *,
    person: int | None = None,
    allow_partial: bool = False,
    body: SmplxBody | None = None,
    corrections: Corrections | None = None,
    generator: Generator = "physics",
    frames: FrameGenerator | None = None,
    cloth: OffsetsConfig | None = None,
    refine: RefineJointly | None = None,
    device: str = "auto",
) -> Stages:
    """Give the stages that need nothing but this package.

    Args:
        config: How fine and how long to optimise.
        person: Which person of several, counted from the left from 1.
        allow_partial: Go on when part of the person is missing or the fit is poor.
        body: The body to fit; None loads the open body.
        corrections: What is known about the clothes; None leaves every guess.
        generator: Who makes the frames that clothes learn to move from.
        frames: Who makes pictures by video diffusion; None does without.
        cloth: How long and how hard they learn; None takes the usual.
        refine: How photo and generated pictures are learned from together; None does not.
        device: Where cloth is learned: auto, cpu or cuda.
    """
    body = load_body() if body is None else body
    return Stages(
        perceive=PerceivePhoto(person=person, allow_partial=allow_partial),
        fit=FitBody(body=body, allow_partial=allow_partial),
        tailor=TailorWardrobe(body=body, corrections=corrections or Corrections()),
        sew=SewOutfit(body=body),
        optimize=OptimizeAvatar(body=body, config=config),
        synthesize=SynthesizeFrames() if generator == "physics" else None,
        generate=frames,
        learn=LearnCloth(config=cloth or OffsetsConfig(), device=device),
        refine=refine,
        measure=measure_avatar,
    )


def measure_avatar(avatar: Avatar, photo: Photo, observation: Observation) -> Measured:
    """Measure what the photo shows and what it cannot."""
    numbers = {**measure_photo(avatar, photo, observation), **measure_hidden(avatar)}
    return Measured(numbers={**avatar.numbers, **numbers})
