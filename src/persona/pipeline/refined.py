"""Let photo and generated pictures refine an avatar together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from persona.avatar import Avatar
from persona.core.device import choose_device, core_count
from persona.core.moving import moved
from persona.core.seeds import Seeds
from persona.images.lpips import load_lpips
from persona.optimization.joint import JointConfig, Onlooker, train_jointly
from persona.optimization.photo_clip import photo_clip
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet
from persona.records.observation import Observation
from persona.records.photo import Photo


@dataclass(frozen=True, kw_only=True)
class Refined:
    """An avatar after joint training, and how that went."""

    avatar: Avatar
    """The avatar; what was left out is among its warnings."""
    history: tuple[dict[str, float], ...]
    """Step and residuals, now and then."""
    notes: tuple[str, ...]
    """What was left out, in sentences."""


@dataclass(frozen=True, kw_only=True)
class RefineJointly:
    """Avatar, FrameSet, Photo, Observation, BodyFit -> Refined."""

    config: JointConfig = field(default_factory=JointConfig)
    """How long and how hard."""
    person_height: int = 512
    """Rows that the person fills in the photo [px]."""
    lpips: Path | None = None
    """Folder of the weights of LPIPS, see `images.lpips`; None takes what stands in for it."""
    onlooker: Onlooker | None = None
    """Hears of every step; changes nothing."""
    device: str = "auto"
    """Where: auto, cpu, cuda."""

    @property
    def steps(self) -> int:
        """Steps it will report."""
        return self.config.steps

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
        tick: Callable[[int], None] = lambda _: None,
    ) -> Refined:
        """Train, and hand on what was said; a killed training goes on from its checkpoint."""
        clip = photo_clip(avatar, photo, observation, fit, person_height=self.person_height)
        pictured = tuple(clip for clip in frames.taught if clip.pictures)
        device = choose_device(self.device)
        trained = train_jointly(
            moved(avatar, device),
            FrameSet(clips=(clip, *pictured), nodes=frames.nodes),
            self.config,
            seed=Seeds(seed).integer("refine"),
            threads=core_count(),
            checkpoint=checkpoint,
            lpips=None if self.lpips is None else load_lpips(self.lpips).to(device),
            onlooker=self.onlooker,
            tick=tick,
        )
        refined = moved(trained.avatar, "cpu")
        return Refined(avatar=refined, history=trained.history, notes=trained.notes)
