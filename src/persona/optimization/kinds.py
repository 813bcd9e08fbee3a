"""What each Gaussian is to the terms of joint training: part, hand, eye, mouth, hem, how stiff."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.body.regions import part_of_joint
from persona.body.skeleton import JOINT_NAMES
from persona.optimization.joint_frames import HEAD_JOINTS, main_joints
from persona.records.observation import Part

EYE_JOINTS: Final = (23, 24)
"""The eyes."""
MOUTH_PARTS: Final = ("mouth_inner", "tongue", "teeth")
"""What an open mouth shows."""
FACE_STIFFNESS: Final = 50.0
"""How much more firmly a face keeps its shape [-]; METHOD.md D."""
HAND_STIFFNESS: Final = 10.0
"""The same for hands."""
PAPER_GAP_M: Final = 0.0034
"""Distance of neighbours among the paper's 167,000 Gaussians, for which weights were chosen [m]."""


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """One row for each Gaussian."""

    labels: Float[Tensor, "n 7"]
    """1 for its part, background left out, then for hands and for eyes; drawn as channels."""
    hidden_hand: Float[Tensor, " n"]
    """1 for a hand's that the photo does not show."""
    mouth: Float[Tensor, " n"]
    """1 inside the mouth."""
    may_fade: Float[Tensor, " n"]
    """1 for hair, and beside another part."""
    stiffness: Float[Tensor, " n"]
    """How much more firmly face and hands keep their shape [-]."""


def kinds_of(
    avatar: Avatar, owned: Bool[Tensor, " n"], neighbors: Int[Tensor, "n k"], gap: float
) -> Kinds:
    """Sort an avatar's Gaussians.

    Args:
        avatar: Whose.
        owned: Which of them the photo shows.
        neighbors: The nearest of each.
        gap: Their mean distance [m].
    """
    parts, device = avatar.parts, avatar.parts.device
    main = main_joints(avatar)
    names = [part_of_joint(name) for name in JOINT_NAMES]
    hand_joints = tuple(joint for joint, name in enumerate(names) if name.endswith("hand"))

    def carried_by(joints: tuple[int, ...]) -> Tensor:
        return torch.isin(main, torch.tensor(joints, device=device))

    in_hand = carried_by(hand_joints)
    in_face = carried_by(HEAD_JOINTS) & (parts != int(Part.HAIR))
    labels = [parts == part for part in Part if part != Part.BACKGROUND]
    at_hem = (parts[neighbors] != parts[:, None]).any(1)
    stiffness = torch.where(in_hand, HAND_STIFFNESS, torch.ones(avatar.count, device=device))
    # A curve differs from its neighbours' mean by the square of their distance, and that is
    # squared: the same curve shall cost the same in a cloud of any size.
    fineness = min(1.0, (PAPER_GAP_M / gap) ** 4)
    return Kinds(
        labels=torch.stack([*labels, in_hand, carried_by(EYE_JOINTS)], 1).float(),
        hidden_hand=(in_hand & ~owned).float(),
        mouth=_in_mouth(avatar).float(),
        may_fade=((parts == int(Part.HAIR)) | at_hem).float(),
        stiffness=fineness * torch.where(in_face, FACE_STIFFNESS, stiffness),
    )


def _in_mouth(avatar: Avatar) -> Bool[Tensor, " n"]:
    """Find the Gaussians inside the mouth."""
    body, faces = avatar.body, avatar.binding.face_ids
    inside = body.regions.mask(*MOUTH_PARTS)[body.faces[:, 0]]
    return inside[faces.clamp(min=0)] & (faces >= 0)
