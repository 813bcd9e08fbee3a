"""Name the parts of the body: one label per vertex, and vertex sets that may overlap."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.body.files import Arrays
from persona.body.skeleton import JOINT_NAMES
from persona.core.errors import InputError

PART_NAMES: Final[tuple[str, ...]] = (
    *("head", "face", "neck", "torso", "hips"),
    *(
        f"{side}_{part}"
        for part in ("upper_arm", "lower_arm", "hand", "thigh", "shin", "foot")
        for side in ("left", "right")
    ),
    *("left_eye", "right_eye", "mouth_inner", "tongue", "teeth"),
)
"""Parts; a vertex has exactly one. The head's label is what of it is neither face nor inside."""
PART_IDS: Final[dict[str, int]] = {name: i for i, name in enumerate(PART_NAMES)}
"""Part name to label."""


def part_of_joint(joint: str) -> str:
    """Name the part whose skin a joint carries."""
    side, _, bare = joint.partition("_")
    if joint in ("head", "jaw"):
        return "head"
    if joint == "neck":
        return "neck"
    if joint.startswith("spine") or bare == "collar":
        return "torso"
    if joint == "pelvis":
        return "hips"
    limbs = {
        **{"shoulder": "upper_arm", "elbow": "lower_arm", "hip": "thigh", "knee": "shin"},
        **{"ankle": "foot", "foot": "foot", "eye": "eye"},
    }
    return f"{side}_{limbs.get(bare, 'hand')}"


@dataclass(frozen=True, eq=False)
class Regions:
    """Which vertices are what."""

    part_ids: Int[Tensor, " v"]
    """Label of each vertex, an index into `PART_NAMES`."""
    sets: dict[str, Int[Tensor, " n"]]
    """Named sets, sorted vertex ids: scalp, ears, lips, toes, eyeballs and so on."""

    def part(self, name: str) -> Int[Tensor, " n"]:
        """List the vertices that carry a part's label.

        Raises:
            InputError: No part has this name.
        """
        if name not in PART_IDS:
            raise _unknown("part", name, PART_NAMES)
        return (self.part_ids == PART_IDS[name]).nonzero()[:, 0]

    def vertices(self, name: str) -> Int[Tensor, " n"]:
        """List the vertices of a named set or part.

        Raises:
            InputError: This body knows neither a set nor a part of this name.
        """
        if name in self.sets:
            return self.sets[name]
        if name in PART_IDS:
            return self.part(name)
        raise _unknown("region", name, (*self.sets, *PART_NAMES))

    def mask(self, *names: str) -> Bool[Tensor, " v"]:
        """Mark the vertices of any of the named sets and parts."""
        marks = torch.zeros(len(self.part_ids), dtype=torch.bool, device=self.part_ids.device)
        for name in names:
            marks[self.vertices(name)] = True
        return marks


def regions_by_joints(weights: Float[Tensor, "v 55"]) -> Regions:
    """Let the joint that carries most of a vertex say which part it is; there are no sets."""
    by_joint = torch.tensor([PART_IDS[part_of_joint(name)] for name in JOINT_NAMES])
    return Regions(part_ids=by_joint[weights.argmax(1)], sets={})


def regions_from(arrays: Arrays) -> Regions:
    """Read labels and sets from the open body's arrays."""
    names = [str(name) for name in arrays["part_names"]]
    order = torch.tensor([PART_IDS[name] for name in names])
    parts = order[torch.from_numpy(arrays["part_ids"].astype("int64"))]
    starts = arrays["region_starts"].astype("int64")
    ids = torch.from_numpy(arrays["region_vertices"].astype("int64"))
    spans = zip(arrays["region_names"], starts[:-1], starts[1:], strict=True)
    return Regions(part_ids=parts, sets={str(name): ids[int(a) : int(b)] for name, a, b in spans})


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> InputError:
    return InputError(
        f"this body has no {kind} called {name!r}",
        why=f"it knows {', '.join(known)}",
        fix="use one of these names; files other than the open body know fewer",
    )
