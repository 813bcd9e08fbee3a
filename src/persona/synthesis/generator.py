"""FrameGenerator: whoever makes frames of a photo's person in other poses."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from persona.avatar import Avatar
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """The person of a photo, and all that is known of them when frames are made."""

    photo: Photo
    """The photo."""
    observation: Observation
    """What was seen in it."""
    fit: BodyFit
    """The body in it."""
    avatar: Avatar | None = None
    """As the photo alone made it; generators by diffusion need none."""
    outfit: Outfit | None = None
    """What they wear, as meshes; likewise."""


@runtime_checkable
class FrameGenerator(Protocol):
    """Sitter -> FrameSet. The motions are the generator's own setting."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def key(self) -> object:
        """Everything that its frames depend on besides the sitter, for `core.fingerprint`."""
        ...

    def steps(self, sitter: Sitter) -> int:
        """Say how many steps it will report."""
        ...

    def __call__(
        self,
        sitter: Sitter,
        *,
        folder: Path | None = None,
        tick: Callable[[int], None] = ...,
    ) -> FrameSet:
        """Make labelled frames.

        Args:
            sitter: Whom to draw.
            folder: Where state is kept so that a stopped call goes on; None keeps none.
            tick: Called with the number of steps done.
        """
        ...
