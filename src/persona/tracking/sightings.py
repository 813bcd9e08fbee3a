"""Sightings: what the detector saw of one person in every frame of a clip, and of its camera."""

from dataclasses import dataclass, fields, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

STATURE: Final = 1.70
"""Height of the mean person [m]: what turns a metre into a share of the person."""
LEAST_PX: Final = 10.0
"""Nobody is held for smaller than this."""
TRUNK_AND_LEGS: Final = (11, 12, 23, 24, 25, 26, 27, 28)
"""Landmarks that tell how large a person is."""
BODY_COUNT, HAND_COUNT, FACE_COUNT = 33, 21, 478
"""Landmarks of MediaPipe Pose, Hands and Face Mesh with irises."""


@dataclass(frozen=True, kw_only=True)
class Sightings:
    """Landmarks of one person over time; what was not seen is zero and flagged so."""

    times: Float[Tensor, " t"]
    """When each frame was taken, growing [s]."""
    shots: Int[Tensor, " t"]
    """Number of the shot, 0, 1, ...; between two there is a cut."""
    seen: Bool[Tensor, " t"]
    """Whether the person was found at all."""
    body: Float[Tensor, "t 33 2"]
    """MediaPipe Pose landmarks [px]."""
    visibility: Float[Tensor, "t 33"]
    """Their visibility, 0 to 1."""
    world: Float[Tensor, "t 33 3"]
    """The same in space [m] about the hips: x right, y up, z to the viewer."""
    left_seen: Bool[Tensor, " t"]
    """Whether the hand model saw the left hand."""
    right_seen: Bool[Tensor, " t"]
    """The same of the right hand."""
    left_hand: Float[Tensor, "t 21 3"]
    """Left hand [px], with relative depth, z away."""
    right_hand: Float[Tensor, "t 21 3"]
    """The same of the right hand."""
    face_seen: Bool[Tensor, " t"]
    """Whether the face model saw a face."""
    face: Float[Tensor, "t 478 3"]
    """Face mesh [px], with relative depth, z away."""
    middles: Float[Tensor, "t c 2"]
    """Middles of limbs in the person's mask, where `middles.CUTS` cut them [px]."""
    widths: Float[Tensor, "t c"]
    """How wide the mask is there [px]; 0 where a cut tells nothing."""
    camera_turn: Float[Tensor, "t 3 3"]
    """Turns the shot's first camera into this frame's; both as x right, y up, z to the viewer."""
    size: tuple[int, int]
    """Width and height of the pictures [px]."""

    @property
    def count(self) -> int:
        """Frames."""
        return len(self.times)

    def pick(self, frames: Int[Tensor, " n"] | slice) -> "Sightings":
        """Keep some frames."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[frames] for k, v in kept.items() if isinstance(v, Tensor)})

    def person_height(self) -> Float[Tensor, " t"]:
        """Estimate how tall the person would stand in each frame [px].

        Twice the trunk plus a leg as space has it, times pixels per metre; bent people are not
        short. Ten pixels where nobody was seen.
        """
        return torch.where(self.seen, height_px(self.body, self.world), torch.tensor(LEAST_PX))


def height_px(
    body: Float[Tensor, "*t 33 2"], world: Float[Tensor, "*t 33 3"]
) -> Float[Tensor, "*t"]:
    """Estimate how tall somebody would stand, from landmarks in the picture and in space [px]."""
    rows = list(TRUNK_AND_LEGS)
    flat = body - body[..., [23, 24], :].mean(-2, keepdim=True)
    spread = flat[..., rows, :].norm(dim=-1).square().sum(-1).sqrt()
    deep = world[..., rows, :2].norm(dim=-1)
    per_metre = spread / deep.square().sum(-1).sqrt().clamp(min=0.1)
    return (per_metre * STATURE).clamp(min=LEAST_PX)
