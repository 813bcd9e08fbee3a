"""Fingers from hand landmarks: every bone is turned to where its two landmarks point."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.body import SmplxBody
from persona.body.landmarks import HAND_FINGERS
from persona.body.skeleton import JOINT_IDS, LEFT_HAND_JOINTS, RIGHT_HAND_JOINTS, joint_limits
from persona.fitting.terms_priors import rest_pose
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_between
from persona.records.body_params import rest_params
from persona.tracking.series import Habit, smooth_series
from persona.tracking.sightings import Sightings
from persona.tracking.smoothness import Smoothness

PALM: Final = (0, 1, 5, 9, 13, 17)
"""Hand landmarks that do not move against each other: wrist, root of the thumb, knuckles."""
NOISE: Final = 0.35
"""Error of a finger's angle in one frame [rad]: the hand model guesses depth."""
SPREAD: Final = 0.5
"""How far fingers are from rest [rad]."""
ACCELERATION: Final = 60.0
"""Ordinary acceleration of fingers [rad/s^2]."""


@dataclass(frozen=True)
class HandRest:
    """One hand in T-pose."""

    points: Float[Tensor, "21 3"]
    """MediaPipe's landmarks [m]."""
    joints: range
    """The 15 joints of the hand."""
    side: str


def hand_rest(body: SmplxBody, side: str) -> HandRest:
    """Measure a hand of the mean body."""
    rest = body.forward(rest_params(), with_pose_correctives=False)
    points = body.landmarks.hand21(side, rest.vertices, rest.joints)
    return HandRest(
        points.double(), LEFT_HAND_JOINTS if side == "left" else RIGHT_HAND_JOINTS, side
    )


def fit_fingers(
    body: SmplxBody, sightings: Sightings, side: str, smoothness: Smoothness
) -> Float[Tensor, "t 15 3"]:
    """Give the 15 finger rotations of a hand over time [rad], relaxed where it was not seen."""
    rest = hand_rest(body, side)
    seen: Bool[Tensor, " t"] = getattr(sightings, f"{side}_seen") & sightings.seen
    points = getattr(sightings, f"{side}_hand").double()
    relaxed = rest_pose()[rest.joints.start : rest.joints.stop].double()
    angles = relaxed.expand(len(points), -1, -1).clone()
    if bool(seen.any()):
        angles[seen] = finger_angles(rest, points[seen] * points.new_tensor([1.0, -1.0, -1.0]))
    habit = Habit(relaxed.flatten(), SPREAD, NOISE, ACCELERATION)
    return smooth_series(angles.flatten(1), seen.double(), habit, smoothness).unflatten(1, (15, 3))


def finger_angles(rest: HandRest, points: Float[Tensor, "t 21 3"]) -> Float[Tensor, "t 15 3"]:
    """Turn each bone of each finger from rest to where it points, inside the joint's limits.

    Args:
        rest: The hand in T-pose.
        points: Landmarks in any scale, x right, y up, z to the viewer.
    """
    palm = kabsch(rest.points[list(PALM)], points[:, PALM])
    flat = points @ palm
    low, high = (side.double() for side in joint_limits())
    angles = points.new_zeros(len(points), 15, 3)
    for finger, name in enumerate(HAND_FINGERS):
        above = torch.eye(3, dtype=torch.float64).expand(len(points), 3, 3)
        for k in (1, 2, 3):
            start, end = 4 * finger + k, 4 * finger + k + 1
            joint = JOINT_IDS[f"{rest.side}_{name}{k}"]
            way = (flat[:, end] - flat[:, start])[:, None] @ above
            bone = (rest.points[end] - rest.points[start]).expand_as(way[:, 0])
            turn = matrix_to_axis_angle(rotation_between(bone, way[:, 0]))
            turn = turn.clamp(low[joint], high[joint])
            angles[:, joint - rest.joints.start] = turn
            above = above @ axis_angle_to_matrix(turn)
    return angles


def kabsch(rest: Float[Tensor, "n 3"], points: Float[Tensor, "t n 3"]) -> Float[Tensor, "t 3 3"]:
    """Find the rotations that take rest points to where they are seen (Kabsch 1976)."""
    here = rest - rest.mean(0)
    there = points - points.mean(1, keepdim=True)
    left, _, right = torch.linalg.svd(there.mT @ here)
    sign = torch.det(left @ right)
    flip = torch.diag_embed(torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1))
    return left @ flip @ right
