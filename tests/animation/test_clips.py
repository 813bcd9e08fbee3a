import math

import pytest
import torch

from persona.animation.clips import CLIPS, clip
from persona.animation.clips_lunge import SEAT_DROP
from persona.animation.clips_run import GRAVITY, bounce
from persona.animation.coverage import cover
from persona.animation.resampling import travel
from persona.animation.soundness import joint_accelerations
from persona.body.skeleton import JOINT_IDS, joint_limits
from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix

TOLERANCE = 0.01
"""Slack at the limits [rad]."""
SNAPPIEST = {"run": 16e3, "punch": 15e3, "lunge": 10e3}
"""Largest change of a joint's turning [deg/s^2]; whatever is not named keeps to `CALM`."""
CALM = 9e3
"""A knee at heel strike [deg/s^2]."""
TRAVELLERS = ("walk", "run")
EXTREMES = [(name, speed) for name, entry in CLIPS.items() for speed in entry.speeds]


@pytest.fixture(params=CLIPS)
def motion(request):
    return clip(request.param)


def test_there_are_at_least_twelve():
    assert len(CLIPS) >= 12


def test_clip_is_whole(motion):
    for value in vars(motion.params).values():
        assert torch.isfinite(value).all()
        assert value.shape[0] == motion.frame_count
    assert motion.fps == 30.0
    assert 3.0 <= motion.duration <= 10.0
    assert motion.name in CLIPS
    assert motion.loops


def test_face_is_neutral(motion):
    face = torch.cat([motion.params.full_pose[:, 22:25].flatten(1), motion.params.expression], 1)
    assert not face.any()


def test_clip_keeps_within_the_joints_limits(motion):
    low, high = joint_limits()
    pose = motion.params.full_pose[:, 1:]
    beyond = torch.maximum(low[1:] - pose, pose - high[1:]).amax(0)
    worst = int(beyond.amax(1).argmax()) + 1
    assert float(beyond.max()) < TOLERANCE, f"joint {worst} by {float(beyond.max()):.3f} rad"


def test_clip_keeps_within_what_people_can(motion):
    for entry in cover([motion]).axes:
        assert entry.beyond < 1.0, f"{entry.axis.joint} {entry.axis.name}: {entry.low} {entry.high}"


@pytest.mark.parametrize(("name", "speed"), [*((name, 1.0) for name in CLIPS), *EXTREMES])
def test_clip_moves_without_jerks_and_closes(name, speed):
    motion = clip(name, speed=speed)
    change = joint_accelerations(motion)
    # The same way in less time takes more force, by the square.
    assert float(change.max()) < SNAPPIEST.get(name, CALM) * max(1.0, speed) ** 2
    # Where it closes it is no rougher than anywhere else, in turning and in going.
    assert float(change[-2:].max()) <= float(change[:-2].max()) * 1.02 + 1e-2
    transl = torch.cat([motion.params.transl, motion.params.transl[:2] + travel(motion)])
    jolt = (transl[2:] - 2 * transl[1:-1] + transl[:-2]).norm(dim=1)
    assert float(jolt[-2:].max()) <= float(jolt[:-2].max()) * 1.02 + 1e-4
    # Force on the pelvis: a runner's foot pushes with three times the weight.
    assert float(jolt.max()) * motion.fps**2 < (3.0 if name == "run" else 1.0) * GRAVITY


def test_only_walk_and_run_travel():
    ways = {name: travel(clip(name)) for name in CLIPS}
    assert float(ways.pop("walk").norm()) == pytest.approx(4 * 1.13, abs=1e-3)  # four strides
    assert float(ways.pop("run").norm()) == pytest.approx(5 * 2.0, abs=1e-2)  # five
    assert {float(way.norm()) for way in ways.values()} == {0.0}


@pytest.mark.parametrize(("name", "speed"), EXTREMES)
def test_speed_changes_time_and_keeps_what_it_says(name, speed):
    usual, other = clip(name), clip(name, speed=speed)
    if name in TRAVELLERS:
        # Speed over ground; strides share it with the cadence.
        paces = [float(travel(m).norm()) / m.duration for m in (usual, other)]
        assert paces[1] / paces[0] == pytest.approx(speed, rel=0.02)
        power = 0.5 if name == "walk" else 0.7
        longer = float(travel(other).norm() / travel(usual).norm())
        assert longer == pytest.approx(speed**power, rel=0.01)
        return
    assert other.duration == pytest.approx(usual.duration / speed, abs=0.5 / usual.fps)
    for one, two in zip(cover([usual]).axes, cover([other]).axes, strict=True):
        # The arm passes from one plane into another between two frames.
        slack = 7.0 if one.axis.joint == "shoulder" else 3.0
        assert one.low == pytest.approx(two.low, abs=slack)
        assert one.high == pytest.approx(two.high, abs=slack)


@pytest.mark.parametrize("speed", [0.0, -1.0, 9.0, math.nan])
def test_speeds_that_nobody_does_are_refused(speed):
    with pytest.raises(InputError, match="times as fast") as caught:
        clip("walk", speed=speed)
    assert "0.6" in caught.value.fix


def test_a_runner_is_thrown_and_caught():
    step, standing, count = 0.36, 0.26, 36_000
    height = bounce(
        torch.arange(count + 2, dtype=torch.float64) / count / 2, step=step, standing=standing
    )
    force = (height[2:] - 2 * height[1:-1] + height[:-2]) * (count / step) ** 2
    flight = round(count * standing / step) + 2
    assert float((force[flight : count - 2] + GRAVITY).abs().max()) < 0.02  # falls freely
    assert float(force.mean()) == pytest.approx(0.0, abs=0.02)  # closes in velocity
    push = float(force.max()) / GRAVITY + 1
    assert push == pytest.approx(math.pi / 2 * step / standing, rel=0.01)
    assert float(height.min()) == pytest.approx(-0.063, abs=0.002)


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


def test_sit_goes_down_to_a_chair():
    params = clip("sit").params
    assert float(params.transl[:, 1].max() - params.transl[:, 1].min()) == pytest.approx(
        SEAT_DROP, abs=0.01
    )
    # While seated the thighs are level and the shins upright.
    middle = axis_angle_to_matrix(params.full_pose[round(3.1 * 30)])
    for side in ("left", "right"):
        thigh = middle[0] @ middle[JOINT_IDS[f"{side}_hip"]]
        shin = thigh @ middle[JOINT_IDS[f"{side}_knee"]]
        assert abs(math.degrees(math.asin(float(thigh[1, 1])))) < 12
        assert math.degrees(math.acos(float(shin[1, 1]))) < 12


def test_another_rate_keeps_the_length():
    for fps in (24.0, 25.0, 60.0):
        assert clip("walk", fps=fps).duration == pytest.approx(clip("walk").duration, abs=0.5 / fps)


def test_unknown_clip_is_refused():
    with pytest.raises(InputError, match="moonwalk") as caught:
        clip("moonwalk")
    assert "idle" in caught.value.why
