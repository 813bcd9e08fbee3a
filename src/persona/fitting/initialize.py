"""First guesses: inverse kinematics from world landmarks, and the guesses that doubt it."""

from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import JOINT_IDS, PARENTS
from persona.fitting.evidence import Evidence
from persona.fitting.kinematics import pose_points
from persona.fitting.parameters import Unknowns
from persona.fitting.points import FitPoints
from persona.fitting.terms_priors import rest_pose
from persona.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    rotation_between,
)

BENT: Final = 0.35
"""Sine of the bend above which a limb's own plane is trusted over the default plane."""
LIMBS: Final = (
    ("left_shoulder", "left_elbow", (11, 13, 15), (0.0, -1.0, 0.0)),
    ("right_shoulder", "right_elbow", (12, 14, 16), (0.0, 1.0, 0.0)),
    ("left_hip", "left_knee", (23, 25, 27), (1.0, 0.0, 0.0)),
    ("right_hip", "right_knee", (24, 26, 28), (1.0, 0.0, 0.0)),
)
"""Joint at the root, hinge joint, their three Pose landmarks, and the hinge's axis at rest."""


def first_guesses(points: FitPoints, evidence: Evidence) -> tuple[Unknowns, list[str]]:
    """Give several starts and their names, each placed in front of the camera."""
    world = evidence.world
    stance = evidence.stance
    guesses = {"landmarks": world}
    if stance.support:
        guesses["standing"] = _stand(world, stance.left_straight, stance.right_straight)
    guesses["arms flipped"] = _flip(guesses.get("standing", world), ((11, 13, 15), (12, 14, 16)))
    guesses["forearms flipped"] = _flip(guesses.get("standing", world), ((13, 15), (14, 16)))
    if not stance.standing:
        guesses["legs flipped"] = _flip(world, ((23, 25, 27), (24, 26, 28)))
        guesses["shins flipped"] = _flip(world, ((25, 27), (26, 28)))
    rows = points.model.layout.zeros(len(guesses))
    poses = solve_pose(points.model.joints, torch.stack(list(guesses.values())))
    rows[:, points.model.layout.pose] = poses.flatten(1)
    rows[:, points.model.layout.transl] = _place(points, evidence, rows)
    return rows, list(guesses)


def _stand(world: Tensor, left: bool, right: bool) -> Tensor:  # noqa: FBT001
    """Stretch straight legs to the plane of the picture."""
    straight = world.clone()
    for hip, knee, ankle, asked in ((23, 25, 27, left), (24, 26, 28, right)):
        if asked:
            straight[[knee, ankle], 2] = world[hip, 2]
    return straight


def _flip(world: Tensor, chains: tuple[tuple[int, ...], ...]) -> Tensor:
    """Turn the depth of every bone of the chains around; the picture stays the same."""
    flipped = world.clone()
    for chain in chains:
        for near, far in pairwise(chain):
            flipped[far, 2] = flipped[near, 2] - (world[far, 2] - world[near, 2])
    return flipped


def solve_pose(
    joints: Float[Tensor, "55 3"], world: Float[Tensor, "*batch 33 3"]
) -> Float[Tensor, "*batch 55 3"]:
    """Turn landmarks in space into joint rotations, trunk first, then the four limbs.

    Args:
        joints: Rest joints of the body [m]; only the directions of bones count.
        world: MediaPipe Pose landmarks [m], x right, y up, z to the viewer.

    Returns:
        Axis-angles [rad]; what the landmarks say nothing about is at rest.
    """
    pose = rest_pose().to(world).expand(*world.shape[:-2], -1, -1).clone()
    up = world[..., [11, 12], :].mean(-2) - world[..., [23, 24], :].mean(-2)
    hips = _frame(world[..., 23, :] - world[..., 24, :], up)
    chest = _frame(world[..., 11, :] - world[..., 12, :], up)
    pose[..., JOINT_IDS["pelvis"], :] = matrix_to_axis_angle(hips)
    twist = matrix_to_axis_angle(hips.mT @ chest)
    for name in ("spine1", "spine2", "spine3"):
        pose[..., JOINT_IDS[name], :] = twist / 3
    local = axis_angle_to_matrix(pose)
    for root, hinge, landmarks, axis in LIMBS:
        base = torch.eye(3).to(world)
        for joint in _path(JOINT_IDS[root])[:-1]:
            base = base @ local[..., joint, :, :]
        limb = world[..., list(landmarks), :]
        ends = (JOINT_IDS[root], JOINT_IDS[hinge])
        upper, lower = _limb(joints.to(world), ends, limb, axis, base)
        pose[..., ends[0], :] = matrix_to_axis_angle(upper)
        pose[..., ends[1], :] = matrix_to_axis_angle(lower)
    return pose


def _frame(
    right_to_left: Float[Tensor, "*batch 3"], up: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """Give the rotation of a trunk from the direction of its shoulders (or hips) and its spine."""
    y = torch.nn.functional.normalize(up, dim=-1)
    x = torch.nn.functional.normalize(right_to_left - _along(right_to_left, y) * y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def _along(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


def _path(joint: int) -> list[int]:
    """List the joints from the root down to ``joint``."""
    path = [joint]
    while PARENTS[path[0]] >= 0:
        path.insert(0, PARENTS[path[0]])
    return path


def _limb(
    joints: Float[Tensor, "55 3"],
    ends: tuple[int, int],
    limb: Float[Tensor, "*batch 3 3"],
    axis: tuple[float, float, float],
    base: Float[Tensor, "*#batch 3 3"],
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 3"]]:
    """Turn a limb so that its bones point at the landmarks and its hinge bends the right way."""
    root, hinge = ends
    end = {18: 20, 19: 21, 4: 7, 5: 8}[hinge]
    rest_upper, rest_lower = joints[hinge] - joints[root], joints[end] - joints[hinge]
    bones = (limb[..., 1:, :] - limb[..., :-1, :]) @ base
    upper, lower = torch.nn.functional.normalize(bones, dim=-1).unbind(-2)
    hinge_axis = torch.tensor(axis).to(joints)
    default = rotation_between(rest_upper.expand_as(upper), upper) @ hinge_axis
    plane = torch.linalg.cross(upper, lower)
    # A nearly straight limb has no plane of its own; a limb bent backwards has the wrong one.
    sine = plane.norm(dim=-1, keepdim=True)
    default = torch.where((sine > BENT) & (_along(plane, default) > -0.5 * sine), plane, default)
    turn = _aligned(upper, default) @ _aligned(rest_upper, hinge_axis).mT
    bend = torch.acos(_along(upper, lower).clamp(-1, 1)) * torch.sign(_along(plane, default) + 1e-6)
    rest_bend = _angle_about(rest_upper, rest_lower, hinge_axis)
    return turn, axis_angle_to_matrix(hinge_axis * (bend - rest_bend).clamp(min=0))


def _aligned(
    along: Float[Tensor, "*batch 3"], across: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """Build a frame whose first axis is ``along`` and whose second lies towards ``across``."""
    x = torch.nn.functional.normalize(along, dim=-1)
    y = torch.nn.functional.normalize(across - _along(across, x) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def _angle_about(start: Tensor, end: Tensor, axis: Tensor) -> Tensor:
    """Measure the turn about ``axis`` that takes ``start`` to ``end`` [rad]."""
    return torch.atan2(axis @ torch.linalg.cross(start, end), start @ end)


def _place(points: FitPoints, evidence: Evidence, unknowns: Unknowns) -> Float[Tensor, "starts 3"]:
    """Put each start where it appears as large and as high as the landmarks are."""
    places = [0, 11, 12, 23, 24, 25, 26, 27, 28]
    rows = [points.rows["pose"][k] for k in places]
    body = pose_points(points.model, unknowns, derivatives=False).points[:, rows]
    target = evidence.body[places] - torch.tensor(evidence.center_px)
    flat = body[..., :2] * torch.tensor([1.0, -1.0])
    middle, target_middle = flat.mean(1), target.mean(0)
    spread = (flat - middle[:, None]).square().sum((1, 2)).sqrt()
    distance = evidence.focal_px * spread / (target - target_middle).square().sum().sqrt()
    shift = target_middle * distance[:, None] / evidence.focal_px - middle
    depth = -distance - body[..., 2].mean(1)
    return torch.stack([shift[:, 0], -shift[:, 1], depth], 1)
