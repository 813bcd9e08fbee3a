"""Cloth of the usual size on an avatar that has learned none: as costly as what is learned."""

from dataclasses import replace
from typing import Final

import torch

from persona.avatar import Avatar
from persona.avatar.cloth import Cloth
from persona.avatar.correctives import Correctives
from persona.avatar.nodes import place_nodes
from persona.core.seeds import Seeds
from persona.optimization.deformer import Deformer, DeformerConfig
from persona.optimization.offsets import OffsetsConfig, still_features

FACELESS: Final = (12, 15, *range(20, 55))
"""Neck, head, hands: what no cloth moves."""
AMPLITUDE_M: Final = 1e-4
"""Deviation of the shapes: cloth that tears would be drawn in another time [m]."""


def with_cloth(avatar: Avatar) -> Avatar:
    """Give an avatar its own cloth, or an untrained network and shapes over all but head and hands.

    Time does not depend on what was learned, only on sizes.
    """
    if avatar.cloth is not None:
        return avatar
    config = OffsetsConfig()
    main = avatar.binding.bone_weights.argmax(1, keepdim=True)
    joints = avatar.binding.bone_ids.gather(1, main)[:, 0]
    moves = ~torch.isin(joints, torch.tensor(FACELESS))
    means = avatar.canonical.means
    nodes = place_nodes(means, avatar.binding, moves, count=config.network.nodes)
    network = Deformer(nodes, DeformerConfig(), 0)
    with torch.no_grad():
        still = still_features(network, avatar.photo_params)
    generator = Seeds(0).torch("cloth")

    def shapes(rank: int) -> Correctives:
        return Correctives(
            shapes=AMPLITUDE_M * torch.randn(rank, nodes.count, 3, generator=generator),
            weights=torch.randn(rank, still.shape[1], generator=generator),
            anchor=torch.zeros(rank),
        )

    deformation = network.bake(still, shapes(config.base_rank))
    cloth = Cloth(nodes=nodes, deformation=deformation, correctives=shapes(config.baked_rank))
    return replace(avatar, cloth=cloth)
