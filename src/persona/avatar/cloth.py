"""Cloth: what an avatar has learned about how its clothes move."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.correctives import Correctives
from persona.avatar.deformation import Deformation
from persona.avatar.slopes import Moved, Slopes, slopes_of
from persona.core.errors import InputError
from persona.records.body_params import BodyParams
from persona.records.frame_set import Clip, JointRates
from persona.records.nodes import Nodes

AT_ONCE: Final = 32
"""Frames of a clip predicted at once; hidden layers of all of them would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Cloth:
    """Nodes on the avatar, and what moves them: a network, and shapes distilled from it.

    Raises:
        InputError: Network or shapes belong to other nodes.
    """

    nodes: Nodes
    """Where offsets are predicted, and how Gaussians follow."""
    deformation: Deformation
    """The network."""
    correctives: Correctives
    """The same, nearly, for a twentieth of the time."""

    def __post_init__(self) -> None:
        counts = {self.nodes.count, len(self.deformation.joints), self.correctives.shapes.shape[1]}
        if len(counts) != 1:
            raise InputError(
                f"nodes, network and shapes are of {sorted(counts)} nodes",
                why="each node has one row in all three",
                fix="train the cloth again",
            )

    def offsets(
        self, params: BodyParams, rates: JointRates | None, *, baked: bool = False
    ) -> Moved:
        """Say where the Gaussians go in one pose.

        Args:
            params: One pose without batch axes.
            rates: How fast it changes, one frame; None stands still.
            baked: Whether the shapes answer instead of the network.

        Returns:
            What to add to the rest means, and how they turn.
        """
        source = self.correctives if baked else self.deformation
        return self.slopes.carry(source.offsets(params.full_pose[None], rates)[0])

    @cached_property
    def slopes(self) -> Slopes:
        """What turns Gaussians as the nodes around them move; made at the first pose, then kept."""
        return slopes_of(self.nodes)


def predict_clip(source: Deformation | Correctives, clip: Clip) -> Float[Tensor, "t k 3"]:
    """Say where the nodes go in every frame of a clip [m]."""
    pose = clip.motion.params.full_pose
    with torch.no_grad():
        parts = [
            source.offsets(pose[ids], clip.rates.rows(ids))
            for ids in torch.arange(clip.frame_count).split(AT_ONCE)
        ]
    return torch.cat(parts)
