"""The photo's person in other poses: their bones, in the picture, hidden where they are hidden."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.animation.coverage import cover
from persona.animation.grounding import ground_motion
from persona.animation.program import driving_motion
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.synthesis.diffusion.skeletons import SkeletonOfPerson
from persona.synthesis.diffusion.staging import stage_motion, stage_photo
from tests.plain_avatar import make_plain_avatar


@pytest.fixture(scope="module")
def person():
    avatar = make_plain_avatar(2_000)
    drawn = avatar.render(avatar.photo_params, avatar.photo_camera, background=torch.ones(3))
    rows, columns = (torch.nonzero(drawn.alpha.amax(k) > 0.5)[:, 0] for k in (1, 0))
    box = tuple(float(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    observation = Observation(
        mask=drawn.alpha.clamp(0, 1),
        mask_source="alpha",
        box=box,
        body=torch.full((33, 2), 100.0),
        body_confidence=torch.ones(33),
        body_world=torch.zeros(33, 3),
        parts=(drawn.alpha > 0.5).long(),
    )
    fit = BodyFit(
        identity=avatar.identity,
        params=avatar.photo_params,
        focal_px=avatar.photo_focal_px,
        image_size=avatar.photo_size,
        keypoint_error_px=1.0,
        body_iou=0.9,
        lean_m=0.0,
        standing=True,
        left_hand_seen=True,
        right_hand_seen=True,
    )
    return avatar, Photo(rgb=drawn.color.clamp(0, 1), name="plain"), observation, fit


@pytest.mark.parametrize(("width", "height"), [(256, 512), (512, 256)])
def test_the_photo_and_its_skeleton_lie_on_each_other(person, width, height):
    avatar, photo, observation, fit = person
    staged = stage_photo(photo, observation, fit, width=width, height=height)
    assert staged.picture.shape == (height, width, 3)
    body_map = SkeletonOfPerson(body=avatar.body, identity=avatar.identity, camera=staged.camera)
    skeleton, maps = body_map(fit.params)
    shown = (staged.picture[::2, ::2].float() < 250).any(-1)
    both, either = (shown & maps.mask).sum(), (shown | maps.mask).sum()
    # The splats of this avatar are wider than its skin.
    assert float(both / either) > 0.65
    for axis in (0, 1):
        middles = [float(seen.any(axis).nonzero().float().mean()) for seen in (shown, maps.mask)]
        assert abs(middles[0] - middles[1]) < 1.5
    assert (skeleton.body_confidence > 0.8).all()


def test_who_turns_away_shows_no_face_and_keeps_their_bones(person):
    avatar, photo, observation, fit = person
    staged = stage_photo(photo, observation, fit, width=144, height=256)
    of = SkeletonOfPerson(body=avatar.body, identity=avatar.identity, camera=staged.camera)
    front, _ = of(fit.params)
    back, _ = of(replace(fit.params, global_orient=torch.tensor([0.0, torch.pi, 0.0])))
    assert back.face_confidence.mean() < 0.2 < 0.8 < front.face_confidence.mean()
    assert back.body_confidence[0] < 0.3
    assert (back.body_confidence[2:8] >= 0.4).all()
    taller = replace(avatar.identity, betas=torch.tensor([2.0] + [0.0] * 9))
    other, _ = replace(of, identity=taller)(fit.params)
    assert np.abs(other.body - front.body).max() > 0.01


def test_the_driving_motion_stays_in_the_picture_and_covers_half_of_what_joints_can(person):
    avatar, photo, observation, fit = person
    motion = driving_motion()
    assert motion.frame_count == 900
    assert cover([motion]).share > 0.45
    staged = stage_photo(photo, observation, fit, width=144, height=256)
    short = driving_motion(200)
    placed = stage_motion(
        ground_motion(short, avatar.body, avatar.identity), avatar.body, fit, staged.camera
    )
    assert not bool(placed.params.left_hand_pose.any())
    of = SkeletonOfPerson(body=avatar.body, identity=avatar.identity, camera=staged.camera)
    for frame in range(0, 200, 40):
        skeleton, _ = of(placed.params.frame(frame))
        assert skeleton.body.min() > 0
        assert skeleton.body.max() < 1


def test_a_motion_of_one_frame_can_be_staged(person):
    avatar, photo, observation, fit = person
    staged = stage_photo(photo, observation, fit, width=144, height=256)
    assert stage_motion(driving_motion(1), avatar.body, fit, staged.camera).frame_count == 1
