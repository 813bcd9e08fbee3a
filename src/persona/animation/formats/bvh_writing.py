"""Write a motion as BVH, on the SMPL-X tree of the mean body, and know such a file again."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.formats.skeleton_clip import SkeletonClip
from persona.animation.sketch import NOMINAL_RIG
from persona.body import load_body
from persona.body.skeleton import JOINT_NAMES, PARENTS
from persona.core.atomic import replacing_file
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_params import rest_params
from persona.records.motion import Motion

CENTIMETRE: Final = 0.01
"""The unit most programs expect [m]."""
TIP: Final = 0.02
"""Length of the bones that end in flesh [m]."""
ORDER: Final = "zxy"
"""Order of the rotation channels: Z, then X, then Y, as most files have it."""


def write_bvh(
    motion: Motion, path: Path, *, rest_joints: Float[Tensor, "55 3"] | None = None
) -> None:
    """Write joints by their SMPL-X names, rest pose a T, centimetres, y up; the face's jaw too.

    Args:
        motion: What to write.
        path: Where to.
        rest_joints: Somebody's own skeleton in T-pose [m]; None takes the mean body's.
    """
    offsets = _offsets(rest_joints)
    pelvis = NOMINAL_RIG.pelvis if rest_joints is None else rest_joints[0]
    pose = axis_angle_to_matrix(motion.params.full_pose.double())
    angles = torch.rad2deg(_zxy(pose))
    root = (motion.params.transl.double() + pelvis.double()) / CENTIMETRE
    order = _depth_first()
    lines = ["HIERARCHY", *_joint_lines(0, offsets, 0), "MOTION"]
    lines += [f"Frames: {motion.frame_count}", f"Frame Time: {1 / motion.fps:.9f}"]
    rows = torch.cat([root, angles[:, order].flatten(1)], 1).tolist()
    with replacing_file(path) as partial, partial.open("w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
        for row in rows:
            file.write(" ".join(f"{value:.6f}" for value in row) + "\n")


def holds_our_skeleton(clip: SkeletonClip) -> bool:
    """Say whether a clip has SMPL-X's joints, all of them, in a T-pose along our axes."""
    if set(clip.names) != set(JOINT_NAMES):
        return False
    own = clip.offsets[[clip.names.index(name) for name in JOINT_NAMES]] * CENTIMETRE
    parents = [clip.names[p] if p >= 0 else "" for p in clip.parents]
    same = all(
        parents[clip.names.index(name)] == (JOINT_NAMES[PARENTS[j]] if j else "")
        for j, name in enumerate(JOINT_NAMES)
    )
    return same and bool((own[1:] - _offsets()[1:]).abs().max() < 1e-3)


def motion_of(clip: SkeletonClip, *, name: str) -> Motion:
    """Give the motion of a clip on our skeleton as it is."""
    order = [clip.names.index(joint) for joint in JOINT_NAMES]
    pose = matrix_to_axis_angle(clip.rotations[:, order])
    transl = clip.root_positions * CENTIMETRE - NOMINAL_RIG.pelvis.double()
    params = rest_params(clip.frame_count).with_full_pose(pose.float())
    return Motion(params=replace(params, transl=transl.float()), fps=clip.fps, name=name)


def _offsets(joints: Float[Tensor, "55 3"] | None = None) -> Float[Tensor, "55 3"]:
    """Give each joint's place in its parent's frame in T-pose [m]; None takes the mean body."""
    joints = (load_body().joints_template if joints is None else joints).double()
    return joints - joints[[max(parent, 0) for parent in PARENTS]]


def _depth_first(joint: int = 0) -> list[int]:
    """List joints in the order in which BVH writes them."""
    found = [joint]
    for child, parent in enumerate(PARENTS):
        if parent == joint:
            found += _depth_first(child)
    return found


def _joint_lines(joint: int, offsets: Tensor, depth: int) -> list[str]:
    indent = "  " * depth
    children = [child for child, parent in enumerate(PARENTS) if parent == joint]
    position = "Xposition Yposition Zposition " if joint == 0 else ""
    turns = " ".join(f"{axis.upper()}rotation" for axis in ORDER)
    lines = [
        f"{indent}{'JOINT' if joint else 'ROOT'} {JOINT_NAMES[joint]}",
        f"{indent}{{",
        f"{indent}  OFFSET {_vector(offsets[joint])}",
        f"{indent}  CHANNELS {6 if joint == 0 else 3} {position}{turns}",
    ]
    for child in children:
        lines += _joint_lines(child, offsets, depth + 1)
    if not children:
        along = torch.nn.functional.normalize(offsets[joint], dim=0) * TIP
        end = [f"{indent}  End Site", f"{indent}  {{"]
        lines += [*end, f"{indent}    OFFSET {_vector(along)}", f"{indent}  }}"]
    return [*lines, f"{indent}}}"]


def _vector(meters: Tensor) -> str:
    return " ".join(f"{value:.6f}" for value in (meters / CENTIMETRE).tolist())


def _zxy(rotation: Float[Tensor, "t j 3 3"]) -> Float[Tensor, "t j 3"]:
    """Take rotations apart into Rz Rx Ry [rad].

    Where x is a quarter turn z and y are one turn, all of which z then takes.
    """
    m = rotation
    x = torch.asin(m[..., 2, 1].clamp(-1, 1))
    locked = m[..., 2, 1].abs() > 1 - 1e-12
    z = torch.atan2(-m[..., 0, 1], m[..., 1, 1])
    y = torch.atan2(-m[..., 2, 0], m[..., 2, 2])
    z = torch.where(locked, torch.atan2(m[..., 1, 0], m[..., 0, 0]), z)
    y = torch.where(locked, torch.zeros_like(y), y)
    return torch.stack([z, x, y], -1)
