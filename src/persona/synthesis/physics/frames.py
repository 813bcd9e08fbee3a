"""Avatar, Outfit, motions -> FrameSet: frames whose cloth is simulated, every offset known."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.nodes import place_nodes
from persona.avatar.rates import joint_rates
from persona.records.frame_set import Clip, FrameSet
from persona.records.motion import Motion
from persona.records.nodes import Nodes
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.synthesis.physics.pictures import PictureConfig, draw_pictures
from persona.synthesis.physics.worn_motion import CLOTH, simulate_worn

SOURCE: Final = "physics"
"""Name of this generator."""
STIR_M: Final = 1e-5
"""How far the second run starts from the first [m]: a hair's breadth."""
MOVABLE: Final = (*CLOTH, Part.HAIR)
"""Parts that nodes are placed on; skin and shoes stay with the body."""


@dataclass(frozen=True, kw_only=True)
class PhysicsConfig:
    """How frames are made by physics."""

    nodes: int = 4_096
    """Places whose offsets are kept."""
    repeated: float = 0.3
    """Share of the taught frames, from the first on, that are simulated again, stirred, to tell
    what can be predicted; a node's noise in the others is taken to be its mean in these."""
    pictures: PictureConfig = field(default_factory=PictureConfig)
    """What is drawn."""


@dataclass(frozen=True)
class GeneratePhysics:
    """Avatar, Outfit, motions -> FrameSet; needs no weights, and knows every offset exactly."""

    config: PhysicsConfig = field(default_factory=PhysicsConfig)

    def __call__(
        self,
        avatar: Avatar,
        outfit: Outfit,
        taught: Motion,
        held_out: Motion,
        *,
        tick: Callable[[], None] = lambda: None,
    ) -> FrameSet:
        """Simulate two motions in what the person wears, both beginning in the photo's pose.

        Args:
            avatar: The person, as the photo alone made them.
            outfit: What they wear.
            taught: What is learned from.
            held_out: What the learned cloth is judged by.
            tick: Called after every simulated frame; see `frame_count`.

        Raises:
            InputError: The outfit holds no garment.
        """
        moves = torch.isin(avatar.parts, torch.tensor(MOVABLE))
        means = avatar.canonical.means
        nodes = place_nodes(means, avatar.binding, moves, count=self.config.nodes)
        first = _offsets(avatar, outfit, taught, nodes, 0.0, tick)
        noise = None
        if count := self._repeated(taught):
            again = _offsets(avatar, outfit, _begin(taught, count), nodes, STIR_M, tick)
            apart = (again - first[:count]).norm(dim=-1) / 2
            usual = apart.square().mean(0).sqrt().expand(taught.frame_count - count, -1)
            noise = torch.cat([apart, usual])
            first = torch.cat([(first[:count] + again) / 2, first[count:]])
        judged = _offsets(avatar, outfit, held_out, nodes, 0.0, tick)
        clips = (
            _clip(avatar, nodes, taught, first, self.config.pictures, noise=noise),
            _clip(avatar, nodes, held_out, judged, self.config.pictures, held_out=True),
        )
        return FrameSet(clips=clips, nodes=nodes)

    def frame_count(self, taught: Motion, held_out: Motion) -> int:
        """Say how many frames will be simulated."""
        return taught.frame_count + self._repeated(taught) + held_out.frame_count

    def _repeated(self, taught: Motion) -> int:
        return min(round(self.config.repeated * taught.frame_count), taught.frame_count)


def _begin(motion: Motion, count: int) -> Motion:
    """Give the first frames of a motion."""
    params = motion.params
    rows = {f.name: getattr(params, f.name)[:count] for f in fields(params)}
    return replace(motion, params=replace(params, **rows), loops=False)


def _offsets(
    avatar: Avatar,
    outfit: Outfit,
    motion: Motion,
    nodes: Nodes,
    stir_m: float,
    tick: Callable[[], None],
) -> Float[Tensor, "t k 3"]:
    worn = simulate_worn(avatar, outfit, motion, stir_m=stir_m, tick=tick)
    return torch.stack([nodes.gather(offsets) for offsets in worn])


def _clip(
    avatar: Avatar,
    nodes: Nodes,
    motion: Motion,
    offsets: Float[Tensor, "t k 3"],
    config: PictureConfig,
    *,
    noise: Float[Tensor, "t k"] | None = None,
    held_out: bool = False,
) -> Clip:
    return Clip(
        source=SOURCE,
        motion=motion,
        rates=joint_rates(motion),
        pictures=draw_pictures(avatar, motion, nodes, offsets, config),
        offsets=offsets,
        noise=noise,
        held_out=held_out,
    )
