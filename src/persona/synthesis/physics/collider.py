"""Choose the skin that stops cloth, and say which parts of it may press into each other."""

from typing import Final

import torch

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_NAMES
from persona.kernels import ClothBody

_GROUPS: Final = {
    "shoulder": "upper_arm",
    "elbow": "lower_arm",
    "wrist": "lower_arm",
    "hip": "thigh",
    "knee": "shin",
    "ankle": "shin",
    "foot": "shin",
}
"""Joint -> limb; every other joint is of the trunk."""
_NAMES: Final = (
    "trunk",
    *(f"{side}_{limb}" for side in ("left", "right") for limb in dict.fromkeys(_GROUPS.values())),
)
_INSIDE: Final = ("left_eye", "right_eye", "mouth_inner", "tongue", "teeth")
"""Parts that no cloth can touch."""


def collider_of(body: SmplxBody) -> ClothBody:
    """Give the body's skin without eyes, mouth and fingers, divided into trunk and limbs.

    Fingers are left out: they are thinner than a hand moves between two frames, and would hook
    into cloth. What remains of the hand is closed enough to push a skirt aside.
    """
    names = [JOINT_NAMES[joint] for joint in body.weights.argmax(1).tolist()]
    parts = torch.tensor([_NAMES.index(_group(name)) for name in names])
    away = body.regions.mask(*_INSIDE)
    away = away | torch.tensor([name[-1].isdigit() and "spine" not in name for name in names])
    faces = body.faces[~away[body.faces].any(1)]
    return ClothBody(faces=faces, parts=parts)


def _group(joint: str) -> str:
    side, _, bare = joint.partition("_")
    if bare.rstrip("123") in ("index", "middle", "pinky", "ring", "thumb"):
        return f"{side}_lower_arm"
    return f"{side}_{_GROUPS[bare]}" if bare in _GROUPS else "trunk"
