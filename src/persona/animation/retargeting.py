"""Bring the motion of another skeleton onto the mean SMPL-X body, by joint names and rest poses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.formats.joint_map import JointMap
from persona.animation.formats.joint_names import match_joints
from persona.animation.formats.skeleton_clip import SkeletonClip
from persona.animation.formats.world_axes import find_up, turn_to_y_up
from persona.animation.posture import FINGER_CURL
from persona.animation.rest_matching import RestMatch, match_rest
from persona.animation.sketch import NOMINAL_RIG
from persona.body.skeleton import FINGERS, JOINT_IDS, JOINT_NAMES, PARENTS
from persona.core.errors import InputError
from persona.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_matrix,
    slerp,
)
from persona.records.body_params import rest_params
from persona.records.motion import Motion

NEEDED: Final = (
    "pelvis",
    *(f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "shoulder", "elbow")),
)
"""Joints without which there is nothing to bring over."""
UNITS: Final = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254}
"""Units that files are in, most likely first [m]."""
CMU_UNIT: Final = 0.0254 / 0.45
"""Unit of CMU's library and its many conversions [m]: their inches are scaled by 0.45."""
STATURES: Final = (1.35, 2.15)
"""People are this tall [m]."""
STATURE_BY_LEG: Final = 2.1
"""Stature over the length of thigh and shin of the mean body."""
FACING_SECONDS: Final = 0.5
"""The person is turned to face the viewer, by where they look in this time [s]."""
STANDING_SPEED: Final = 0.25
"""An ankle slower than this belongs to a foot that may stand [m/s]."""
STANDING_HEIGHT: Final = 0.06
"""And so does one no higher than this above where ankles are lowest [m]."""
STEEPEST_SOLE: Final = 0.6
"""Most that soles are levelled [rad]; more is somebody on tiptoe, or kneeling."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Retargeted:
    """A motion on the mean body, and how it came there."""

    motion: Motion
    """y up, facing the viewer at the start; the floor is not found yet."""
    facts: Mapping[str, str]
    """What was detected: up axis, units, facing, rest pose, which joints."""
    joints: Mapping[str, int]
    """SMPL-X name to place in the other skeleton."""


def retarget(
    clip: SkeletonClip,
    *,
    up: str | None = None,
    name: str = "motion",
    joint_map: JointMap | None = None,
) -> Retargeted:
    """Give the motion of another skeleton to the mean body.

    Directions of limbs and fingers are the other's; trunk and head turn as the other's do from
    its rest pose; the path scales with the length of the legs.

    Args:
        clip: The other skeleton, moving.
        up: One of `world_axes.AXES`; None finds out.
        name: What to call the motion.
        joint_map: Which joints are which, before their names are asked.

    Raises:
        InputError: The names of the joints are not those of a person as we know them.
    """
    joints = _mapped(clip, joint_map or {})
    missing = [wanted for wanted in NEEDED if wanted not in joints]
    if missing:
        raise InputError(
            f"{name} has no joints that could be {', '.join(missing)}",
            why=f"its {len(clip.names)} joints are {', '.join(clip.names[:12])}, ...",
            fix="say which they are in a TOML file, --joint-map FILE.toml (docs/motions.md)",
        )
    start = _reference_frames(clip)
    clip = clip.cut(start)
    chest, head, neck = _trunk(clip, joints)
    match = match_rest(clip, joints, chest, head)
    found, up_fact = _up(clip, joints, head, match, up)
    turn = turn_to_y_up(found)
    world = _world_rotations(clip, joints, match, turn, (chest, head, neck))
    yaw = _facing(world[:, 0], clip.fps)
    world = yaw @ world
    unit = _leg_length(clip, joints)
    scale = float((NOMINAL_RIG.thighs.norm(dim=-1) + NOMINAL_RIG.shins.norm(dim=-1)).mean()) / unit
    path = clip.positions @ (yaw @ turn).T * scale
    world, levelled = _level_soles(world, path, joints, clip.fps)
    hips = (path[:, joints["left_hip"]] + path[:, joints["right_hip"]]) / 2
    pelvis = hips - world[:, 0] @ NOMINAL_RIG.hips.double().mean(0)
    pelvis = pelvis - pelvis[0] * torch.tensor([1.0, 0.0, 1.0]).double()
    pose = matrix_to_axis_angle(_relative(world))
    pose = _relaxed(pose, joints)
    params = rest_params(clip.frame_count).with_full_pose(pose.float())
    params = replace(params, transl=(pelvis - NOMINAL_RIG.pelvis.double()).float())
    facts = {
        "joints": _joints_fact(clip, joints),
        "rest pose": "a person's; SMPL-X is bent into it"
        if match.natural
        else "no person's; bones turned by how elbows, knees, shoulders and feet move",
        "up": up_fact,
        "units": _units_fact(unit),
        "facing": f"turned by {float(torch.rad2deg(torch.atan2(yaw[0, 2], yaw[0, 0]))):.0f} deg "
        "about the vertical, to face the viewer at the start",
        "soles": levelled,
    }
    if start:
        facts["left out"] = "the first frame, a rest pose that is not part of the motion"
    return Retargeted(
        motion=Motion(params=params, fps=clip.fps, name=name), facts=facts, joints=joints
    )


def _mapped(clip: SkeletonClip, joint_map: JointMap) -> dict[str, int]:
    """Find joints by the map, and those that it does not speak of by their names.

    Raises:
        InputError: The map speaks of a joint that the skeleton lacks.
    """
    strange = [theirs for theirs in joint_map.values() if theirs and theirs not in clip.names]
    if strange:
        raise InputError(
            f"the joint map names {', '.join(strange[:5])}",
            why=f"the skeleton's {len(clip.names)} joints are {', '.join(clip.names[:40])}",
            fix="write their names as the file does",
        )
    taken = set(joint_map.values())
    found = {
        ours: place
        for ours, place in match_joints(clip.names).items()
        if ours not in joint_map and clip.names[place] not in taken
    }
    mapped = {ours: clip.names.index(theirs) for ours, theirs in joint_map.items() if theirs}
    return found | mapped


def _reference_frames(clip: SkeletonClip) -> int:
    """Count the frames at the start that are a rest pose: one, when all jumps away from it."""
    if clip.frame_count < 10:
        return 0
    turn = clip.rotations[1:].mT @ clip.rotations[:-1]
    cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = torch.acos(cosine.clamp(-1, 1)).mean(1)
    return int(bool(angle[0] > 0.1) and bool(angle[0] > 10 * angle[1:].quantile(0.95)))


def _trunk(clip: SkeletonClip, joints: dict[str, int]) -> tuple[int, int, list[int]]:
    """Find the joint arms hang on, the head, and what of the neck lies between."""
    arms = [joints.get(f"{s}_collar", joints[f"{s}_shoulder"]) for s in ("left", "right")]
    other = set(clip.ancestors(arms[1]))
    chest = next(joint for joint in clip.ancestors(arms[0]) if joint in other)
    necks = [k for k, name in enumerate(clip.names) if "neck" in name.lower()]
    head = joints.get("head", necks[-1] if necks else chest)
    between = []
    for joint in clip.ancestors(head):
        if joint == chest:
            break
        between.append(joint)
    if chest not in clip.ancestors(head):
        between = []
    return chest, head, between[::-1]


def _up(
    clip: SkeletonClip, joints: dict[str, int], head: int, match: RestMatch, asked: str | None
) -> tuple[str, str]:
    if asked is not None:
        return asked, f"{asked} (as asked)"
    hips = (clip.positions[:, joints["left_hip"]] + clip.positions[:, joints["right_hip"]]) / 2
    return find_up(clip.positions[:, head] - hips, otherwise="y")


def _world_rotations(
    clip: SkeletonClip,
    joints: dict[str, int],
    match: RestMatch,
    turn: Tensor,
    trunk: tuple[int, int, list[int]],
) -> Float[Tensor, "t 55 3 3"]:
    """Give every SMPL-X joint its rotation in the world."""
    chest, head, necks = trunk

    def ours(joint: int, binding: str) -> Tensor:
        return turn @ clip.world_rotations[:, joint] @ match.bindings[binding]

    pelvis, top = ours(joints["pelvis"], "pelvis"), ours(chest, "spine3")
    skull = ours(head, "head")
    spine = [top if chest == joints["pelvis"] else pelvis]
    if match.natural:
        path = [j for j in clip.ancestors(chest) if joints["pelvis"] in clip.ancestors(j)][::-1]
        spine += [ours(joint, "spine3") for joint in path]
    spine.append(top)
    neck = [top, *(ours(j, "head") for j in necks if match.natural), skull]
    found: dict[str, Tensor] = {"pelvis": pelvis, "head": skull, "neck": _part(neck, 0.5)}
    for k in (1, 2, 3):
        found[f"spine{k}"] = _part(spine, k / 3)
    for name, joint in joints.items():
        if name in match.bindings and name not in found:
            found[name] = ours(joint, name)
    rotations: list[Tensor] = []
    for joint, name in enumerate(JOINT_NAMES):
        parent = rotations[PARENTS[joint]] if joint else pelvis
        rotations.append(found.get(name, parent))
    return torch.stack(rotations, 1)


def _part(chain: list[Tensor], share: float) -> Tensor:
    """Go a share of the way along a chain of rotations, each link as long as the next."""
    place = share * (len(chain) - 1)
    low = min(int(place + 1e-9), len(chain) - 2)
    start, end = (matrix_to_quaternion(chain[k]) for k in (low, low + 1))
    shares = torch.full(start.shape[:-1], place - low, dtype=start.dtype)
    return quaternion_to_matrix(slerp(start, end, shares))


def _facing(pelvis: Float[Tensor, "t 3 3"], fps: float) -> Float[Tensor, "3 3"]:
    """Turn about the vertical so that the pelvis looks along z at the start."""
    ahead = pelvis[: max(1, round(FACING_SECONDS * fps)), :, 2].mean(0)
    angle = torch.atan2(ahead[0], ahead[2])
    c, s = float(angle.cos()), float(angle.sin())
    return torch.tensor([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]], dtype=torch.float64)


def _leg_length(clip: SkeletonClip, joints: dict[str, int]) -> float:
    """Measure thigh and shin, mean of both [file units]."""
    total = 0.0
    for side in ("left", "right"):
        chain = [joints[f"{side}_{n}"] for n in ("hip", "knee", "ankle") if f"{side}_{n}" in joints]
        for a, b in pairwise(chain):
            total += float((clip.positions[0, b] - clip.positions[0, a]).norm()) / 2
    if not total > 1e-6:
        raise InputError(
            "the legs of the skeleton have no length",
            why="the path scales with the length of the legs",
            fix="export the skeleton with its offsets",
        )
    return total


def _units_fact(leg: float) -> str:
    """Guess the unit by how tall the person then is."""
    named = UNITS | {"CMU's (5.64 cm)": CMU_UNIT}
    for name, size in named.items():
        if STATURES[0] <= leg * size * STATURE_BY_LEG <= STATURES[1]:
            return f"{name} (detected: about {leg * size * STATURE_BY_LEG:.2f} m tall)"
    return f"unknown; scaled by the legs, one unit is {0.8 / leg:.3g} m"


def _level_soles(
    world: Float[Tensor, "t 55 3 3"],
    path: Float[Tensor, "t j 3"],
    joints: dict[str, int],
    fps: float,
) -> tuple[Float[Tensor, "t 55 3 3"], str]:
    """Turn each foot in its shin so that it is level, on median, while it may stand."""
    said = []
    world = world.clone()
    for side in ("left", "right"):
        if f"{side}_ankle" not in joints:
            continue
        ankle = path[:, joints[f"{side}_ankle"]]
        speed = torch.zeros(len(ankle), dtype=torch.float64)
        if len(ankle) > 1:
            speed[1:] = (ankle[1:] - ankle[:-1]).norm(dim=-1) * fps
            speed[0] = speed[1]
        lowest = ankle[:, 1].quantile(0.02)
        stands = (speed < STANDING_SPEED) & (ankle[:, 1] < lowest + STANDING_HEIGHT)
        if int(stands.sum()) < 3:
            continue
        mine = [JOINT_IDS[f"{side}_ankle"], JOINT_IDS[f"{side}_foot"]]
        foot = world[stands, mine[0]]
        ahead, across = foot[:, 1, 2].median().clamp(-1, 1), foot[:, 1, 0].median().clamp(-1, 1)
        pitch, roll = float(torch.asin(ahead)), float(torch.asin(across))
        if max(abs(pitch), abs(roll)) > STEEPEST_SOLE:
            continue
        axes = torch.tensor([[pitch, 0.0, 0.0], [0.0, 0.0, -roll]], dtype=torch.float64)
        tilt = axis_angle_to_matrix(axes)
        world[:, mine] = world[:, mine] @ (tilt[0] @ tilt[1])
        said.append(f"{side} {abs(pitch) * 57.3:.0f} deg in pitch, {abs(roll) * 57.3:.0f} in roll")
    return world, f"levelled by {'; '.join(said)}" if said else "as they are: never stand level"


def _relative(world: Float[Tensor, "t 55 3 3"]) -> Float[Tensor, "t 55 3 3"]:
    parents = torch.tensor(PARENTS[1:])
    own = world[:, parents].mT @ world[:, 1:]
    return torch.cat([world[:, :1], own], 1)


def _relaxed(pose: Float[Tensor, "t 55 3"], joints: dict[str, int]) -> Float[Tensor, "t 55 3"]:
    """Give fingers that the skeleton lacks the turn of the nearest it has, or of a hand at rest."""
    pose = pose.clone()
    order = ("index", "middle", "ring", "pinky")
    for side, sign in (("left", -1.0), ("right", 1.0)):
        have = [finger for finger in order if f"{side}_{finger}2" in joints]
        for finger in (finger for finger in order if finger not in have):
            for k in (1, 2, 3):
                mine = JOINT_IDS[f"{side}_{finger}{k}"]
                if have:
                    near = min(have, key=lambda f: abs(order.index(f) - order.index(finger)))
                    pose[:, mine] = pose[:, JOINT_IDS[f"{side}_{near}{k}"]]
                else:
                    pose[:, mine, 2] = sign * FINGER_CURL[finger] * torch.pi / 180
    return pose


def _joints_fact(clip: SkeletonClip, joints: Mapping[str, int]) -> str:
    fingers = sum(f"left_{finger}2" in joints for finger in FINGERS)
    return f"{len(joints)} of {len(clip.names)} matched by name, {fingers} fingers a hand"


def direction_errors(
    clip: SkeletonClip, done: Retargeted, posed: Float[Tensor, "t 55 3"]
) -> dict[str, float]:
    """Compare the directions of limbs with the source skeleton's.

    Args:
        clip: The source, as it was retargeted.
        done: What became of it.
        posed: Joints of the body that does the motion [m], frame by frame.

    Returns:
        Median angle of each limb [deg], both sides together.
    """
    start = clip.frame_count - len(posed)
    theirs = clip.cut(start).positions
    pairs = {
        "upper arm": ("shoulder", "elbow"),
        "lower arm": ("elbow", "wrist"),
        "thigh": ("hip", "knee"),
        "shin": ("knee", "ankle"),
    }
    # The world turns are the rotation that best takes all their bones to all ours.
    ours_all, theirs_all, spans = [], [], {}
    for limb, (a, b) in pairs.items():
        for side in ("left", "right"):
            ends = f"{side}_{a}", f"{side}_{b}"
            if ends[0] in done.joints and ends[1] in done.joints:
                way = theirs[:, done.joints[ends[1]]] - theirs[:, done.joints[ends[0]]]
                own = posed[:, JOINT_IDS[ends[1]]] - posed[:, JOINT_IDS[ends[0]]]
                theirs_all.append(torch.nn.functional.normalize(way, dim=-1))
                ours_all.append(torch.nn.functional.normalize(own.double(), dim=-1))
                spans.setdefault(limb, []).append(len(ours_all) - 1)
    ours, other = torch.stack(ours_all), torch.stack(theirs_all)
    left, _, right = torch.linalg.svd(ours.flatten(0, 1).T @ other.flatten(0, 1))
    flip = torch.diag(torch.tensor([1.0, 1.0, float(torch.det(left @ right))]).double())
    cosine = (ours * (other @ (left @ flip @ right).T)).sum(-1).clamp(-1, 1)
    angle = torch.rad2deg(torch.acos(cosine))
    return {limb: float(angle[rows].median()) for limb, rows in spans.items()}
