"""The SMPL-X joint tree: names, parents, mirror pairs, limits and bone-length groups."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BODY_NAMES: Final = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar"),
    *("right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "jaw", "left_eye", "right_eye"),
)
FINGERS: Final = ("index", "middle", "pinky", "ring", "thumb")
"""Order of the fingers inside each hand's 15 joints."""
JOINT_NAMES: Final[tuple[str, ...]] = _BODY_NAMES + tuple(
    f"{side}_{finger}{k}" for side in ("left", "right") for finger in FINGERS for k in (1, 2, 3)
)
"""All 55 joints, in SMPL-X order."""
JOINT_IDS: Final[dict[str, int]] = {name: i for i, name in enumerate(JOINT_NAMES)}
"""Joint name to id."""
_BODY_PARENTS: Final = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
)
PARENTS: Final[tuple[int, ...]] = _BODY_PARENTS + tuple(
    JOINT_IDS[f"{side}_wrist"] if k == 1 else JOINT_IDS[f"{side}_{finger}{k - 1}"]
    for side in ("left", "right")
    for finger in FINGERS
    for k in (1, 2, 3)
)
"""Parent of every joint; the pelvis has -1. Parents come before children."""
BODY_JOINTS: Final = range(22)
"""Pelvis to wrists: the joints of ``global_orient`` and ``body_pose``."""
LEFT_HAND_JOINTS: Final = range(25, 40)
"""The 15 joints of ``left_hand_pose``."""
RIGHT_HAND_JOINTS: Final = range(40, 55)
"""The 15 joints of ``right_hand_pose``."""


def _mirror(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name


MIRROR_IDS: Final[tuple[int, ...]] = tuple(JOINT_IDS[_mirror(name)] for name in JOINT_NAMES)
"""The joint on the other side; joints on the middle plane map to themselves."""

MAIN_CHILD: Final[dict[int, int]] = {
    JOINT_IDS[parent]: JOINT_IDS[child]
    for parent, child in (
        *(("pelvis", "spine1"), ("spine1", "spine2"), ("spine2", "spine3"), ("spine3", "neck")),
        ("neck", "head"),
        *((f"{s}_collar", f"{s}_shoulder") for s in ("left", "right")),
        *((f"{s}_shoulder", f"{s}_elbow") for s in ("left", "right")),
        *((f"{s}_elbow", f"{s}_wrist") for s in ("left", "right")),
        *((f"{s}_hip", f"{s}_knee") for s in ("left", "right")),
        *((f"{s}_knee", f"{s}_ankle") for s in ("left", "right")),
        *((f"{s}_ankle", f"{s}_foot") for s in ("left", "right")),
        *(
            (f"{s}_{f}{k}", f"{s}_{f}{k + 1}")
            for s in ("left", "right")
            for f in FINGERS
            for k in (1, 2)
        ),
    )
}
"""Where the bone that starts at a joint ends; joints without an entry end in flesh."""

BONE_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "thigh": ("left_knee", "right_knee"),
    "shin": ("left_ankle", "right_ankle"),
    "spine": ("spine1", "spine2", "spine3", "neck"),
    "upper_arm": ("left_elbow", "right_elbow"),
    "lower_arm": ("left_wrist", "right_wrist"),
    "hip": ("left_hip", "right_hip"),
    "head": ("head",),
}
"""Bone-length groups: the joints at the far ends of the bones that one scale stretches."""


def bone_group_matrix() -> Float[Tensor, "55 7"]:
    """Mark with one which group stretches the bone that ends at each joint."""
    marks = torch.zeros(len(JOINT_NAMES), len(BONE_GROUPS))
    for column, names in enumerate(BONE_GROUPS.values()):
        for name in names:
            marks[JOINT_IDS[name], column] = 1.0
    return marks


def depth_levels() -> list[list[int]]:
    """Group joints by distance from the root, so that a whole level can be posed at once."""
    depths = [0] * len(PARENTS)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        depths[joint] = depths[parent] + 1
    return [[j for j, d in enumerate(depths) if d == k] for k in range(max(depths) + 1)]


def mirror_pose(full_pose: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch 55 3"]:
    """Give the pose of the mirror image (left and right swapped), axis-angle [rad]."""
    signs = torch.tensor([1.0, -1.0, -1.0], dtype=full_pose.dtype, device=full_pose.device)
    return full_pose[..., list(MIRROR_IDS), :] * signs


_LIMITS_DEG: Final[dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "hip": ((-125, -45, -30), (30, 45, 60)),
    "knee": ((-3, -12, -8), (150, 12, 8)),
    "ankle": ((-35, -25, -25), (50, 25, 25)),
    "foot": ((-40, -5, -5), (35, 5, 5)),
    "spine": ((-20, -25, -20), (40, 25, 20)),
    "neck": ((-35, -45, -30), (40, 45, 30)),
    "head": ((-35, -45, -30), (40, 45, 30)),
    "collar": ((-15, -25, -15), (15, 25, 40)),
    "shoulder": ((-80, -130, -95), (80, 50, 95)),
    "elbow": ((-95, -150, -15), (95, 5, 15)),
    "wrist": ((-40, -35, -80), (40, 35, 80)),
    "jaw": ((-2, -10, -5), (30, 10, 5)),
    "eye": ((-30, -40, -5), (30, 40, 5)),
    "thumb1": ((-40, -45, -50), (60, 50, 50)),
    "thumb": ((-15, -25, -15), (15, 90, 15)),
    "finger1": ((-15, -25, -95), (15, 25, 25)),
    "finger": ((-8, -8, -110), (8, 8, 10)),
}
"""Comfortable range of motion of left and middle joints [deg], axis-angle by component."""


def _limit_kind(name: str) -> str:
    bare = name.removeprefix("left_").removeprefix("right_")
    if bare.rstrip("123") in FINGERS:
        base = "thumb" if bare.startswith("thumb") else "finger"
        return base + ("1" if bare.endswith("1") else "")
    return bare.rstrip("123")


def joint_limits() -> tuple[Float[Tensor, "55 3"], Float[Tensor, "55 3"]]:
    """Give the lowest and highest axis-angle component of every joint [rad].

    Generous boxes for priors and clamps, not anatomy: real limits couple the axes. The root is
    free (plus and minus pi).
    """
    low = torch.full((len(JOINT_NAMES), 3), -180.0)
    high = torch.full((len(JOINT_NAMES), 3), 180.0)
    for joint, name in enumerate(JOINT_NAMES[1:], start=1):
        lower, upper = (
            torch.tensor(side, dtype=torch.float32) for side in _LIMITS_DEG[_limit_kind(name)]
        )
        if name.startswith("right_"):
            flip = torch.tensor([False, True, True])
            lower, upper = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
        low[joint], high[joint] = lower, upper
    return torch.deg2rad(low), torch.deg2rad(high)


def parents_tensor() -> Int[Tensor, " 55"]:
    """Give `PARENTS` as a tensor."""
    return torch.tensor(PARENTS)
