from dataclasses import replace

import pytest
import torch

from persona.animation.clips import CLIPS, clip
from persona.animation.grounding import contacts, ground_motion, leg_rig
from persona.animation.sketch import NOMINAL_RIG
from persona.animation.soundness import feet_skin, slide


def test_nominal_rig_is_the_mean_body(body, people):
    rig = leg_rig(body, people["mean"])
    for name, value in vars(NOMINAL_RIG).items():
        assert float((vars(rig)[name] - value).abs().max()) < 0.005, name


@pytest.mark.parametrize(
    ("name", "person", "speed"),
    [
        *((name, person, 1.0) for name in CLIPS for person in ("mean", "one", "two")),
        *((name, "mean", speed) for name, entry in CLIPS.items() for speed in entry.speeds),
    ],
)
def test_feet_stand_on_the_floor_and_stay(body, people, name, person, speed):
    motion = ground_motion(clip(name, speed=speed), body, people[person])
    skin, left = feet_skin(motion, body, people[person])
    lowest = skin[..., 1].amin(1)
    assert float(lowest.min()) > -0.005  # nothing below the floor
    if name == "run":
        assert 0.05 < float((lowest > 0.01).float().mean()) < 0.4  # in the air between steps
    else:
        assert float(lowest.max()) < 0.01  # always something on it
    for foot in (left, ~left):
        assert slide(motion, skin[:, foot]) < 0.005


def test_only_the_legs_and_the_place_change(body, people):
    source = clip("dance")
    motion = ground_motion(source, body, people["one"])
    legs = {1, 2, 4, 5, 7, 8}
    others = [j for j in range(55) if j not in legs]
    assert torch.equal(motion.params.full_pose[:, others], source.params.full_pose[:, others])
    assert float((motion.params.full_pose - source.params.full_pose).abs().max()) < 0.5


def test_strides_scale_with_the_legs(body, people):
    for identity in people.values():
        rig = leg_rig(body, identity)
        motion = ground_motion(clip("walk"), body, identity)
        way = motion.params.transl[-1, 2] - motion.params.transl[0, 2]
        source = clip("walk").params.transl[:, 2]
        scale = rig.length / NOMINAL_RIG.length
        assert float(way) == pytest.approx(scale * float(source[-1] - source[0]), rel=0.01)


def test_a_motion_in_the_air_is_put_down(body, people):
    source = clip("squat")
    lifted = replace(source.params, transl=source.params.transl + torch.tensor([0.0, 0.7, 0.0]))
    motion = ground_motion(replace(source, params=lifted), body, people["mean"])
    expected = ground_motion(source, body, people["mean"])
    torch.testing.assert_close(motion.params.transl, expected.params.transl, atol=1e-4, rtol=0)


def test_sliding_feet_are_pinned(body, people):
    source = clip("idle")
    drift = torch.linspace(0, 0.3, source.frame_count)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    params = replace(source.params, transl=source.params.transl + drift)
    sliding = replace(source, params=params, loops=False)
    motion = ground_motion(sliding, body, people["mean"])
    skin, _ = feet_skin(motion, body, people["mean"])
    moved = (skin[-1] - skin[0])[..., [0, 2]].norm(dim=-1)
    assert float(moved.max()) < 0.005


def test_contacts_are_low_and_slow():
    motion = replace(clip("idle"), loops=False)
    points = torch.zeros(motion.frame_count, 2, 3, 3, dtype=torch.float64)
    points[:, 0, 1, 1] = 0.1  # high
    points[:, 1, 2, 0] = torch.arange(motion.frame_count) * 0.02  # 0.6 m/s
    found = contacts(motion, points)
    assert not found[:, 0, 1].any()
    assert not found[1:-1, 1, 2].any()
    assert found[:, 0, 0].all()
