"""Corrective shapes: what the network knows, as a few shapes that add up linearly."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.pose_features import POSE_COUNT, RATE_COUNT, pose_features
from persona.core.checks import check_finite
from persona.core.errors import InputError
from persona.records.frame_set import JointRates


@dataclass(frozen=True, kw_only=True)
class Correctives:
    """Shapes of the nodes, and how pose and motion mix them.

    Sixty-four products instead of a network: for the browser, game engines and crowds. Zero in the
    photo's pose at rest, like the network that they were distilled from.

    Raises:
        InputError: Sizes do not fit each other, or a number is not finite.
    """

    shapes: Float[Tensor, "r k 3"]
    """What each shape adds to the nodes [m]."""
    weights: Float[Tensor, "r f"]
    """How much of each shape a feature of `pose_features` calls for."""
    anchor: Float[Tensor, " r"]
    """What the photo's pose at rest calls for, which is taken away."""

    def __post_init__(self) -> None:
        ranks = {len(self.shapes), len(self.weights), len(self.anchor)}
        features = self.weights.shape[1]
        if len(ranks) != 1 or features not in (POSE_COUNT, POSE_COUNT + RATE_COUNT):
            raise InputError(
                f"{len(self.shapes)} shapes came with weights of {tuple(self.weights.shape)}",
                why="each shape has one weight for each feature of a pose",
                fix="distil them again with `optimization.bake.bake_correctives`",
            )
        for name in ("shapes", "weights", "anchor"):
            check_finite(name, getattr(self, name))

    @property
    def feels_motion(self) -> bool:
        """Whether they know how fast the pose changes."""
        return self.weights.shape[1] > POSE_COUNT

    def offsets(
        self, full_pose: Float[Tensor, "t 55 3"], rates: JointRates | None
    ) -> Float[Tensor, "t k 3"]:
        """Say where the nodes go; as `Deformation.offsets`."""
        features = pose_features(full_pose, rates if self.feels_motion else None)
        missing = self.weights.shape[1] - features.shape[1]
        mix = torch.nn.functional.pad(features, (0, missing)) @ self.weights.T - self.anchor
        return (mix @ self.shapes.flatten(1)).unflatten(1, (-1, 3))
