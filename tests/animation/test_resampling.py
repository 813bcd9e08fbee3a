from dataclasses import fields, replace

import pytest
import torch

from persona.animation.clips import clip
from persona.animation.resampling import join, loop_for, resample, travel, wear_face
from persona.core.errors import InputError
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion


def spin(frames: int, *, loops: bool) -> Motion:
    """Turn at one radian a second about y, at 10 frames a second, and walk along x."""
    params = rest_params(frames)
    time = torch.arange(frames) / 10
    orient = torch.stack([torch.zeros(frames), time, torch.zeros(frames)], 1)
    transl = torch.stack([time, torch.zeros(frames), torch.zeros(frames)], 1)
    params = replace(params, global_orient=orient, transl=transl)
    return Motion(params=params, fps=10.0, loops=loops)


@pytest.mark.parametrize("fps", [5.0, 10.0, 24.0, 60.0])
def test_a_steady_turn_stays_steady(fps):
    motion = resample(spin(21, loops=False), fps=fps)
    expected = torch.arange(motion.frame_count) / fps
    assert motion.frame_count == int(2.0 * fps) + 1  # first and last frame are kept
    torch.testing.assert_close(motion.params.global_orient[:, 1], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(motion.params.transl[:, 0], expected, atol=1e-5, rtol=0)


def test_a_loop_is_filled_with_whole_frames():
    source = clip("walk")
    for fps in (24.0, 29.97, 60.0):
        motion = resample(source, fps=fps)
        assert motion.loops
        assert motion.fps == fps
        torch.testing.assert_close(travel(motion), travel(source), atol=2e-3, rtol=0)


def test_same_rate_is_the_same_motion():
    source = clip("idle")
    assert resample(source, fps=source.fps) is source


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates_are_refused(fps):
    with pytest.raises(InputError, match="frames a second"):
        resample(clip("idle"), fps=fps)


def test_a_walk_walks_on():
    once = clip("walk")
    motion = loop_for(once, seconds=3 * once.duration)
    assert motion.frame_count == 3 * once.frame_count
    assert motion.loops
    steps = torch.diff(motion.params.transl[:, 2])
    assert float(steps.min()) > 0
    seams = steps[once.frame_count - 1 :: once.frame_count]
    torch.testing.assert_close(seams, steps[: len(seams)], atol=5e-3, rtol=0)


def test_a_part_of_a_loop_does_not_loop():
    assert not loop_for(clip("walk"), seconds=1.0).loops


def test_what_does_not_loop_holds_its_last_frame():
    motion = loop_for(spin(5, loops=False), seconds=1.0)
    assert motion.frame_count == 10
    assert motion.params.transl[4:, 0].tolist() == pytest.approx([0.4] * 6)


def test_join_begins_and_ends_in_the_given_poses():
    start, end = rest_params(), replace(rest_params(), transl=torch.tensor([1.0, 0.0, 0.0]))
    source = clip("idle")
    motion = join(start, source, end, seconds=0.5)
    assert motion.frame_count == source.frame_count + 2 * 15
    assert not motion.loops
    for field in fields(BodyParams):
        first, last = (getattr(motion.params, field.name)[k] for k in (0, -1))
        torch.testing.assert_close(first, getattr(start, field.name), atol=1e-3, rtol=0)
        torch.testing.assert_close(last, getattr(end, field.name), atol=1e-3, rtol=0)
    middle = motion.params.frame(15)
    torch.testing.assert_close(middle.body_pose, source.params.frame(0).body_pose)


def test_join_alone_changes_nothing_but_the_loop():
    motion = join(None, clip("wave"), None, seconds=1.0)
    assert motion.frame_count == clip("wave").frame_count


def test_the_photos_face_is_worn_throughout():
    face = replace(rest_params(), expression=torch.ones(10), jaw_pose=torch.full((3,), 0.1))
    params = wear_face(clip("idle"), face).params
    assert bool((params.expression == 1).all())
    assert bool((params.jaw_pose == 0.1).all())
    torch.testing.assert_close(params.body_pose, clip("idle").params.body_pose)
