import numpy as np
import pytest

from persona.core.errors import InputError
from persona.serving.schema import SentPose, kind_of, pack_pose, unpack_pose
from persona.serving.smoothing import PoseSmoother

FPS = 30.0


def poses(angles):
    for k, angle in enumerate(angles):
        turns = np.zeros((55, 3), np.float32)
        turns[5, 1] = angle
        yield SentPose(
            sequence=k,
            time=k / FPS,
            rotations=turns,
            transl=np.array([angle, 0, 0], np.float32),
            expression=np.zeros(2, np.float32),
        )


def smoothed(angles, strength):
    smoother = PoseSmoother(strength)
    return np.array([smoother(pose).rotations[5, 1] for pose in poses(angles)])


def test_noise_of_somebody_who_stands_is_taken_away():
    noise = 0.02 * np.random.default_rng(0).standard_normal(300)
    left = smoothed(noise, 1.0)[50:].std() / noise[50:].std()
    assert left < 0.4
    assert smoothed(noise, 0.5)[50:].std() > smoothed(noise, 1.0)[50:].std()


def test_a_quick_turn_is_followed_soon():
    ramp = np.concatenate([np.zeros(30), np.linspace(0, 1.5, 10), np.full(30, 1.5)])
    assert smoothed(ramp, 0.5)[45] > 1.35


def test_none_at_all_changes_nothing():
    wild = np.random.default_rng(0).uniform(-1, 1, 50)
    np.testing.assert_allclose(smoothed(wild, 0.0), wild, atol=1e-6)


def test_a_turn_past_half_a_round_does_not_go_back():
    spin = np.linspace(2.8, 3.5, 40)
    shown = np.unwrap(smoothed(spin, 0.5))
    assert (np.diff(shown) > 0).all()


def test_after_a_pause_the_past_is_forgotten():
    smoother = PoseSmoother(1.0)
    first, last = list(poses([0.0, 1.0]))
    smoother(first)
    late = SentPose(
        sequence=1, time=10.0, rotations=last.rotations, transl=last.transl,
        expression=last.expression,
    )  # fmt: skip
    assert smoother(late).rotations[5, 1] == 1


def test_a_message_comes_back_as_it_went():
    pose = next(poses([0.7]))
    again = unpack_pose(pack_pose(pose))
    np.testing.assert_array_equal(again.rotations, pose.rotations)
    assert (again.sequence, again.time) == (0, 0.0)


@pytest.mark.parametrize("data", [b"", b"\1\0\0", b"\7\0\0\0\0\0\0\0"])
def test_an_unknown_kind_is_refused(data):
    with pytest.raises(InputError):
        kind_of(data)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_numbers_beyond_reason_are_refused(value):
    data = bytearray(pack_pose(next(poses([0.0]))))
    data[16:20] = np.float32(value).tobytes()
    with pytest.raises(InputError):
        unpack_pose(bytes(data))
