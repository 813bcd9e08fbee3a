"""Placing a body of another size where the dataset's stands."""

from dataclasses import replace

import pytest
import torch

from persona.body import load_body
from persona.core.errors import InputError
from persona.evaluation.methods import Placement
from persona.evaluation.subjects import Subject, SubjectFrame, over_plain
from persona.geometry.cameras import photo_camera
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params
from persona.records.photo import Photo


def _identity(body, scale=1.0):
    return Identity(
        betas=torch.zeros(10),
        joint_offsets=(scale - 1) * (body.joints_template - body.joints_template[0]),
        vertex_offsets=torch.zeros(body.vertex_count, 3),
    )


def _frame(body, shift=0.0, size=1.0):
    pose = torch.zeros(55, 3)
    pose[16, 2], pose[1, 0] = -0.9, -0.4
    params = replace(rest_params().with_full_pose(pose), transl=torch.tensor([shift, 0.1, -3.0]))
    joints = body.forward(params).joints
    middle = params.transl
    camera = photo_camera(6, 8, 9.0)
    return SubjectFrame(
        index=0,
        name="0",
        picture=torch.rand(8, 6, 3),
        mask=torch.zeros(8, 6),
        camera=camera,
        params=params,
        joints=size * (joints - middle) + middle,
    )


def _subject(frame):
    return Subject(
        name="who",
        dataset="truth",
        photo=Photo(rgb=torch.zeros(8, 6, 3)),
        frame_count=1,
        read=lambda start: iter([frame][start:]),
        still=frame,
    )


def _placed(frame, body, identity, fit=None):
    fit = frame if fit is None else fit
    return Placement.of(
        _subject(frame), body, identity, photo_params=fit.params, photo_camera=fit.camera
    )


def test_a_body_of_the_same_size_stays_where_it_is():
    body = load_body()
    frame = _frame(body)
    placement = _placed(frame, body, _identity(body))
    assert placement.scale == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(placement.params(frame).transl, frame.params.transl)


def test_a_person_of_double_size_is_seen_in_the_same_pixels():
    body = load_body()
    fit = _frame(body)
    # The photo shows the same, of somebody twice as large and twice as far.
    large = replace(fit.params, transl=2 * fit.params.transl)
    frame = replace(fit, params=large, joints=2 * fit.joints)
    placement = _placed(frame, body, _identity(body), fit)
    assert placement.scale == pytest.approx(0.5, abs=1e-5)
    seen = placement.camera(frame)
    joints = body.forward(placement.params(frame)).joints[:22]
    ours, depth = seen.project(joints)
    theirs, deep = frame.camera.project(frame.joints[:22])
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(depth * 2, deep, atol=1e-4, rtol=1e-4)


def test_other_bones_are_placed_by_the_mean_of_the_joints_and_a_fit_may_move_on():
    body = load_body()
    frame = _frame(body, shift=0.3)
    placement = _placed(frame, body, _identity(body, scale=1.1))
    there = placement.params(frame)
    wanted = frame.joints[:22] * placement.scale
    torch.testing.assert_close(
        placement.joints(there).mean(0), wanted.mean(0), atol=1e-5, rtol=1e-5
    )
    moved = replace(frame.params, transl=frame.params.transl + torch.tensor([0.0, 0.5, 0.0]))
    way = placement.params(frame, moved).transl - there.transl
    torch.testing.assert_close(way, torch.tensor([0.0, 0.5, 0.0]) * placement.scale)


def test_without_joints_the_pose_holds_as_it_is():
    body = load_body()
    frame = replace(_frame(body), joints=None)
    placement = _placed(frame, body, _identity(body, scale=1.3))
    assert placement.scale == 1
    assert placement.params(frame) is frame.params
    assert placement.camera(frame) is frame.camera


def test_a_frame_without_a_pose_cannot_be_placed():
    body = load_body()
    frame = replace(_frame(body), params=None)
    with pytest.raises(InputError, match="has no pose"):
        Placement(body=body, identity=_identity(body)).params(frame)


def test_a_subject_needs_frames_and_gives_a_part_of_them():
    frame = _frame(load_body())
    subject = _subject(frame)
    with pytest.raises(InputError, match="0 frames"):
        replace(subject, frame_count=0)
    many = replace(subject, frame_count=3, read=lambda start: iter([frame] * (3 - start)))
    assert len(list(many.frames(1))) == 2
    assert len(list(many.frames(1, 2))) == 1
    assert list(many.frames(3)) == []


def test_a_soft_mask_mixes_the_persons_colour_with_the_plain():
    picture = torch.full((1, 1, 3), 0.2)
    mixed = over_plain(picture, torch.tensor([[0.5]]), 1.0)
    torch.testing.assert_close(mixed, torch.full((1, 1, 3), 0.6))
