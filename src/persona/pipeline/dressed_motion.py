"""Let the person's clothes be simulated, and teach the avatar how they move."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Final

from persona.animation.performance import perform, photo_face
from persona.animation.program import (
    chain,
    further_motions,
    judged_pieces,
    taught_pieces,
    wandering,
)
from persona.animation.resampling import wear_face
from persona.avatar import Avatar
from persona.core.device import choose_device
from persona.core.moving import moved
from persona.core.seeds import Seeds
from persona.evaluation.cloth_metrics import measure_cloth
from persona.optimization.offsets import OffsetsConfig, learn_offsets
from persona.pipeline.simulated import led_in
from persona.records.frame_set import FrameSet
from persona.records.motion import Motion
from persona.records.outfit import Outfit
from persona.synthesis.physics.frames import GeneratePhysics

UNLEARNED: Final = "The clothes follow the skin: {why}."
"""What the report says of an avatar without learned cloth."""


@dataclass(frozen=True, kw_only=True)
class SynthesizeFrames:
    """Avatar, Outfit -> FrameSet, by physics over the project's own motions."""

    physics: GeneratePhysics = field(default_factory=GeneratePhysics)
    """The generator."""

    def __call__(
        self, avatar: Avatar, outfit: Outfit, *, tick: Callable[[int], None] = lambda _: None
    ) -> FrameSet:
        """Simulate everything that is taught and judged by, each beginning in the photo's pose.

        Args:
            avatar: The person, as the photo alone made them.
            outfit: What they wear; at least one garment.
            tick: Called with the number of frames done.
        """
        done = 0

        def one_more() -> None:
            nonlocal done
            done += 1
            tick(done)

        *taught, judged = (led_in(avatar, motion)[0] for motion in _motions(avatar))
        return self.physics(avatar, outfit, taught, judged, tick=one_more)

    def steps(self, avatar: Avatar) -> int:
        """Say how many frames will be simulated."""
        *taught, judged = (led_in(avatar, motion)[0] for motion in _motions(avatar))
        return self.physics.frame_count(taught, judged)


@dataclass(frozen=True, kw_only=True)
class LearnCloth:
    """Avatar, FrameSet -> Avatar whose clothes move by themselves."""

    config: OffsetsConfig = field(default_factory=OffsetsConfig)
    """How long and how hard."""
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
        *,
        seed: int = 0,
        tick: Callable[[int], None] = lambda _: None,
    ) -> Avatar:
        """Learn, and measure what was learned on the motion that was held out."""
        given = (frames, avatar.photo_params, tuple(further_motions()))
        taught, photo, further = moved(given, choose_device(self.device))
        number = Seeds(seed).integer("learn")
        learned = learn_offsets(taught, photo, self.config, further=further, seed=number, tick=tick)
        cloth = moved(learned.cloth, "cpu")
        numbers = measure_cloth(cloth, frames)
        return replace(avatar, cloth=cloth, numbers={**avatar.numbers, **numbers})


def _motions(avatar: Avatar) -> list[Motion]:
    """Give what is taught, in halves that can be simulated side by side, and what is judged by."""
    taught = [perform(avatar, piece) for piece in taught_pieces()]
    taught.append(wear_face(wandering(), photo_face(avatar)))
    judged = [perform(avatar, piece) for piece in judged_pieces()]
    halves = [half for half in _halves(taught) if half]
    parts = [chain(half, name=f"taught {k}") for k, half in enumerate(halves, start=1)]
    return [*parts, chain(judged, name="held out")]


def _halves(pieces: list[Motion]) -> tuple[list[Motion], list[Motion]]:
    """Cut a list of motions in two where their frames are nearest to half of all."""
    total = sum(piece.frame_count for piece in pieces)
    before = list(accumulate((piece.frame_count for piece in pieces), initial=0))
    cut = min(range(len(pieces) + 1), key=lambda k: abs(2 * before[k] - total))
    return pieces[:cut], pieces[cut:]
