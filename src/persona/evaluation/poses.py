"""The poses every avatar is looked at and measured in, beside that of its photo."""

import math
from dataclasses import replace
from typing import Final

import torch

from persona.body.skeleton import JOINT_IDS
from persona.records.body_params import BodyParams, rest_params

Turns = dict[str, tuple[float, float, float]]
"""Joint -> axis-angle [deg]."""

_HANDS: Final[Turns] = {
    f"{side}_{finger}{k}": (0.0, 0.0, -sign * bend * (1.0 if k < 3 else 0.7))
    for side, sign in (("left", 1.0), ("right", -1.0))
    for finger, bend in (("index", 10.0), ("middle", 13.0), ("ring", 16.0), ("pinky", 18.0))
    for k in (1, 2, 3)
}
"""Fingers as they hang by themselves."""

_STAND: Final[Turns] = {
    "left_shoulder": (4.0, 0.0, -62.0),
    "right_shoulder": (4.0, 0.0, 62.0),
    "left_elbow": (0.0, -12.0, 0.0),
    "right_elbow": (0.0, 12.0, 0.0),
    **_HANDS,
}

_WALK: Final[Turns] = {
    "left_hip": (-32.0, 0.0, 0.0),
    "right_hip": (20.0, 0.0, 0.0),
    "left_knee": (12.0, 0.0, 0.0),
    "right_knee": (42.0, 0.0, 0.0),
    "left_shoulder": (18.0, 20.0, -68.0),
    "right_shoulder": (-14.0, 20.0, 68.0),
    "left_elbow": (0.0, -18.0, 0.0),
    "right_elbow": (0.0, 32.0, 0.0),
    "spine2": (0.0, 8.0, 0.0),
    "neck": (4.0, -6.0, 0.0),
    **_HANDS,
}

_SQUAT: Final[Turns] = {
    "left_hip": (-95.0, 15.0, 10.0),
    "right_hip": (-95.0, -15.0, -10.0),
    "left_knee": (110.0, 0.0, 0.0),
    "right_knee": (110.0, 0.0, 0.0),
    "spine1": (20.0, 0.0, 0.0),
    "spine2": (10.0, 0.0, 0.0),
    "left_ankle": (-20.0, 0.0, 0.0),
    "right_ankle": (-20.0, 0.0, 0.0),
    "left_shoulder": (0.0, -75.0, -12.0),
    "right_shoulder": (0.0, 75.0, 12.0),
    **_HANDS,
}

_ARMS_UP: Final[Turns] = {
    "left_collar": (0.0, 0.0, 20.0),
    "right_collar": (0.0, 0.0, -20.0),
    "left_shoulder": (0.0, 0.0, 50.0),
    "right_shoulder": (0.0, 0.0, -50.0),
    **_HANDS,
}

TEST_POSES: Final[dict[str, Turns]] = {
    "T-pose": {},
    "walk": _WALK,
    "squat": _SQUAT,
    "arms up": _ARMS_UP,
}
"""The four poses of the contact sheet, of the report and of the numbers."""

STANDING: Final[Turns] = _STAND
"""At ease, arms a little away: for close-ups and turntables."""


def posed(turns: Turns) -> BodyParams:
    """Give the parameters of a pose at the origin, facing +z; betas are the mean's."""
    params = rest_params()
    pose = torch.zeros(55, 3)
    for name, angles in turns.items():
        pose[JOINT_IDS[name]] = torch.tensor(angles) * (math.pi / 180)
    return params.with_full_pose(pose)


def all_test_poses() -> dict[str, BodyParams]:
    """Give the four test poses by name."""
    return {name: posed(turns) for name, turns in TEST_POSES.items()}


def standing() -> BodyParams:
    """Give the pose at ease."""
    return posed(STANDING)


def with_expression_of(params: BodyParams, source: BodyParams) -> BodyParams:
    """Keep another's face: expression, jaw and eyes."""
    return replace(
        params,
        expression=source.expression,
        jaw_pose=source.jaw_pose,
        leye_pose=source.leye_pose,
        reye_pose=source.reye_pose,
    )
