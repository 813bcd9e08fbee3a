"""Fingers, faces and series: known answers come back, what is unseen rests."""

from dataclasses import replace

import pytest
import torch

from persona.body.skeleton import JOINT_IDS
from persona.fitting.terms_priors import rest_pose
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import rest_params
from persona.tracking.faces import FaceReader, fit_face_motion
from persona.tracking.hands import finger_angles, fit_fingers, hand_rest
from persona.tracking.series import Habit, smooth_series
from persona.tracking.smoothness import Smoothness


def even(count, fps=30.0):
    times = torch.arange(count).double() / fps
    return Smoothness.of(times, torch.zeros(count, dtype=torch.int64))


@pytest.mark.parametrize("side", ["left", "right"])
def test_bent_fingers_come_back(body, side):
    sign = 1.0 if side == "left" else -1.0
    pose = torch.zeros(55, 3)
    for finger, bend in (("index", 0.7), ("middle", 0.5), ("ring", 0.9), ("pinky", 0.3)):
        for k in (1, 2, 3):
            pose[JOINT_IDS[f"{side}_{finger}{k}"], 2] = -sign * bend
    pose[JOINT_IDS[f"{side}_wrist"]] = torch.tensor([0.4, 0.3, 0.2])
    posed = body.forward(rest_params().with_full_pose(pose), with_pose_correctives=False)
    points = body.landmarks.hand21(side, posed.vertices, posed.joints).double()
    rest = hand_rest(body, side)
    found = finger_angles(rest, 900 * points[None])[0]
    span = slice(rest.joints.start, rest.joints.stop)
    bent = [k for k in range(15) if bool(pose[span][k].any())]
    # Bones are turned the shortest way, which twists them a little.
    assert float((found[bent] - pose[span][bent].double()).abs().max()) < 0.15


def test_hands_that_are_not_seen_are_relaxed(body, squat):
    found = fit_fingers(body, squat.sightings, "left", even(squat.sightings.count))
    relaxed = rest_pose()[25:40].double().expand_as(found)
    torch.testing.assert_close(found, relaxed, atol=1e-6, rtol=0)


def face_pixels(body, params):
    marks = body.landmarks.mediapipe_face
    posed = body.forward(params, with_pose_correctives=False)
    points = marks.on(posed.vertices)
    full = torch.zeros(478, 3)
    full[marks.ids] = points * torch.tensor([1.0, -1.0, -1.0]) * 2000 + 300
    return full


def test_an_open_mouth_is_the_jaw_wherever_the_head_looks(body, squat):
    film = squat.sightings
    turn = torch.tensor([0.1, 0.5, -0.1])
    closed = replace(rest_params(), global_orient=turn)
    opened = replace(closed, jaw_pose=torch.tensor([0.25, 0.0, 0.0]))
    faces = face_pixels(body, closed).repeat(film.count, 1, 1)
    faces[30:45] = face_pixels(body, opened)
    seen = torch.ones(film.count, dtype=torch.bool)
    found = fit_face_motion(body, replace(film, face=faces, face_seen=seen), even(film.count))
    assert 0.15 < float(found.jaw[37, 0]) < 0.35
    assert float(found.jaw[:20, 0].abs().max()) < 0.03
    assert float(found.expression.abs().max()) < 0.5


def test_a_smile_has_its_coefficient(body):
    reader = FaceReader(body)
    smile = torch.zeros(10)
    smile[1] = 1.2
    neutral = reader.in_head(face_pixels(body, rest_params())[None])
    told = reader.in_head(face_pixels(body, replace(rest_params(), expression=smile))[None])
    units = reader.units(told - neutral)[0]
    # What is ordinary is preferred: strengths come out smaller.
    assert 0.6 < float(units[1]) < 1.3
    assert int(units[:-1].abs().argmax()) == 1


def test_series_follow_what_is_trusted_and_rest_otherwise():
    count = 120
    wave = torch.sin(torch.arange(count).double() / 12)[:, None]
    noisy = wave + 0.2 * torch.randn(count, 1, generator=torch.Generator().manual_seed(0)).double()
    habit = Habit(torch.zeros(1), 1.0, 0.2, 20.0)
    smooth = smooth_series(noisy, torch.ones(count), habit, even(count))
    assert float((smooth - wave).abs().mean()) < 0.5 * float((noisy - wave).abs().mean())
    trust = torch.ones(count)
    trust[60:] = 0
    gone = smooth_series(noisy + 1, trust, habit, even(count))
    assert float(gone[-1].abs()) < 0.5


def test_series_do_not_cross_cuts():
    values = torch.cat([torch.zeros(20, 1), torch.ones(20, 1)]).double()
    shots = torch.tensor([0] * 20 + [1] * 20)
    links = Smoothness.of(torch.arange(40).double() / 30, shots)
    found = smooth_series(values, torch.ones(40), Habit(torch.zeros(1), 9.0, 0.1, 5.0), links)
    torch.testing.assert_close(found, values, atol=0.02, rtol=0)


def test_rotations_of_a_palm_are_rotations(body):
    rest = hand_rest(body, "left")
    turn = axis_angle_to_matrix(torch.tensor([[0.3, -1.0, 0.4]]).double())
    found = finger_angles(rest, (rest.points @ turn[0].T)[None] * 3)
    assert float(found.abs().max()) < 1e-6
