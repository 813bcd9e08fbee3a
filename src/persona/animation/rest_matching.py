"""Match the rest pose of another skeleton to SMPL-X's: one constant rotation a joint.

A skeleton's rotations mean nothing without the pose in which they are none. Where that pose is a
person's (arms anywhere between T and hanging), SMPL-X is bent into it limb by limb, each by the
smallest rotation. Where it is none (chains of bones all along one axis), the hinges of elbows and
knees, the line of the hips and of the shoulders, and the way the feet point say over the whole
clip how each bone is turned about itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.formats.skeleton_clip import SkeletonClip
from persona.body import load_body
from persona.body.skeleton import FINGERS, JOINT_IDS
from persona.geometry.rotations import axis_angle_to_matrix, rotation_between

LIMBS: Final = tuple(
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
        ("wrist", "middle1"),
        ("hip", "knee"),
        ("knee", "ankle"),
    )
) + tuple(
    (f"{side}_{finger}{k}", f"{side}_{finger}{k + 1}")
    for side in ("left", "right")
    for finger in FINGERS
    for k in (1, 2)
)
"""Bones whose direction is taken over exactly: from joint to joint."""
NEAR_AN_AXIS: Final = 0.95
"""Cosine within which a rest pose's up or left is meant to be an axis."""
COLLAR_SHARE: Final = 0.13
"""What the collarbone has of an arm's way from T to hanging: 12 degrees of 90 (Inman 1944 has a
third above the horizontal, little below)."""
LEAST_BEND: Final = 0.05
"""Mean sine of a hinge's bend that says where its axis is."""


@dataclass(frozen=True, eq=False)
class RestMatch:
    """How SMPL-X's joints sit in those of another skeleton."""

    bindings: Mapping[str, Float[Tensor, "3 3"]]
    """SMPL-X joint at rest to the joint of the other, by SMPL-X name: the world rotation of ours is
    that of theirs times this."""
    natural: bool
    """Whether the rest pose was a person's."""


def rest_joints() -> Float[Tensor, "55 3"]:
    """Give the joints of the mean body in T-pose [m], float64."""
    return load_body().joints_template.double()


def match_rest(clip: SkeletonClip, joints: Mapping[str, int], chest: int, head: int) -> RestMatch:
    """Find the constant rotation of every joint that was matched by name.

    Args:
        clip: The other skeleton, moving.
        joints: SMPL-X name to its joint; must have both hips and knees.
        chest: The joint that arms and neck hang on.
        head: The head, or the last joint of the neck.
    """
    frame = _person_frame(clip, joints, head)
    natural = _is_person(clip, joints, frame)
    if natural:
        trunk = ("pelvis", "spine3", "head", "left_collar", "right_collar")
        bindings = dict.fromkeys(trunk, frame.T) | _hanging_collars(clip, joints, frame)
    else:
        bindings = _trunk_by_motion(clip, joints, chest, head)
    _bend_limbs(clip, joints, bindings, by_motion=not natural)
    _turn_feet(clip, joints, bindings, by_motion=not natural)
    return RestMatch(bindings, natural)


def _person_frame(clip: SkeletonClip, joints: Mapping[str, int], head: int) -> Tensor:
    """Give rows left, up, forward of the rest pose, in the file's axes."""
    rest = clip.rest_positions
    hips = rest[joints["left_hip"]], rest[joints["right_hip"]]
    up = rest[head] - (hips[0] + hips[1]) / 2
    return _frame(_snapped(hips[0] - hips[1]), _snapped(up))


def _snapped(direction: Tensor) -> Tensor:
    unit = torch.nn.functional.normalize(direction, dim=0)
    index = int(unit.abs().argmax())
    axis = torch.zeros_like(unit)
    axis[index] = unit[index].sign()
    return axis if abs(float(unit[index])) > NEAR_AN_AXIS else unit


def _frame(left: Tensor, up: Tensor) -> Tensor:
    """Make rows left, up, forward orthonormal, keeping ``left``."""
    left = torch.nn.functional.normalize(left, dim=-1)
    forward = torch.nn.functional.normalize(torch.linalg.cross(left, up), dim=-1)
    return torch.stack([left, torch.linalg.cross(forward, left), forward])


def _is_person(clip: SkeletonClip, joints: Mapping[str, int], frame: Tensor) -> bool:
    """Say whether somebody stands in the rest pose, arms not forward or up."""
    rest = clip.rest_positions @ frame.T
    for side, sign in (("left", 1.0), ("right", -1.0)):
        leg = rest[joints[f"{side}_knee"]] - rest[joints[f"{side}_hip"]]
        shin = (
            rest[joints.get(f"{side}_ankle", joints[f"{side}_knee"])] - rest[joints[f"{side}_hip"]]
        )
        if not (leg[1] < -0.7 * leg.norm() and shin[1] < -0.7 * shin.norm()):
            return False
        if f"{side}_elbow" in joints and f"{side}_shoulder" in joints:
            arm = rest[joints[f"{side}_elbow"]] - rest[joints[f"{side}_shoulder"]]
            arm = arm / arm.norm().clamp(min=1e-9)
            if sign * float(arm[0]) < -0.3 or float(arm[1]) > 0.5 or abs(float(arm[2])) > 0.7:
                return False
    height = rest[joints["left_hip"], 0] - rest[joints["right_hip"], 0]
    return bool(torch.isfinite(frame).all()) and float(height) > 0


def _hanging_collars(
    clip: SkeletonClip, joints: Mapping[str, int], frame: Tensor
) -> dict[str, Tensor]:
    """Lower the collarbones with the arms: a T-pose holds them where hanging arms do not.

    Without this, somebody whose rest pose has hanging arms walks about with a shrug.
    """
    found = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rest = clip.rest_positions
        way = frame @ (rest[joints[f"{side}_elbow"]] - rest[joints[f"{side}_shoulder"]])
        hang = torch.atan2(-way[1], sign * way[0]).clamp(0.0, torch.pi / 2)
        turn = torch.tensor([0.0, 0.0, -sign * COLLAR_SHARE * float(hang)], dtype=torch.float64)
        found[f"{side}_collar"] = frame.T @ axis_angle_to_matrix(turn)
    return found


def _local(clip: SkeletonClip, joint: int, start: int, end: int) -> Tensor:
    """Give the way from one joint to another as a third sees it, mean over the clip."""
    way = clip.positions[:, end] - clip.positions[:, start]
    return (clip.world_rotations[:, joint].mT @ way[..., None])[..., 0].mean(0)


def _trunk_by_motion(
    clip: SkeletonClip, joints: Mapping[str, int], chest: int, head: int
) -> dict[str, Tensor]:
    """Bind pelvis and chest by the lines of hips and shoulders; heads look ahead, on average."""
    pelvis = joints["pelvis"]
    hips = joints["right_hip"], joints["left_hip"]
    shoulders = joints.get("right_shoulder", hips[0]), joints.get("left_shoulder", hips[1])
    to_pelvis = _frame(_local(clip, pelvis, *hips), _local(clip, pelvis, hips[0], head)).T
    to_chest = _frame(_local(clip, chest, *shoulders), _local(clip, chest, pelvis, head)).T
    relative = clip.world_rotations[:, head].mT @ clip.world_rotations[:, chest] @ to_chest
    found = {"pelvis": to_pelvis, "spine3": to_chest, "head": _nearest_rotation(relative.mean(0))}
    for side in ("left", "right"):
        collar = joints.get(f"{side}_collar")
        if collar is not None:
            own = clip.world_rotations[:, collar].mT @ clip.world_rotations[:, chest] @ to_chest
            found[f"{side}_collar"] = _nearest_rotation(own.mean(0))
    return found


def _nearest_rotation(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix)
    flip = torch.ones(3, dtype=matrix.dtype)
    flip[2] = torch.det(left @ right).sign()
    return left @ torch.diag(flip) @ right


def _bend_limbs(
    clip: SkeletonClip, joints: Mapping[str, int], bindings: dict[str, Tensor], *, by_motion: bool
) -> None:
    """Let every bone of the limbs point where the other skeleton's does."""
    ours = rest_joints()
    for name, end in LIMBS:
        if name not in joints:
            continue
        side, bare = name.split("_")
        before = _before(name, joints)
        # A hand or a finger may lack the joint before it: then it goes on from the forearm.
        start = bindings.get(before, bindings.get(f"{side}_wrist", bindings.get(f"{side}_elbow")))
        if start is None:
            continue
        if end not in joints:
            bindings[name] = start
            continue
        there = _local(clip, joints[name], joints[name], joints[end])
        here = ours[JOINT_IDS[end]] - ours[JOINT_IDS[name]]
        if float(there.norm()) < 1e-6:
            bindings[name] = start
            continue
        bindings[name] = rotation_between(start @ here, there) @ start
        if by_motion and bare in ("shoulder", "elbow", "hip", "knee", "wrist"):
            across = _across(clip, joints, side, bare)
            if across is not None:
                bindings[name] = _pair(there, across[0]) @ _pair(here, across[1]).T


def _before(name: str, joints: Mapping[str, int]) -> str:
    """Name the joint whose binding a joint starts from."""
    side, bare = name.split("_")
    chain = {"shoulder": "collar", "elbow": "shoulder", "wrist": "elbow", "knee": "hip"}
    if bare == "hip":
        return "pelvis"
    if bare in chain:
        before = f"{side}_{chain[bare]}"
        return before if before in joints else "spine3"
    return f"{side}_{bare[:-1]}{int(bare[-1]) - 1}" if bare[-1] != "1" else f"{side}_wrist"


def _across(
    clip: SkeletonClip, joints: Mapping[str, int], side: str, bare: str
) -> tuple[Tensor, Tensor] | None:
    """Give an axis across a limb, as its joint sees it and as SMPL-X at rest does."""
    sign = -1.0 if side == "left" else 1.0
    if bare == "wrist":
        ends = joints.get(f"{side}_pinky1"), joints.get(f"{side}_index1")
        if ends[0] is None or ends[1] is None:
            return None
        forward = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        return _local(clip, joints[f"{side}_wrist"], ends[0], ends[1]), forward
    arm = bare in ("shoulder", "elbow")
    chain = ("shoulder", "elbow", "wrist") if arm else ("hip", "knee", "ankle")
    places = [joints.get(f"{side}_{name}") for name in chain]
    if any(place is None for place in places):
        return None
    a, b, c = (clip.positions[:, place] for place in places)
    upper = torch.nn.functional.normalize(b - a, dim=-1)
    lower = torch.nn.functional.normalize(c - b, dim=-1)
    # Longer where the hinge is bent more, which is where it says most.
    hinge = torch.linalg.cross(upper, lower)
    local = (clip.world_rotations[:, joints[f"{side}_{bare}"]].mT @ hinge[..., None])[..., 0]
    if float(local.mean(0).norm()) < LEAST_BEND:
        return None
    axis = torch.tensor([0.0, sign, 0.0] if arm else [1.0, 0.0, 0.0], dtype=torch.float64)
    return local.mean(0), axis


def _pair(along: Tensor, across: Tensor) -> Tensor:
    """Give an orthonormal frame, in columns, from a direction and one roughly across it."""
    along = torch.nn.functional.normalize(along, dim=0)
    third = torch.nn.functional.normalize(torch.linalg.cross(along, across), dim=0)
    return torch.stack([along, torch.linalg.cross(third, along), third], 1)


def _turn_feet(
    clip: SkeletonClip, joints: Mapping[str, int], bindings: dict[str, Tensor], *, by_motion: bool
) -> None:
    """Let feet point where the other's do, at right angles to the shin as the other's stand.

    A bone from ankle to toes falls more or less steeply in every skeleton; only its turn about the
    shin is taken over. Soles are levelled later, by how the feet stand.
    """
    ahead = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    for side in ("left", "right"):
        ankle, toe, knee = (joints.get(f"{side}_{n}") for n in ("ankle", "foot", "knee"))
        start = bindings[f"{side}_knee"]
        bindings[f"{side}_ankle"] = bindings[f"{side}_foot"] = start
        if ankle is None or knee is None:
            continue
        way = None if toe is None else _local(clip, ankle, ankle, toe)
        if way is None:
            way = clip.ends.get(ankle)
        if way is None or float(way.norm()) < 1e-6:
            continue
        up = torch.nn.functional.normalize(_local(clip, ankle, ankle, knee), dim=0)
        flat = way - (way @ up) * up
        if float(flat.norm()) < 0.2 * float(way.norm()):
            continue
        y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
        if by_motion:
            turn = _pair(up, flat) @ _pair(y, ahead).T
        else:
            shin = torch.nn.functional.normalize(start @ y, dim=0)
            seen = start @ ahead
            turn = rotation_between(seen, flat - (flat @ shin) * shin) @ start
        bindings[f"{side}_ankle"] = bindings[f"{side}_foot"] = turn
