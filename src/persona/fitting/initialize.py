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
    rows = torch.cat([_solve_pose(points, landmarks) for landmarks in guesses.values()])
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


def _solve_pose(points: FitPoints, world: Float[Tensor, "33 3"]) -> Unknowns:
    """Turn landmarks in space into joint rotations, trunk first, then the four limbs."""
    layout = points.model.layout
    unknowns = layout.zeros()
    pose = rest_pose()
    hips = _frame(world[23] - world[24], world[[11, 12]].mean(0) - world[[23, 24]].mean(0))
    chest = _frame(world[11] - world[12], world[[11, 12]].mean(0) - world[[23, 24]].mean(0))
    pose[JOINT_IDS["pelvis"]] = matrix_to_axis_angle(hips)
    twist = matrix_to_axis_angle(hips.T @ chest)
    for name in ("spine1", "spine2", "spine3"):
        pose[JOINT_IDS[name]] = twist / 3
    local = axis_angle_to_matrix(pose)
    for root, hinge, landmarks, axis in LIMBS:
        base = torch.eye(3)
        for joint in _path(JOINT_IDS[root])[:-1]:
            base = base @ local[joint]
        upper, lower = _limb(
            points, JOINT_IDS[root], JOINT_IDS[hinge], world, landmarks, axis, base
        )
        local[JOINT_IDS[root]], local[JOINT_IDS[hinge]] = upper, lower
        pose[JOINT_IDS[root]] = matrix_to_axis_angle(upper)
        pose[JOINT_IDS[hinge]] = matrix_to_axis_angle(lower)
    unknowns[:, layout.pose] = pose.flatten()
    return unknowns


def _frame(right_to_left: Tensor, up: Tensor) -> Float[Tensor, "3 3"]:
    """Give the rotation of a trunk from the direction of its shoulders (or hips) and its spine."""
    y = torch.nn.functional.normalize(up, dim=0)
    x = torch.nn.functional.normalize(right_to_left - (right_to_left @ y) * y, dim=0)
    return torch.stack([x, y, torch.linalg.cross(x, y)], 1)


def _path(joint: int) -> list[int]:
    """List the joints from the root down to ``joint``."""
    path = [joint]
    while PARENTS[path[0]] >= 0:
        path.insert(0, PARENTS[path[0]])
    return path


def _limb(
    points: FitPoints,
    root: int,
    hinge: int,
    world: Tensor,
    landmarks: tuple[int, int, int],
    axis: tuple[float, float, float],
    base: Tensor,
) -> tuple[Tensor, Tensor]:
    """Turn a limb so that its bones point at the landmarks and its hinge bends the right way."""
    joints = points.model.joints
    end = {18: 20, 19: 21, 4: 7, 5: 8}[hinge]
    rest_upper, rest_lower = joints[hinge] - joints[root], joints[end] - joints[hinge]
    start, middle, stop = (world[k] for k in landmarks)
    to_body = base.T
    upper = torch.nn.functional.normalize(to_body @ (middle - start), dim=0)
    lower = torch.nn.functional.normalize(to_body @ (stop - middle), dim=0)
    hinge_axis = torch.tensor(axis)
    default = rotation_between(rest_upper, upper) @ hinge_axis
    plane = torch.linalg.cross(upper, lower)
    # A nearly straight limb has no plane of its own; a limb bent backwards has the wrong one.
    if float(plane.norm()) > BENT and float(plane @ default) > -0.5 * float(plane.norm()):
        default = plane
    turn = _aligned(upper, default) @ _aligned(rest_upper, hinge_axis).T
    bend = torch.acos((upper @ lower).clamp(-1, 1)) * torch.sign(plane @ default + 1e-6)
    rest_bend = _angle_about(rest_upper, rest_lower, hinge_axis)
    return turn, axis_angle_to_matrix(hinge_axis * (bend - rest_bend).clamp(min=0))


def _aligned(along: Tensor, across: Tensor) -> Float[Tensor, "3 3"]:
    """Build a frame whose first axis is ``along`` and whose second lies towards ``across``."""
    x = torch.nn.functional.normalize(along, dim=0)
    y = torch.nn.functional.normalize(across - (across @ x) * x, dim=0)
    return torch.stack([x, y, torch.linalg.cross(x, y)], 1)


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
