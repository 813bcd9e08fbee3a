"""One motion flows into another: where it stands, as it looks, without a jump."""

import pytest
import torch

from persona.animation.blending import blend
from persona.animation.clips import clip
from persona.animation.formats.world_axes import turned
from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.motion import Motion


def elsewhere(motion, angle):
    """The same motion, done facing another way and far off."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, angle, 0.0]).double())
    params = turned(motion.params, turn)
    params = type(params)(**{**vars(params), "transl": params.transl + torch.tensor([5.0, 0, -3])})
    return Motion(params=params, fps=motion.fps, name=motion.name)


def test_the_second_begins_where_the_first_has_come_to():
    first, second = clip("walk"), clip("wave")
    one = blend(first, second, seconds=0.4)
    assert one.frame_count == first.frame_count + second.frame_count - 12
    begin = first.frame_count - 12
    torch.testing.assert_close(one.params.transl[:begin], first.params.transl[:begin])
    other = blend(first, elsewhere(second, 2.0), seconds=0.4)
    torch.testing.assert_close(one.params.transl, other.params.transl, atol=1e-4, rtol=0)
    turns = [axis_angle_to_matrix(m.params.full_pose.double()) for m in (one, other)]
    assert (turns[0] - turns[1]).abs().max() < 1e-4


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_nothing_jumps(seconds):
    one = blend(clip("walk"), elsewhere(clip("dance"), -1.0), seconds=seconds)
    step = (one.params.transl[1:] - one.params.transl[:-1]).norm(dim=-1)
    assert step.max() < 0.08
    rotations = axis_angle_to_matrix(one.params.full_pose.double())
    chord = (rotations[1:] - rotations[:-1]).flatten(-2).norm(dim=-1) / 8**0.5
    assert torch.rad2deg(2 * torch.asin(chord.clamp(max=1))).max() < 45


def test_without_a_crossing_one_follows_the_other():
    first, second = clip("walk"), clip("wave")
    one = blend(first, second, seconds=0.0)
    assert one.frame_count == first.frame_count + second.frame_count
    torch.testing.assert_close(
        one.params.body_pose[first.frame_count :], second.params.body_pose, atol=1e-6, rtol=0
    )


def test_other_rates_are_brought_to_the_first():
    one = blend(clip("walk"), clip("wave", fps=60), seconds=0.4)
    assert one.fps == clip("walk").fps
    assert one.duration == pytest.approx(
        clip("walk").duration + clip("wave").duration - 0.4, abs=0.05
    )


@pytest.mark.parametrize("seconds", [-1.0, 100.0, float("nan")])
def test_a_crossing_longer_than_a_motion_is_refused(seconds):
    with pytest.raises(InputError, match="crossing"):
        blend(clip("walk"), clip("wave"), seconds=seconds)
