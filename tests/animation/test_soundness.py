"""Balance of our own motions, and what is found where a motion is not sound."""

from dataclasses import replace

import pytest
import torch

from persona.animation.balance import distance_to_support, mass_centers
from persona.animation.clips import clip
from persona.animation.clips_lunge import SEAT_DROP
from persona.animation.grounding import contacts, ground_motion
from persona.animation.soundness import examine, mean_person, sole_points
from persona.body.skeleton import JOINT_IDS
from persona.records.body_params import rest_params
from persona.records.motion import Motion

SLOW = ("idle", "squat", "kick", "punch", "reach", "twist", "bend", "wave")
"""What is done on feet that stay, or on one foot, slowly enough to be a balance."""


def beside_feet(motion, body, person):
    points = sole_points(motion, body, person)
    centers = mass_centers(motion, body, person)
    return distance_to_support(centers, points, contacts(motion, points))


@pytest.mark.parametrize("person", ["mean", "one", "two"])
@pytest.mark.parametrize("name", SLOW)
def test_the_weight_is_over_the_feet_that_stand(body, people, name, person):
    motion = ground_motion(clip(name), body, people[person])
    assert float(beside_feet(motion, body, people[person]).max()) < 0.02


def test_a_kick_is_on_one_foot(body, people):
    motion = ground_motion(clip("kick"), body, people["mean"])
    points = sole_points(motion, body, people["mean"])
    up = points[..., 1].amin(-1) > 0.3
    assert bool(up[:, 0].any())
    assert bool(up[:, 1].any())
    assert not bool((up[:, 0] & up[:, 1]).any())


def test_who_sits_down_falls_only_the_last_five_centimetres(body, people):
    motion = ground_motion(clip("sit"), body, people["mean"])
    height = motion.params.transl[:, 1]
    above = height - (height.max() - SEAT_DROP) > 0.05
    beside = beside_feet(motion, body, people["mean"])
    assert float(beside[above].max()) < 0.04
    assert float(beside.max()) > 0.1  # it takes a chair


def test_steps_are_small_falls(body, people):
    for name, most in (("walk", 0.10), ("lunge", 0.08), ("turn", 0.09)):
        motion = ground_motion(clip(name), body, people["mean"])
        assert float(beside_feet(motion, body, people["mean"]).max()) < most


def test_the_mean_body_stands_where_its_weight_is(body):
    person = mean_person(body)
    motion = Motion(params=rest_params(1), fps=30.0)
    center = mass_centers(motion, body, person)[0]
    joints = body.forward(rest_params()).joints
    assert abs(float(center[0])) < 0.005
    # A little above the hips.
    assert 0.05 < float(center[1] - joints[JOINT_IDS["left_hip"], 1]) < 0.25


def test_distance_is_to_the_hull_of_what_stands():
    points = torch.zeros(3, 2, 3, 3, dtype=torch.float64)
    points[:, 0, :, 0], points[:, 1, :, 0] = 0.1, -0.1
    points[..., 1:, 2] = 0.2
    standing = torch.ones(3, 2, 3, dtype=torch.bool)
    standing[1, 1] = False
    standing[2] = False
    centers = torch.tensor([[0.0, 1.0, 0.1], [-0.1, 1.0, 0.1], [0.0, 1.0, 0.0]])
    beside = distance_to_support(centers, points, standing)
    assert float(beside[0]) == 0.0
    assert float(beside[1]) == pytest.approx(0.2 - 0.04, abs=0.001)
    assert beside[2].isnan()


def test_faults_are_found(body):
    person = mean_person(body)
    sound = ground_motion(clip("idle"), body, person)
    found = examine(sound, body, person)
    assert abs(found.lowest) < 1e-3
    assert found.slide < 1e-3
    assert found.beyond == 0.0
    assert found.off_balance == 0.0
    assert found.seam < 1.0

    params = sound.params
    drift = torch.linspace(0, 3.0, sound.frame_count)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    pose = params.full_pose.clone()
    pose[:, JOINT_IDS["left_knee"], 0] = -0.5
    pose[100, JOINT_IDS["right_elbow"], 1] += 1.0
    broken = replace(
        params.with_full_pose(pose), transl=params.transl + drift - torch.tensor([0.0, 0.02, 0.0])
    )
    found = examine(replace(sound, params=broken, loops=False), body, person)
    assert found.lowest < -0.015
    assert found.slide > 0.01
    assert (found.beyond_where, found.beyond > 20) == ("knee flexion", True)
    assert found.acceleration_where == "right_elbow"
    assert found.acceleration > 30e3
