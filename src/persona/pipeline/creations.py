"""Avatars for evaluation, made once for a photo, a recipe and a version of the code, then kept."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from persona.avatar import Avatar
from persona.core.config import load_config, save_config
from persona.core.fingerprint import code_version, fingerprint
from persona.core.timing import measured
from persona.evaluation.subjects import Subject
from persona.optimization.joint import JointConfig
from persona.pipeline.create import create, outfit_of
from persona.pipeline.presets import preset_config
from persona.pipeline.refined import RefineJointly
from persona.pipeline.stages import Generator, default_stages
from persona.pipeline.targets import ENDING
from persona.records.outfit import Outfit

MAKES_AVATARS: Final = (
    *("animation", "avatar", "body", "core", "fitting", "geometry", "images", "kernels"),
    *("optimization", "perception", "pipeline", "records", "rendering", "synthesis"),
)
"""Folders of this package whose code decides what an avatar becomes."""
REFINE_STEPS: Final = 200
"""Steps of joint training where a recipe asks for it."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an avatar is made of a photo."""

    preset: str = "standard"
    """See `pipeline.presets`."""
    generator: Generator = "physics"
    """Who makes what clothes learn from."""
    refine: int = 0
    """Steps of joint training."""
    balanced: bool = True
    """Whether that sees the photo as often as all else together."""
    allow_partial: bool = False
    """Whether to go on where the product would refuse."""
    seed: int = 0
    """Same seed, same avatar."""


DEFAULT: Final = Recipe()
"""What `persona create` does when nothing is asked for."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What making an avatar took."""

    seconds: float
    """On the clock [s]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Creation:
    """A finished avatar and where it is."""

    avatar: Avatar
    """The avatar."""
    folder: Path
    """Its folder, with its clothes."""

    @property
    def outfit(self) -> Outfit:
        """Its clothes as meshes."""
        return outfit_of(self.folder)


@runtime_checkable
class Creations(Protocol):
    """Where avatars come from."""

    def get(self, subject: Subject, recipe: Recipe = DEFAULT) -> Creation:
        """Give the avatar of a subject's photo."""
        ...

    def seconds(self, subject: Subject, recipe: Recipe = DEFAULT) -> float | None:
        """Say how long it took to make [s]; None where that was not seen."""
        ...


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Makes avatars that are not there yet, and keeps them in a folder."""

    root: Path
    """Where they are kept; one folder for each photo, recipe and version of the code."""
    on_made: Callable[[str, Recipe, float], None] = field(default=lambda *_: None)
    """Hears of a subject's name, the recipe and the seconds that one took."""

    def get(self, subject: Subject, recipe: Recipe = DEFAULT) -> Creation:
        """Give the avatar of a subject's photo.

        Raises:
            PhotoError: No avatar can be made from this photo.
            FitError: No body explains the person in it.
        """
        folder = self.folder_of(subject, recipe)
        if not (folder / "avatar.json").is_file():
            self.root.mkdir(parents=True, exist_ok=True)
            with measured() as clock:
                _make(subject, recipe, folder)
            seconds = clock.cost().seconds
            save_config(self._made_file(folder), Made(seconds=seconds))
            self.on_made(subject.name, recipe, seconds)
        return Creation(avatar=Avatar.load(folder), folder=folder)

    def seconds(self, subject: Subject, recipe: Recipe = DEFAULT) -> float | None:
        """Say how long an avatar took [s]; None where it was not made here."""
        file = self._made_file(self.folder_of(subject, recipe))
        return load_config(file, Made).seconds if file.is_file() else None

    @staticmethod
    def _made_file(folder: Path) -> Path:
        return folder.with_name(f"{folder.stem}_made.json")

    def folder_of(self, subject: Subject, recipe: Recipe) -> Path:
        """Say where an avatar is or will be."""
        photo = subject.photo
        seen = (photo.rgb, photo.alpha, photo.focal_px, subject.person)
        key = fingerprint(seen, recipe, code_version(*MAKES_AVATARS))
        return self.root / f"{subject.name}_{key[:12]}{ENDING}"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Finished avatars by subject, for the default recipe: nothing is made."""

    folders: dict[str, Path]
    """Subject's name -> avatar folder."""
    others: Creations
    """Where other recipes, and other subjects, come from."""

    def get(self, subject: Subject, recipe: Recipe = DEFAULT) -> Creation:
        """Give the avatar of a subject."""
        if recipe != DEFAULT or subject.name not in self.folders:
            return self.others.get(subject, recipe)
        folder = self.folders[subject.name]
        return Creation(avatar=Avatar.load(folder), folder=folder)

    def seconds(self, subject: Subject, recipe: Recipe = DEFAULT) -> float | None:
        """Say how long those that were made took [s]; nothing is known of finished ones."""
        finished = recipe == DEFAULT and subject.name in self.folders
        return None if finished else self.others.seconds(subject, recipe)


def _make(subject: Subject, recipe: Recipe, folder: Path) -> None:
    stages = None
    config = preset_config(recipe.preset)
    if recipe.refine and not recipe.balanced:
        joint = replace(JointConfig(steps=recipe.refine), photo_share=None)
        stages = default_stages(
            config,
            person=subject.person,
            allow_partial=recipe.allow_partial,
            generator=recipe.generator,
            refine=RefineJointly(config=joint, person_height=config.person_height),
        )
    create(
        subject.photo,
        out=folder,
        preset=recipe.preset,
        seed=recipe.seed,
        person=subject.person,
        allow_partial=recipe.allow_partial,
        generator=recipe.generator,
        refine=recipe.refine,
        stages=stages,
    )
