"""How sure a track is of each part of the body in every frame."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.tracking.clip_fit import ClipBody
from persona.tracking.rig import LANDMARKS

PARTS: Final[dict[str, tuple[int, ...]]] = {
    "head": (0, 2, 5, 7, 8),
    "trunk": (11, 12, 23, 24),
    "left_arm": (11, 13, 15),
    "right_arm": (12, 14, 16),
    "left_leg": (23, 25, 27),
    "right_leg": (24, 26, 28),
    "left_foot": (27, 29, 31),
    "right_foot": (28, 30, 32),
    "left_hand": (15, 17, 19),
    "right_hand": (16, 18, 20),
    "face": (0, 2, 5),
}
"""Parts of the body and the landmarks that speak for them."""
DETAILED: Final = {
    "left_hand": "left_seen",
    "right_hand": "right_seen",
    "face": "face_seen",
}
"""Parts that a model of their own must have seen."""
HALF: Final = 0.03
"""Miss of a landmark that halves confidence, in heights of the person."""


def part_confidence(fit: ClipBody) -> Float[Tensor, "t 11"]:
    """Rate every part from 0 to 1: how visible its landmarks were, times how well they fit."""
    points = fit.posed().points[:, LANDMARKS]
    miss = (fit.evidence.scene.pixels(points) - fit.evidence.body).norm(dim=-1)
    agreement = 1 / (1 + (miss / (HALF * fit.evidence.height_px[:, None])).square())
    x, y = fit.sightings.body.unbind(-1)
    width, height = fit.sightings.size
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    sure = agreement * fit.sightings.visibility * inside * fit.sightings.seen[:, None]
    columns = []
    for part, places in PARTS.items():
        value = sure[:, list(places)].mean(1)
        if part in DETAILED:
            value = value * getattr(fit.sightings, DETAILED[part])
        columns.append(value)
    return torch.stack(columns, 1).float()
