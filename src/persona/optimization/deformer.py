"""The network that learns pose-driven offsets, until it is baked into a `Deformation`."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from persona.avatar.correctives import Correctives
from persona.avatar.deformation import (
    GROUPS,
    UNIT_M,
    Deformation,
    Layer,
    Norm,
    finish_layers,
)
from persona.avatar.pose_features import POSE_COUNT, RATE_COUNT, heard, pose_features
from persona.core.seeds import Seeds
from persona.records.body_params import BodyParams
from persona.records.frame_set import JointRates
from persona.records.nodes import Nodes

TRIPLANE_METRES: Final = 2.0
"""Side of the cube that the three planes span; METHOD.md C."""
FIRST_OUTPUT: Final = 0.1
"""Scale of the last layer at the start: offsets begin near nothing [-]."""
FEATURE_DEVIATION: Final = 0.1
"""Deviation of the planes' entries at the start [-]."""


@dataclass(frozen=True, kw_only=True)
class DeformerConfig:
    """Size of the network; METHOD.md C."""

    nodes: int = 4_096
    """Places where offsets are predicted; fewer are smoother and faster."""
    channels: int = 32
    """Features on each of the three planes."""
    resolution: int = 128
    """Rows and columns of a plane."""
    width: int = 128
    """Outputs of each hidden layer."""
    depth: int = 3
    """Hidden layers."""
    feels_motion: bool = True
    """Whether velocity, acceleration and swing of the joints are inputs, too."""


class Deformer(nn.Module):
    """Triplane and pose MLP over nodes; see `avatar.deformation` for what it becomes."""

    def __init__(self, nodes: Nodes, config: DeformerConfig, seed: int) -> None:
        super().__init__()
        self.nodes, self.config = nodes, config
        generator = Seeds(seed).torch("deformer")

        def randn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        planes, width = 3 * config.channels, config.width
        features = POSE_COUNT + (RATE_COUNT if config.feels_motion else 0)
        side = config.resolution
        self.planes = nn.Parameter(FEATURE_DEVIATION * randn(3, config.channels, side, side))
        self.first_node = nn.Parameter(randn(width, planes) * (2 / planes) ** 0.5)
        self.first_pose = nn.Parameter(randn(width, features) * (2 / features) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(width))
        sizes = [width] * config.depth + [3]
        self.weights = nn.ParameterList(
            randn(o, i) * (2 / i) ** 0.5 * (FIRST_OUTPUT if o == 3 else 1)
            for i, o in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(o) for o in sizes[1:])
        self.gains = nn.ParameterList(torch.ones(o) for o in sizes[:-1])
        self.shifts = nn.ParameterList(torch.zeros(o) for o in sizes[:-1])
        assert width % GROUPS == 0
        self.audible = heard(nodes.joints, with_rates=config.feels_motion).float()
        middle = (nodes.points.amax(0) + nodes.points.amin(0)) / 2
        place = (nodes.points - middle) / (TRIPLANE_METRES / 2)
        # One grid for each plane: xy, xz, yz.
        self.grids = torch.stack([place[:, pair] for pair in ([0, 1], [0, 2], [1, 2])])[:, None]
        self.own_share: nn.Parameter | None = None

    @classmethod
    def continuing(cls, nodes: Nodes, baked: Deformation) -> "Deformer":
        """Go on from a network that was baked: each node's own share is learned without planes."""
        config = DeformerConfig(
            nodes=nodes.count,
            width=baked.pose_weight.shape[0],
            depth=len(baked.layers),
            feels_motion=baked.feels_motion,
            # What the planes said is in the baked share.
            channels=1,
            resolution=1,
        )
        made = cls(nodes, config, seed=0)
        made.planes.requires_grad = False
        made.own_share = nn.Parameter(baked.node_share.clone())
        with torch.no_grad():
            made.first_pose.copy_(baked.pose_weight)
            for target, layer in zip(made.weights, baked.layers, strict=True):
                target.copy_(layer.weight)
            for target, layer in zip(made.biases, baked.layers, strict=True):
                target.copy_(layer.bias)
            for target, norm in zip(made.gains, baked.norms, strict=True):
                target.copy_(norm.gain)
            for target, norm in zip(made.shifts, baked.norms, strict=True):
                target.copy_(norm.shift)
        return made

    def features(self, params: BodyParams, rates: JointRates) -> Float[Tensor, "t f"]:
        """Describe poses as this network was built to hear them."""
        return pose_features(params.full_pose, rates if self.config.feels_motion else None)

    def node_share(self, ids: Int[Tensor, " m"]) -> Float[Tensor, "m w"]:
        """Give the first layer's outputs at some nodes before the pose has its say."""
        if self.own_share is not None:
            return self.own_share.index_select(0, ids)
        read = torch.nn.functional.grid_sample(
            self.planes, self.grids[:, :, ids], align_corners=False, padding_mode="border"
        )
        return read[:, :, 0].flatten(0, 1).T @ self.first_node.T + self.first_bias

    def forward(
        self, ids: Int[Tensor, " m"], features: Float[Tensor, "t f"]
    ) -> Float[Tensor, "t m 3"]:
        """Predict offsets of some nodes in some poses [m], the photo's not yet subtracted."""
        joints, of_node = self.nodes.joints[ids].unique(return_inverse=True)
        audible = heard(joints, with_rates=self.config.feels_motion).to(features)
        shares = (features[:, None] * audible) @ self.first_pose.T
        first = self.node_share(ids) + shares[:, of_node]
        return finish_layers(first, self._norms(), self._layers()) * UNIT_M

    def bake(self, still: Float[Tensor, "1 f"], base: Correctives | None) -> Deformation:
        """Freeze what was learned.

        Args:
            still: Features of the photo's pose at rest, where all offsets are zero.
            base: What the network was taught to add to.
        """
        every = torch.arange(self.nodes.count, device=self.nodes.points.device)
        with torch.no_grad():
            return Deformation(
                joints=self.nodes.joints,
                node_share=self.node_share(every),
                pose_weight=self.first_pose.detach().clone(),
                norms=tuple(
                    Norm(gain=norm.gain.detach().clone(), shift=norm.shift.detach().clone())
                    for norm in self._norms()
                ),
                layers=tuple(
                    Layer(weight=layer.weight.detach().clone(), bias=layer.bias.detach().clone())
                    for layer in self._layers()
                ),
                anchor=self(every, still)[0],
                base=base,
            )

    def _norms(self) -> list[Norm]:
        return [Norm(gain=g, shift=s) for g, s in zip(self.gains, self.shifts, strict=True)]

    def _layers(self) -> list[Layer]:
        return [Layer(weight=w, bias=b) for w, b in zip(self.weights, self.biases, strict=True)]
