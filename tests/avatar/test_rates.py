"""Rates: of what they claim, from the past alone, the same at any rate of frames."""

import math
from dataclasses import replace

import pytest
import torch

from persona.avatar.rates import RateTracker, at_rest, joint_rates
from persona.core.errors import InputError
from persona.records.body_params import rest_params
from persona.records.motion import Motion

KNEE = 4


def spinning(fps: float, seconds: float, *, speed: float = 2.0) -> Motion:
    """Let the left knee turn about x at a constant speed [rad/s], and the body slide along z."""
    time = torch.arange(round(seconds * fps)) / fps
    pose = torch.zeros(len(time), 55, 3)
    pose[:, KNEE, 0] = speed * time
    params = rest_params(len(time)).with_full_pose(pose)
    way = torch.zeros(len(time), 3)
    way[:, 2] = 1.5 * time
    return Motion(params=replace(params, transl=way), fps=fps)


def test_a_steady_turn_has_its_speed_and_no_acceleration():
    rates = joint_rates(spinning(30, 2.0))
    torch.testing.assert_close(
        rates.velocity[-1, KNEE], torch.tensor([2.0, 0.0, 0.0]), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        rates.swing[-1, KNEE], torch.tensor([2.0, 0.0, 0.0]), atol=5e-3, rtol=0
    )
    assert float(rates.acceleration[-1].abs().max()) < 0.02
    torch.testing.assert_close(rates.root[-1, 0], torch.tensor([0.0, 0.0, 1.5]), atol=1e-3, rtol=0)
    assert float(rates.velocity[-1, KNEE + 1].abs().max()) == 0


def test_the_swing_lags_behind_the_velocity():
    rates = joint_rates(spinning(30, 0.3))
    assert 0 < float(rates.swing[-1, KNEE, 0]) < float(rates.velocity[-1, KNEE, 0])


def test_sixty_frames_a_second_say_what_thirty_say():
    slow, fast = joint_rates(spinning(30, 1.0)), joint_rates(spinning(60, 1.0))
    torch.testing.assert_close(fast.swing[-1], slow.swing[-1], atol=0.03, rtol=0)


def test_the_first_frame_stands_still():
    first = RateTracker().step(spinning(30, 1.0).params.frame(5), 1 / 30)
    assert float(first.velocity.abs().max()) == 0
    torch.testing.assert_close(first.root, at_rest().root)


def test_the_past_decides_and_not_the_future():
    motion = spinning(30, 1.0)
    whole = joint_rates(motion)
    tracker = RateTracker()
    for index in range(10):
        live = tracker.step(motion.params.frame(index), 1 / 30)
    torch.testing.assert_close(live.velocity[0], whole.velocity[9], atol=0, rtol=0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf])
def test_no_time_is_refused(seconds):
    with pytest.raises(InputError, match="a frame came"):
        RateTracker().step(rest_params(), seconds)
