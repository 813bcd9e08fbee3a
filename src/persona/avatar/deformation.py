"""Pose-driven offsets of an avatar's nodes: wrinkles and swing, as a network has learned them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.avatar.correctives import Correctives
from persona.avatar.pose_features import POSE_COUNT, RATE_COUNT, heard, pose_features
from persona.core.checks import check_finite
from persona.core.errors import InputError
from persona.records.frame_set import JointRates

GROUPS: Final = 4
"""Groups of channels that are normalised together; METHOD.md C."""
UNIT_M: Final = 0.01
"""The network speaks in centimetres [m]."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A linear layer."""

    weight: Float[Tensor, "o i"]
    """Rows are outputs."""
    bias: Float[Tensor, " o"]
    """Added."""


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Group normalisation of a layer's outputs, before they are cut off at zero."""

    gain: Float[Tensor, " o"]
    """Multiplied."""
    shift: Float[Tensor, " o"]
    """Added."""


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """A baked network: pose (and motion) in, an offset of every node out.

    The first layer sees the node's own features and the pose. The node's share is a constant and
    is kept as such; the pose's share is the same for all nodes with one dominant joint.
    It is zero in the photo's pose at rest, by subtraction: the photo's look is kept to the bit.

    Raises:
        InputError: Layers do not fit each other, or a number is not finite.
    """

    joints: Int[Tensor, " k"]
    """The joint that carries most of each node."""
    node_share: Float[Tensor, "k w"]
    """The first layer's outputs before the pose has its say, bias included."""
    pose_weight: Float[Tensor, "w f"]
    """... and what each pose feature adds to them."""
    norms: tuple[Norm, ...]
    """After every layer but the last."""
    layers: tuple[Layer, ...]
    """All layers after the first."""
    anchor: Float[Tensor, "k 3"]
    """What the network says in the photo's pose at rest [m]."""
    base: Correctives | None = None
    """Shapes that add up linearly, to which the network adds; None leaves it all to the network."""

    def __post_init__(self) -> None:
        features = self.pose_weight.shape[1]
        widths = [self.pose_weight.shape[0], *(layer.weight.shape[0] for layer in self.layers)]
        inputs = [layer.weight.shape[1] for layer in self.layers]
        sound = (
            features in (POSE_COUNT, POSE_COUNT + RATE_COUNT)
            and inputs == widths[:-1]
            and widths[-1] == 3
            and [len(norm.gain) for norm in self.norms] == widths[:-1]
            and all(width % GROUPS == 0 for width in widths[:-1])
            and self.node_share.shape == (len(self.joints), widths[0])
            and self.anchor.shape == (len(self.joints), 3)
            and (self.base is None or self.base.shapes.shape[1] == len(self.joints))
        )
        if not sound:
            raise InputError(
                f"a network with {features} features and layers of {widths} does not fit together",
                why="each layer takes what the last one gives, and the last one gives an offset",
                fix="train it again",
            )
        for name in ("node_share", "pose_weight", "anchor"):
            check_finite(name, getattr(self, name))
        for layer in self.layers:
            check_finite("weight", layer.weight)

    @property
    def feels_motion(self) -> bool:
        """Whether it knows how fast the pose changes."""
        return self.pose_weight.shape[1] > POSE_COUNT

    def offsets(
        self, full_pose: Float[Tensor, "t 55 3"], rates: JointRates | None
    ) -> Float[Tensor, "t k 3"]:
        """Say where the nodes go.

        Args:
            full_pose: Rotations in SMPL-X order, axis-angle [rad].
            rates: How fast they change; None stands still.

        Returns:
            Offsets in the rest frame [m].
        """
        features = pose_features(full_pose, rates if self.feels_motion else None)
        missing = self.pose_weight.shape[1] - features.shape[1]
        features = torch.nn.functional.pad(features, (0, missing))
        by_joint = self._by_joint
        shares = features[:, None] * by_joint.audible
        shares = shares @ self.pose_weight.T
        first = self.node_share + shares[:, by_joint.of_node]
        said = finish_layers(first, self.norms, self.layers) * UNIT_M - self.anchor
        return said if self.base is None else said + self.base.offsets(full_pose, rates)

    @cached_property
    def _by_joint(self) -> "_ByJoint":
        joints, of_node = self.joints.unique(return_inverse=True)
        audible = heard(joints, with_rates=self.feels_motion).to(self.pose_weight)
        return _ByJoint(audible=audible, of_node=of_node)


@dataclass(frozen=True, kw_only=True)
class _ByJoint:
    """Nodes with one dominant joint hear the same of the pose."""

    audible: Float[Tensor, "j f"]
    of_node: Int[Tensor, " k"]


def finish_layers(
    first: Float[Tensor, "*rows w"], norms: Sequence[Norm], layers: Sequence[Layer]
) -> Float[Tensor, "*rows 3"]:
    """Run a network from the outputs of its first layer on: normalise, cut at zero, next layer."""
    rows = first.reshape(-1, first.shape[-1])
    for norm, layer in zip(norms, layers, strict=True):
        # Group normalisation of single rows; torch's own takes twice as long on a CPU.
        grouped = rows.unflatten(1, (GROUPS, -1))
        rows = torch.nn.functional.layer_norm(grouped, grouped.shape[2:]).flatten(1)
        rows = torch.addcmul(norm.shift, rows, norm.gain).relu_()
        rows = torch.nn.functional.linear(rows, layer.weight, layer.bias)
    return rows.reshape(*first.shape[:-1], 3)
