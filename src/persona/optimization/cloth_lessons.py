"""The network of pose offsets while photo and frames teach, and the offsets that are known."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.avatar.cloth import Cloth
from persona.avatar.correctives import Correctives
from persona.avatar.nodes import place_nodes
from persona.core.errors import InputError
from persona.core.moving import moved
from persona.core.seeds import Seeds
from persona.optimization.deformer import Deformer
from persona.optimization.offsets import (
    KnownOffsets,
    OffsetsConfig,
    finish_cloth,
    know_offsets,
    still_features,
)
from persona.records.frame_set import PHOTO, Clip, FrameSet
from persona.records.nodes import Nodes
from persona.records.observation import Part

MOVES: Final = (Part.UPPER, Part.LOWER, Part.SHOES)
"""What pose offsets may move where no nodes were given: never hands, eyes and face."""


@dataclass(frozen=True, kw_only=True)
class ClothLessons:
    """The network, and what it is taught by beside pictures."""

    network: Deformer
    """What learns; goes on from the avatar's own where it has one."""
    base: Correctives | None
    """What it is added to."""
    still: Float[Tensor, "1 f"]
    """What it hears of the photo's pose at rest."""
    known: KnownOffsets | None
    """Offsets that are known exactly, if any are."""
    clips: tuple[Clip, ...]
    """What it is distilled over."""
    config: OffsetsConfig
    """How known offsets are taught."""

    def error(self, seeds: Seeds, step: int) -> Float[Tensor, ""] | None:
        """Compare with offsets that are known [cm]; the step alone decides with which."""
        if self.known is None:
            return None
        return self.known.error(self.network, self.config, seeds.torch(f"offsets {step}"))

    def finish(self) -> Cloth:
        """Freeze the network, and distil it into shapes."""
        rank = self.config.baked_rank
        return finish_cloth(self.network, self.base, self.clips, self.still, baked_rank=rank)


def cloth_lessons(
    avatar: Avatar, frames: FrameSet, config: OffsetsConfig, *, seed: int
) -> ClothLessons | None:
    """Set up the network; None where nothing could teach it more than the avatar knows.

    That is so without generated frames, and where the offsets of all of them are known and the
    avatar's cloth was learned already.

    Raises:
        InputError: The frames' nodes are of another avatar.
    """
    clips = tuple(clip for clip in frames.taught if clip.source != PHOTO)
    nodes = frames_nodes(avatar, frames)
    exact = [clip for clip in clips if clip.offsets is not None]
    if not clips or (avatar.cloth is not None and len(exact) == len(clips)):
        return None
    if nodes is None:
        nodes = _spread(avatar, config.network.nodes)
    if avatar.cloth is None:
        network = Deformer(nodes, config.network, Seeds(seed).integer("network"))
        base = None
    else:
        network = Deformer.continuing(nodes, avatar.cloth.deformation)
        base = avatar.cloth.deformation.base
    network = network.to(nodes.points.device)
    known = None
    with torch.no_grad():
        still = still_features(network, avatar.photo_params)
    if exact:
        # What the avatar's cloth has no linear part for, it has learned without one.
        rank = config.base_rank if avatar.cloth is None else 0
        known, base = know_offsets(network, exact, avatar.photo_params, base_rank=rank, base=base)
    return ClothLessons(
        network=network, base=base, still=still, known=known, clips=clips, config=config
    )


def _spread(avatar: Avatar, count: int) -> Nodes:
    """Spread nodes over what is worn."""
    means, binding, parts = moved((avatar.canonical.means, avatar.binding, avatar.parts), "cpu")
    worn = torch.isin(parts, torch.tensor([int(part) for part in MOVES]))
    return moved(place_nodes(means, binding, worn, count=count), avatar.parts.device)


def frames_nodes(avatar: Avatar, frames: FrameSet) -> Nodes | None:
    """Give the set's nodes, or the avatar's own.

    Raises:
        InputError: They carry other Gaussians than the avatar's.
    """
    nodes = frames.nodes or (None if avatar.cloth is None else avatar.cloth.nodes)
    if nodes is None:
        return None
    of_avatar = avatar.cloth is None or avatar.cloth.nodes.count == nodes.count
    if len(nodes.shares) != avatar.count or not of_avatar:
        raise InputError(
            f"the nodes of the frames carry {len(nodes.shares)} Gaussians, the avatar has "
            f"{avatar.count}",
            why="frames and avatar speak of the same nodes and Gaussians",
            fix="generate the frames from this avatar",
        )
    return nodes
