"""A drawn person is found again; gates refuse what is not explained."""

import math
from dataclasses import replace

import pytest
import torch

from persona.core.errors import FitError
from persona.fitting.measure import FitNumbers, check_fit
from persona.fitting.report import draw_fit
from persona.fitting.stage import FitBody
from persona.geometry.rotations import axis_angle_to_matrix
from persona.images.files import read_image
from persona.perception.stage import PerceivePhoto
from persona.records.photo import Photo

from .conftest import FOCAL, observe, standing_pose, turned


def joint_gap(body, person, fit):
    """Mean distance of the fitted joints, both bodies about their pelvis [m]."""
    posed = body.forward(fit.params, joint_offsets=fit.identity.joint_offsets)
    mine, theirs = posed.joints[:22], person.posed.joints[:22]
    return float(((mine - mine[0]) - (theirs - theirs[0])).norm(dim=-1).mean())


@pytest.fixture(scope="module")
def standing_fit(body, standing):
    return FitBody(body=body)(standing.observation, focal_px=FOCAL)


def test_a_standing_person_is_found_again(body, standing, standing_fit):
    fit = standing_fit
    assert fit.standing
    assert fit.keypoint_error_px < 3.0
    assert fit.body_iou > 0.9
    assert abs(fit.lean_m) < 0.05
    assert joint_gap(body, standing, fit) < 0.03
    assert fit.image_size == (480, 640)
    assert fit.focal_px == pytest.approx(FOCAL)


def test_a_squatting_person_is_found_again(body, squatting):
    fit = FitBody(body=body)(squatting.observation, focal_px=FOCAL)
    assert not fit.standing
    assert fit.keypoint_error_px < 5.0
    assert fit.body_iou > 0.85
    assert joint_gap(body, squatting, fit) < 0.09


def test_long_legs_become_bone_lengths(body):
    scales = torch.tensor([0.12, 0.12, -0.08, 0.0, 0.0, 0.0, 0.0])
    person = observe(body, standing_pose(), bone_scales=scales)
    fit = FitBody(body=body)(person.observation, focal_px=FOCAL)
    posed = body.forward(fit.params, joint_offsets=fit.identity.joint_offsets)

    def share(joints):
        leg = (joints[1] - joints[4]).norm() + (joints[4] - joints[7]).norm()
        return float(leg / (joints[0] - joints[12]).norm())

    plain = share(body.joints_template)
    asked, found = share(person.posed.joints), share(posed.joints)
    assert asked / plain > 1.15
    assert found / plain > 1 + 0.6 * (asked / plain - 1)


@pytest.mark.parametrize("lean_deg", [-12.0, 14.0])
def test_world_landmarks_that_lean_do_not_make_a_standing_person_lean(body, standing, lean_deg):
    turn = axis_angle_to_matrix(torch.tensor([math.radians(lean_deg), 0.0, 0.0]))
    observation = replace(standing.observation, body_world=standing.observation.body_world @ turn.T)
    fit = FitBody(body=body)(observation, focal_px=FOCAL)
    assert abs(fit.lean_m) < 0.05
    assert fit.keypoint_error_px < 4.0


def test_noise_of_a_detector_is_survived(body):
    person = observe(body, standing_pose(), noise_px=3.0)
    fit = FitBody(body=body)(person.observation, focal_px=FOCAL)
    assert fit.keypoint_error_px < 5.0
    assert joint_gap(body, person, fit) < 0.05


def test_the_same_observation_gives_the_same_fit(body, standing, standing_fit):
    again = FitBody(body=body)(standing.observation, focal_px=FOCAL)
    assert torch.equal(again.params.full_pose, standing_fit.params.full_pose)
    assert torch.equal(again.identity.betas, standing_fit.identity.betas)


def test_unseen_hands_are_relaxed(standing_fit):
    fit = standing_fit
    assert not fit.left_hand_seen
    assert not fit.right_hand_seen
    curl = fit.params.left_hand_pose[:12, 2]
    assert (curl < -0.1).all()
    assert (curl > -0.8).all()


def test_a_seen_hand_is_fitted(body):
    params = turned(standing_pose(), left_index1=(0, 0, -70), left_index2=(0, 0, -80))
    person = observe(body, params)
    pixels, depth = person.camera.project(
        body.landmarks.hand21("left", person.posed.vertices, person.posed.joints)
    )
    relative = (depth - depth[0])[:, None] * FOCAL / depth.mean()
    observation = replace(person.observation, left_hand=torch.cat([pixels, relative], 1))
    fit = FitBody(body=body)(observation, focal_px=FOCAL)
    assert fit.left_hand_seen
    bend = fit.params.left_hand_pose[[0, 1], 2]
    straight = fit.params.left_hand_pose[[3, 4], 2]
    assert bend.sum() < straight.sum() - 1.0


def test_contradictory_landmarks_are_refused_with_a_cure(body, standing):
    scattered = standing.observation.body.clone()
    shuffled = torch.randperm(33, generator=torch.Generator().manual_seed(1))
    observation = replace(standing.observation, body=scattered[shuffled])
    with pytest.raises(FitError, match="px") as caught:
        FitBody(body=body)(observation, focal_px=FOCAL)
    assert "--allow-partial" in caught.value.fix


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        # With --allow-partial the same sentences become warnings.
        (FitNumbers(keypoint_error_px=5.1, body_iou=0.9, lean_m=0.0), "miss"),
        (FitNumbers(keypoint_error_px=3.0, body_iou=0.7, lean_m=0.0), "covers only 70%"),
        (FitNumbers(keypoint_error_px=float("nan"), body_iou=0.9, lean_m=0.0), "miss"),
    ],
)
def test_gates(numbers, word):
    with pytest.raises(FitError, match=word):
        check_fit(numbers, allow_partial=False)
    assert any(word in warning for warning in check_fit(numbers, allow_partial=True))


def test_good_numbers_pass():
    good = FitNumbers(keypoint_error_px=3.0, body_iou=0.85, lean_m=0.01)
    assert check_fit(good, allow_partial=False) == ()


def test_a_body_inside_a_wide_skirt_passes_and_one_that_sticks_out_does_not():
    skirt = FitNumbers(keypoint_error_px=2.2, body_iou=0.6, lean_m=0.01, body_inside=0.98)
    assert check_fit(skirt, allow_partial=False) == ()
    for fault in ({"body_inside": 0.9}, {"keypoint_error_px": 4.5}, {"body_iou": 0.4}):
        with pytest.raises(FitError, match="covers only"):
            check_fit(replace(skirt, **fault), allow_partial=False)


def test_a_face_is_bent_under_its_mesh(body, standing):
    spots = body.landmarks.mediapipe_face
    pixels, depth = standing.camera.project(spots.on(standing.posed.vertices))
    middle = pixels.mean(0)
    wide = (pixels - middle) * torch.tensor([1.08, 0.97]) + middle
    relative = (depth - depth.mean())[:, None] * FOCAL / depth.mean()
    observation = replace(standing.observation, face=torch.cat([wide, relative], 1))
    fit = FitBody(body=body)(observation, focal_px=FOCAL)
    posed = body.forward(
        fit.params,
        joint_offsets=fit.identity.joint_offsets,
        vertex_offsets=fit.identity.vertex_offsets,
    )
    found, _ = standing.camera.project(spots.on(posed.vertices))
    assert (found - wide)[:468].norm(dim=-1).mean() < 0.6
    offsets = fit.identity.vertex_offsets
    assert 0.001 < offsets.norm(dim=-1).max() <= 0.03
    still = ~body.regions.mask(
        "head", "face", "mouth_inner", "left_eye", "right_eye", "tongue", "teeth"
    )
    assert offsets[still].abs().max() < 1e-6


def test_folded_hands_touch(body):
    params = turned(
        standing_pose(),
        left_shoulder=(0, -25, -55),
        right_shoulder=(0, 25, 55),
        left_elbow=(-30, -110, 0),
        right_elbow=(-30, 110, 0),
    )
    person = observe(body, params)
    together = person.observation.body.clone()
    middle = together[[15, 16]].mean(0)
    for left, right in ((15, 16), (17, 18), (19, 20), (21, 22)):
        for k in (left, right):
            together[k] = middle + 0.2 * (together[k] - middle)
    fit = FitBody(body=body, allow_partial=True)(
        replace(person.observation, body=together), focal_px=FOCAL
    )
    joints = body.forward(fit.params, joint_offsets=fit.identity.joint_offsets).joints
    assert abs(float(joints[20, 2] - joints[21, 2])) < 0.06


@pytest.fixture(scope="module")
def real_photo(real_data):
    path = real_data / "images" / "f27_patterned_jumper.png"
    picture = read_image(path)
    return Photo(rgb=picture.rgb, alpha=picture.alpha, name="real")


@pytest.mark.slow
def test_a_real_photo_is_explained(body, real_photo):
    observation = PerceivePhoto()(real_photo)
    fit = FitBody(body=body)(observation)
    assert fit.standing
    assert fit.keypoint_error_px <= 5.0
    assert fit.body_iou >= 0.75
    assert abs(fit.lean_m) <= 0.05
    sheet = draw_fit(real_photo, observation, body, fit)
    assert sheet.shape[0] > 512
    assert sheet.shape[1] > 4 * 300
