"""Angles of joints as physicians measure them, and how far people can go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import JOINT_IDS, mirror_pose
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_quaternion

Angles = Float[Tensor, " t"]
Turns = Float[Tensor, "t 3 3"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One way a joint moves, and how far either way people can [deg]."""

    joint: str
    """What moves: one joint, or several that a physician takes for one."""
    name: str
    """Movement in the direction that counts as positive."""
    opposite: str
    """Movement the other way; empty where it is the same to the other side."""
    least: float
    """Farthest the other way, negative [deg]."""
    most: float
    """Farthest in the positive direction [deg]."""


AXES: Final = (
    Axis(joint="neck", name="flexion", opposite="extension", least=-45, most=45),
    Axis(joint="neck", name="side bend", opposite="", least=-45, most=45),
    Axis(joint="neck", name="rotation", opposite="", least=-60, most=60),
    Axis(joint="trunk", name="flexion", opposite="extension", least=-30, most=80),
    Axis(joint="trunk", name="side bend", opposite="", least=-35, most=35),
    Axis(joint="trunk", name="rotation", opposite="", least=-45, most=45),
    Axis(joint="shoulder", name="flexion", opposite="extension", least=-60, most=180),
    Axis(joint="shoulder", name="abduction", opposite="", least=0, most=180),
    Axis(joint="shoulder", name="internal", opposite="external", least=-90, most=70),
    Axis(joint="elbow", name="flexion", opposite="", least=0, most=150),
    Axis(joint="forearm", name="pronation", opposite="supination", least=-80, most=80),
    Axis(joint="wrist", name="flexion", opposite="extension", least=-70, most=80),
    Axis(joint="wrist", name="radial", opposite="ulnar", least=-30, most=20),
    Axis(joint="hip", name="flexion", opposite="extension", least=-30, most=120),
    Axis(joint="hip", name="abduction", opposite="adduction", least=-30, most=45),
    Axis(joint="hip", name="external", opposite="internal", least=-45, most=45),
    Axis(joint="knee", name="flexion", opposite="", least=0, most=135),
    # The table's 20 is for a hanging foot; under the body's weight the ankle gives twice as much.
    Axis(joint="ankle", name="plantar", opposite="dorsal", least=-40, most=50),
    Axis(joint="ankle", name="inversion", opposite="eversion", least=-15, most=35),
    Axis(joint="toes", name="flexion", opposite="extension", least=-70, most=45),
)
"""Ranges of motion of adults: American Academy of Orthopaedic Surgeons, "Joint Motion: Method of
Measuring and Recording", 1965, as tabulated by Norkin and White, "Measurement of Joint Motion".
Dorsal flexion under load: Bennell et al., "Intra-rater and inter-rater reliability of a
weight-bearing lunge measure of ankle dorsiflexion", Australian Journal of Physiotherapy 1998."""

CHAINS: Final[dict[str, tuple[str, ...]]] = {
    "neck": ("neck", "head"),
    "trunk": ("spine1", "spine2", "spine3"),
    "shoulder": ("left_collar", "left_shoulder"),
    "elbow": ("left_elbow",),
    "forearm": ("left_elbow", "left_wrist"),
    "wrist": ("left_wrist",),
    "hip": ("left_hip",),
    "knee": ("left_knee",),
    "ankle": ("left_ankle",),
    "toes": ("left_foot",),
}
"""Joints of the skeleton that together are one of `AXES`, from the middle outwards."""


def joint_turns(full_pose: Float[Tensor, "t 55 3"]) -> dict[str, Turns]:
    """Give the rotation of everything in `CHAINS`; right sides follow, mirrored, as more frames.

    The middle of the body appears once.
    """
    both = torch.cat([full_pose, mirror_pose(full_pose)])
    found = {}
    for name, joints in CHAINS.items():
        pose = both if joints[0].startswith("left_") else full_pose
        turns = axis_angle_to_matrix(pose[:, [JOINT_IDS[joint] for joint in joints]])
        total = turns[:, 0]
        for k in range(1, len(joints)):
            total = total @ turns[:, k]
        found[name] = total
    return found


def anatomical_angles(full_pose: Float[Tensor, "t 55 3"]) -> dict[tuple[str, str], Angles]:
    """Give the angle [deg] about each of `AXES`, by joint and name; NaN where it has no meaning.

    Legs, trunk and neck are read as flexion, then side movement, then rotation. The upper arm is
    read by its direction: it flexes or extends while it is nearer to fore and aft, abducts while
    it is nearer to the side; rotations of arm and forearm are twists about their length.
    """
    turns = joint_turns(full_pose)
    angles = {}
    for axis in AXES:
        read = _READERS[axis.joint][axis.name]
        angles[axis.joint, axis.name] = torch.rad2deg(read(turns[axis.joint]))
    pose = torch.cat([full_pose, mirror_pose(full_pose)])
    # The skeleton turns the forearm at both of its ends; the hand sees the sum.
    elbow, wrist = (axis_angle_to_matrix(pose[:, JOINT_IDS[name]]) for name in CHAINS["forearm"])
    angles["forearm", "pronation"] = torch.rad2deg(_twist(elbow) + _twist(wrist))
    return angles


def _about_x(turn: Turns) -> Angles:
    return torch.atan2(turn[:, 2, 1], turn[:, 1, 1])


def _about_z(turn: Turns) -> Angles:
    return torch.asin((-turn[:, 0, 1]).clamp(-1.0, 1.0))


def _about_y(turn: Turns) -> Angles:
    return torch.atan2(turn[:, 0, 2], turn[:, 0, 0])


def _twist(turn: Turns) -> Angles:
    """Give the turn about the arm's own length, x."""
    quats = matrix_to_quaternion(turn)
    angle = 2 * torch.atan2(quats[:, 1], quats[:, 0])
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


def _forward(turn: Turns) -> Angles:
    """Give how far the outer bone points forward instead of to the left."""
    return torch.atan2(turn[:, 2, 0], turn[:, 0, 0])


def _downward(turn: Turns) -> Angles:
    return torch.atan2(-turn[:, 1, 0], turn[:, 0, 0])


def _raised(turn: Turns) -> tuple[Angles, Angles]:
    """Give how far the upper arm is from hanging, and in which plane: 0 side, pi / 2 ahead."""
    along = turn[:, :, 0]
    raised = torch.acos((-along[:, 1]).clamp(-1.0, 1.0))
    return raised, torch.atan2(along[:, 2], along[:, 0])


def _shoulder_flexion(turn: Turns) -> Angles:
    raised, plane = _raised(turn)
    sagittal = plane.sin().abs() > plane.cos().abs()
    return torch.where(sagittal, raised * plane.sin().sign(), torch.nan)


def _shoulder_abduction(turn: Turns) -> Angles:
    raised, plane = _raised(turn)
    sideways = plane.cos() > plane.sin().abs()
    return torch.where(sideways, raised, torch.nan)


def _negative(read: Callable[[Turns], Angles]) -> Callable[[Turns], Angles]:
    return lambda turn: -read(turn)


_SPINE: Final = {"flexion": _about_x, "side bend": _about_z, "rotation": _about_y}
_READERS: Final[dict[str, dict[str, Callable[[Turns], Angles]]]] = {
    "neck": _SPINE,
    "trunk": _SPINE,
    "shoulder": {
        "flexion": _shoulder_flexion,
        "abduction": _shoulder_abduction,
        "internal": _twist,
    },
    "elbow": {"flexion": _forward},
    "forearm": {"pronation": _twist},
    "wrist": {"flexion": _downward, "radial": _forward},
    "hip": {"flexion": _negative(_about_x), "abduction": _about_z, "external": _about_y},
    "knee": {"flexion": _about_x},
    "ankle": {"plantar": _about_x, "inversion": _negative(_about_z)},
    "toes": {"flexion": _about_x},
}
