"""Every method that we run ourselves, by name: our avatar, what is left away from it, baselines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.resampling import resample
from persona.avatar import Avatar
from persona.avatar.slopes import Moved
from persona.core.errors import InputError
from persona.core.types import Mask
from persona.evaluation.avatar_drawer import AvatarDrawer, ClothMode
from persona.evaluation.methods import Drawer, Method
from persona.evaluation.photo_copy import CopyDrawer
from persona.evaluation.rigid import RigidDrawer
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.perception.stage import perceive
from persona.pipeline.creations import DEFAULT, REFINE_STEPS, Creation, Creations, Recipe
from persona.pipeline.simulated import simulate_clothes, turned
from persona.records.body_params import BodyParams
from persona.records.motion import Motion

SIMULATED_FPS: Final = 30.0
"""Least rate at which clothes are simulated; slower frames get others between them."""


@dataclass(frozen=True, kw_only=True)
class OurMethod:
    """A method that needs a finished avatar: for its body at least."""

    name: str
    """What tables call it."""
    about: str
    """What it is."""
    make: Callable[[Creation, Subject], Drawer]
    """Makes a drawer of a finished avatar."""
    creations: Creations
    """Where avatars come from."""
    recipe: Recipe = field(default=DEFAULT)
    """How the avatar is made."""

    def prepare(self, subject: Subject) -> Drawer:
        """Get the avatar, and make it draw."""
        return self.make(self.creations.get(subject, self.recipe), subject)

    def made_seconds(self, subject: Subject) -> float | None:
        """Say how long its avatar took."""
        return self.creations.seconds(subject, self.recipe)


def our_methods(creations: Creations) -> dict[str, Method]:
    """Give all of them by name, the default first."""

    def worn(cloth: ClothMode) -> Callable[[Creation, Subject], Drawer]:
        return lambda made, subject: AvatarDrawer.of(made.avatar, subject, cloth=cloth)

    def method(name: str, about: str, make: Callable[[Creation, Subject], Drawer]) -> OurMethod:
        return OurMethod(name=name, about=about, make=make, creations=creations)

    refined = Recipe(refine=REFINE_STEPS)
    methods = (
        method("ours", "our avatar as `persona create` makes it", worn("learned")),
        method("rigid", "naked body, photo painted on, linear skinning", _rigid),
        method("copy", "the photo, moved and scaled", _copy),
        method("stiff", "our avatar without pose offsets", worn("stiff")),
        method("baked", "our avatar, offsets from baked shapes", worn("baked")),
        method("physics", "our avatar, clothes simulated in each frame", _simulated),
        replace(
            method("photo-only", "our avatar, nothing generated", worn("learned")),
            recipe=Recipe(generator="none"),
        ),
        replace(
            method("draft", "our avatar, the draft preset: quick, and coarse", worn("learned")),
            recipe=Recipe(preset="draft", generator="none"),
        ),
        replace(
            method("refined", "our avatar, trained on photo and pictures 1:1", worn("learned")),
            recipe=refined,
        ),
        replace(
            method("unbalanced", "the same, the photo one of many pictures", worn("learned")),
            recipe=replace(refined, balanced=False),
        ),
    )
    return {chosen.name: chosen for chosen in methods}


def _rigid(made: Creation, subject: Subject) -> Drawer:
    return RigidDrawer.of(made.avatar, subject, _photo_mask(subject))


def _copy(made: Creation, subject: Subject) -> Drawer:
    return CopyDrawer.of(made.avatar, subject, _photo_mask(subject))


def _photo_mask(subject: Subject) -> Mask:
    """Find the person in the photo, as creating an avatar did."""
    return perceive(subject.photo, person=subject.person, allow_partial=True).mask


def _simulated(made: Creation, subject: Subject) -> Drawer:
    drawer = AvatarDrawer.of(made.avatar, subject)
    if not made.outfit.garments:
        return drawer
    return replace(drawer, told=_Simulation(drawer=drawer, made=made, subject=subject))


@dataclass(eq=False, kw_only=True)
class _Simulation:
    """Simulates clothes as far as frames are asked for, one offset in memory at a time."""

    drawer: AvatarDrawer
    made: Creation
    subject: Subject
    _coming: Iterator[Float[Tensor, "n 3"] | Moved] | None = None
    _at: int = -1
    _moved: Float[Tensor, "n 3"] | Moved | None = None

    def __call__(self, frame: SubjectFrame) -> Float[Tensor, "n 3"] | Moved:
        if frame.index < self._at:
            self._coming = None
        if self._coming is None:
            self._coming, self._at = self._started(), -1
        while self._at < frame.index:
            self._moved = next(self._coming)
            self._at += 1
        assert self._moved is not None
        return self._moved

    def _started(self) -> Iterator[Float[Tensor, "n 3"] | Moved]:
        motion, every = _motion_of(self.subject, self.drawer)
        avatar: Avatar = self.made.avatar
        offsets = simulate_clothes(avatar, self.made.outfit, motion)
        return turned(avatar, (moved for k, moved in enumerate(offsets) if k % every == 0))


def _motion_of(subject: Subject, drawer: AvatarDrawer) -> tuple[Motion, int]:
    """Collect the poses of all frames, and put others between them where they are too few.

    Returns:
        The motion, and which of its frames are the subject's: one in so many.
    """
    if subject.fps is None:
        raise InputError(
            f"the frames of {subject.name} do not follow each other in time",
            why="clothes are simulated through a motion",
            fix="leave the method physics away for this data set",
        )
    poses = [drawer.placement.params(frame) for frame in subject.frames()]
    rows = {f.name: torch.stack([getattr(p, f.name) for p in poses]) for f in fields(BodyParams)}
    motion = Motion(params=BodyParams(**rows), fps=subject.fps, name=subject.name)
    every = max(1, round(SIMULATED_FPS / subject.fps))
    return resample(motion, fps=every * subject.fps), every
