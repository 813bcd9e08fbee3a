"""Choose the skin that stops cloth."""

from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Int
from torch import Tensor

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_NAMES
from persona.core.types import Faces
from persona.kernels import ClothBody

_INSIDE: Final = ("left_eye", "right_eye", "mouth_inner", "tongue", "teeth")
"""Parts that no cloth can touch."""


def collider_of(body: SmplxBody) -> ClothBody:
    """Give the body's skin without eyes, mouth and fingers, and close the holes they leave.

    Fingers are left out: they are thinner than a hand moves between two frames, and would hook
    into cloth. What remains of the hand pushes a skirt aside. A closed surface has an inside, which
    is how the solver knows what of the skin lies buried in the body.
    """
    names = [JOINT_NAMES[joint] for joint in body.weights.argmax(1).tolist()]
    away = body.regions.mask(*_INSIDE)
    away = away | torch.tensor([name[-1].isdigit() and "spine" not in name for name in names])
    faces = body.faces[~away[body.faces].any(1)]
    return ClothBody(faces=torch.cat([faces, _lids(faces)]), vertex_count=body.vertex_count)


def _lids(faces: Faces) -> Int[Tensor, "lids 3"]:
    """Give a fan of triangles over each hole."""
    sides = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()
    known = {(a, b) for a, b in sides}
    # Around a hole, against the way of the faces; where two holes touch a corner has two ways on.
    ways: dict[int, list[int]] = {}
    for a, b in sides:
        if (b, a) not in known:
            ways.setdefault(b, []).append(a)
    lids: list[tuple[int, int, int]] = []
    for start, onward in ways.items():
        while onward:
            rim = [start]
            while (corner := ways[rim[-1]].pop()) != start:
                rim.append(corner)
            lids += [(start, a, b) for a, b in pairwise(rim[1:])]
    return torch.tensor(lids, dtype=faces.dtype).reshape(-1, 3)
