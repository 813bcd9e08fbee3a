"""Methods draw where they are told: in the photo's own pose they stand on the photo."""

from dataclasses import replace

import pytest
import torch

from persona.evaluation.avatar_drawer import AvatarDrawer
from persona.evaluation.methods import Posable
from persona.evaluation.photo_copy import CopyDrawer
from persona.evaluation.rigid import RigidDrawer
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.images.masks import overlap
from persona.records.photo import Photo
from persona.rendering import render


@pytest.fixture(scope="module")
def scene(plain_avatar):
    """The avatar's own picture is the photo, and its own pose and joints are the truth."""
    avatar = plain_avatar
    camera = avatar.photo_camera
    params = replace(avatar.photo_params, betas=avatar.identity.betas)
    with torch.no_grad():
        drawn = avatar.render(avatar.photo_params, camera)
        joints = avatar.body.forward(params, joint_offsets=avatar.identity.joint_offsets).joints
    mask = drawn.alpha.clamp(0, 1)
    picture = (drawn.color + 1 - mask[..., None]).clamp(0, 1)
    frame = SubjectFrame(
        index=0,
        name="photo",
        picture=picture,
        mask=mask,
        camera=camera,
        params=avatar.photo_params,
        joints=joints,
    )
    subject = Subject(
        name="ada",
        dataset="truth",
        photo=Photo(rgb=picture),
        frame_count=1,
        read=lambda start: iter([frame][start:]),
        still=frame,
    )
    return avatar, subject, frame


def _drawers(scene):
    avatar, subject, frame = scene
    return {
        "ours": AvatarDrawer.of(avatar, subject),
        "stiff": AvatarDrawer.of(avatar, subject, cloth="stiff"),
        "rigid": RigidDrawer.of(avatar, subject, frame.mask),
        "copy": CopyDrawer.of(avatar, subject, frame.mask),
    }


@pytest.mark.parametrize(("name", "least"), [("ours", 0.97), ("rigid", 0.7), ("copy", 0.97)])
def test_in_the_photos_pose_everybody_stands_on_the_photo(scene, name, least):
    frame = scene[2]
    drawn = _drawers(scene)[name].draw(frame)
    assert overlap(drawn.alpha, frame.mask) > least
    both = (drawn.alpha > 0.99) & (frame.mask > 0.99)
    assert float((drawn.color - frame.picture)[both].abs().mean()) < 0.06


def test_a_person_of_double_size_is_drawn_in_the_same_pixels_twice_as_deep(scene):
    avatar, subject, frame = scene
    camera = frame.camera
    T = camera.T_camera_world.clone()
    T[:3, 3] *= 2
    large = replace(
        frame,
        joints=2 * frame.joints,
        camera=replace(camera, T_camera_world=T),
        params=frame.params,
    )
    drawer = AvatarDrawer.of(avatar, replace(subject, still=large))
    plain = _drawers(scene)["ours"].draw(frame, maps=True)
    drawn = drawer.draw(large, maps=True)
    torch.testing.assert_close(drawn.alpha, plain.alpha, atol=2e-2, rtol=0)
    solid = plain.alpha > 0.99
    torch.testing.assert_close(drawn.depth[solid], 2 * plain.depth[solid], atol=1e-2, rtol=1e-2)


def test_a_cloud_to_be_fitted_lies_where_it_is_drawn_and_has_a_gradient(scene):
    frame = scene[2]
    drawer = _drawers(scene)["ours"]
    assert isinstance(drawer, Posable)
    turn = frame.params.global_orient.clone().requires_grad_()
    cloud = drawer.gaussians(frame, replace(frame.params, global_orient=turn))
    picture = render(cloud, frame.camera, maps=False)
    assert overlap(picture.alpha.detach(), frame.mask) > 0.97
    picture.alpha.sum().backward()
    assert float(turn.grad.abs().sum()) > 0


def test_a_copy_has_no_surface_and_a_rigid_body_has(scene):
    drawers, frame = _drawers(scene), scene[2]
    assert drawers["copy"].draw(frame, maps=True).depth is None
    drawn = drawers["rigid"].draw(frame, maps=True)
    assert float(drawn.depth[drawn.alpha > 0].min()) > 0
    norms = drawn.normal[drawn.alpha > 0].norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms), atol=1e-4, rtol=0)
