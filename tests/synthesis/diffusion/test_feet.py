"""Ankles follow the feet that were seen, and nothing else moves."""

from dataclasses import replace

import pytest
import torch

from persona.animation.program import driving_motion
from persona.body import load_body
from persona.fitting.points import pose_landmarks
from persona.geometry.cameras import photo_camera
from persona.records.body_params import BodyParams
from persona.synthesis.diffusion.feet import FOOT_MARKS, KNEES, FeetSight, refit_ankles


@pytest.fixture(scope="module")
def body():
    return load_body()


def camera_of():
    return photo_camera(576, 1024, 1400.0)


def away(motion):
    """Put the person where the camera sees them."""
    params = motion.params
    return replace(
        motion, params=replace(params, transl=params.transl + torch.tensor([0, 0, -4.0]))
    )


def with_ankles(params: BodyParams, turns):
    pose = params.body_pose.clone()
    pose[:, [6, 7]] += turns
    return replace(params, body_pose=pose)


def sights(body, motion, true, camera, frames, noise=0.0):
    generator = torch.Generator().manual_seed(1)
    found = []
    for frame in frames:
        asked = body.forward(motion.params.frame(frame))
        shown = pose_landmarks(body, body.forward(true.frame(frame)))
        marks = torch.tensor(FOOT_MARKS)
        pixels, _ = camera.project(shown[marks])
        pixels = pixels + noise * torch.randn(pixels.shape, generator=generator)
        found.append(
            FeetSight(
                frame=frame,
                asked=pose_landmarks(body, asked)[marks],
                shins=asked.T_posed_rest[list(KNEES), :3, :3],
                seen=pixels,
            )
        )
    return found


def error_px(sightings):
    asked = torch.stack([s.asked for s in sightings])
    pixels, _ = camera_of().project(asked)
    seen = torch.stack([s.seen for s in sightings])
    return float(
        ((pixels - pixels[:, :, :1]) - (seen - seen[:, :, :1])).norm(dim=-1)[..., 1:].mean()
    )


def test_turned_feet_are_found_again(body):
    motion = away(driving_motion(21))
    true = with_ankles(motion.params, torch.tensor([[0.25, 0.15, 0.1], [-0.2, 0.1, 0.0]]))
    frames = range(0, 21, 4)
    seen = sights(body, motion, true, camera_of(), frames)
    fixed = refit_ankles(motion, seen, camera_of())
    left = error_px(sights(body, fixed, true, camera_of(), frames))
    assert error_px(seen) > 4
    assert left < 0.25 * error_px(seen)
    before, after = motion.params.body_pose, fixed.params.body_pose
    rest = [k for k in range(21) if k not in (6, 7)]
    assert torch.equal(before[:, rest], after[:, rest])
    assert torch.equal(motion.params.transl, fixed.params.transl)


def test_noise_does_not_shake_feet(body):
    motion = away(driving_motion(41))
    seen = sights(body, motion, motion.params, camera_of(), range(0, 41, 4), noise=3.0)
    fixed = refit_ankles(motion, seen, camera_of())
    turned = (fixed.params.body_pose - motion.params.body_pose)[:, [6, 7]].norm(dim=-1)
    assert float(turned.mean()) < 0.12
    jolt = fixed.params.body_pose.diff(n=2, dim=0)[:, [6, 7]].norm(dim=-1).mean()
    assert float(jolt) < 0.05


def test_feet_seen_elsewhere_and_no_feet_change_nothing(body):
    motion = away(driving_motion(9))
    (one,) = sights(body, motion, motion.params, camera_of(), [0])
    far = replace(one, seen=one.seen + 200)
    for given in ([], [far]):
        fixed = refit_ankles(motion, given, camera_of())
        assert torch.allclose(fixed.params.body_pose, motion.params.body_pose, atol=1e-5)
