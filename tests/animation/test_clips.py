import pytest
import torch

from persona.animation.clips import CLIPS, clip
from persona.animation.resampling import travel
from persona.body.skeleton import JOINT_IDS, joint_limits
from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

TOLERANCE = 0.01
"""Slack at the limits [rad]."""


@pytest.fixture(params=CLIPS)
def motion(request):
    return clip(request.param)


def test_clip_is_whole(motion):
    for value in vars(motion.params).values():
        assert torch.isfinite(value).all()
        assert value.shape[0] == motion.frame_count
    assert motion.fps == 30.0
    assert 3.0 <= motion.duration <= 10.0
    assert motion.name in CLIPS


def test_clip_keeps_within_the_joints_limits(motion):
    low, high = joint_limits()
    pose = motion.params.full_pose[:, 1:]
    beyond = torch.maximum(low[1:] - pose, pose - high[1:]).amax(0)
    worst = int(beyond.amax(1).argmax()) + 1
    assert float(beyond.max()) < TOLERANCE, f"joint {worst} by {float(beyond.max()):.3f} rad"


def test_clip_moves_without_jerks_and_closes(motion):
    rotations = axis_angle_to_matrix(motion.params.full_pose)
    rotations = torch.cat([rotations, rotations[:2]])
    turned = matrix_to_axis_angle(rotations[:-1].transpose(-1, -2) @ rotations[1:])
    speed = torch.rad2deg(turned.norm(dim=-1)) * 30
    change = torch.rad2deg((turned[1:] - turned[:-1]).norm(dim=-1))
    assert float(speed.max()) < 540  # deg/s: the arms of the dance, raised
    assert float(change.max()) < 8.0  # deg/frame^2: a knee at heel strike
    # Where it closes it is no rougher than anywhere else.
    assert float(change[-2:].max()) <= float(change[:-2].max()) + 1e-4
    transl = torch.cat([motion.params.transl, motion.params.transl[:2] + travel(motion)])
    jolt = (transl[2:] - 2 * transl[1:-1] + transl[:-2]).norm(dim=1)
    assert float(jolt[-2:].max()) <= float(jolt[:-2].max()) + 1e-4
    assert float(jolt.max()) < 0.006


def test_only_the_walk_travels():
    ways = {name: float(travel(clip(name)).norm()) for name in CLIPS}
    assert ways.pop("walk") == pytest.approx(4 * 1.13, abs=1e-3)  # four strides
    assert set(ways.values()) == {0.0}


def test_turn_goes_all_the_way_round():
    turned = axis_angle_to_matrix(clip("turn").params.global_orient)[:, :, 2]
    yaw = torch.atan2(turned[:, 0], turned[:, 2])
    steps = torch.remainder(torch.diff(yaw) + torch.pi, 2 * torch.pi) - torch.pi
    assert float(torch.rad2deg(steps.sum())) == pytest.approx(360, abs=3)
    assert float(steps.min()) > -0.01


def test_wave_raises_the_right_hand_only():
    params = clip("wave").params
    left, right = (params.body_pose[:, JOINT_IDS[f"{s}_shoulder"] - 1] for s in ("left", "right"))
    assert float(left.std(0).max()) < 0.05
    assert float(right.std(0).max()) > 0.3


def test_squat_goes_down_a_chair_deep():
    heights = clip("squat").params.transl[:, 1]
    assert 0.35 < float(heights.max() - heights.min()) < 0.5


def test_another_rate_keeps_the_length():
    for fps in (24.0, 25.0, 60.0):
        assert clip("walk", fps=fps).duration == pytest.approx(clip("walk").duration, abs=0.5 / fps)


def test_unknown_clip_is_refused():
    with pytest.raises(InputError, match="moonwalk") as caught:
        clip("moonwalk")
    assert "idle" in caught.value.why
