"""The test poses stand where their names say."""

import pytest

from persona.body import load_body
from persona.body.skeleton import JOINT_IDS
from persona.evaluation.poses import all_test_poses, standing


@pytest.fixture(scope="module")
def joints():
    poses = {**all_test_poses(), "stand": standing()}
    return {name: load_body().forward(params).joints for name, params in poses.items()}


def test_arms_go_where_they_should(joints):
    left, shoulder = JOINT_IDS["left_wrist"], JOINT_IDS["left_shoulder"]
    assert joints["arms up"][left, 1] > joints["arms up"][JOINT_IDS["head"], 1]
    assert abs(float(joints["T-pose"][left, 1] - joints["T-pose"][shoulder, 1])) < 0.05
    assert joints["stand"][left, 1] < joints["stand"][shoulder, 1] - 0.3


def test_knees_bend_in_the_squat_and_feet_part_in_the_walk(joints):
    hip, knee = JOINT_IDS["left_hip"], JOINT_IDS["left_knee"]
    ankles = JOINT_IDS["left_ankle"], JOINT_IDS["right_ankle"]
    assert float(joints["squat"][hip, 1] - joints["squat"][knee, 1]) < 0.15
    assert float(joints["walk"][ankles[0], 2] - joints["walk"][ankles[1], 2]) > 0.4
