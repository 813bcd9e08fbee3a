import numpy as np
import pytest
import torch

from persona.animation.choice import motion_from
from persona.animation.clips import clip
from persona.animation.motion_files import read_motion, write_motion
from persona.core.errors import FileFormatError, InputError


@pytest.mark.parametrize("name", ["idle", "run", "bend"])
def test_a_motion_comes_back(tmp_path, name):
    source = clip(name)
    write_motion(source, tmp_path / f"{name}.npz")
    motion = read_motion(tmp_path / f"{name}.npz")
    assert (motion.fps, motion.loops, motion.name) == (source.fps, True, name)
    assert torch.equal(motion.params.full_pose, source.params.full_pose)
    assert torch.equal(motion.params.transl, source.params.transl)


@pytest.mark.parametrize("frames", [1, 2, 7, 1000])
@pytest.mark.parametrize("flat", [True, False])
def test_any_length_and_only_poses_will_do(tmp_path, frames, flat):
    pose = np.random.default_rng(0).normal(0, 0.2, (frames, 165))
    np.savez(tmp_path / "m.npz", full_pose=pose if flat else pose.reshape(frames, 55, 3))
    motion = read_motion(tmp_path / "m.npz")
    assert (motion.frame_count, motion.fps, motion.loops) == (frames, 30.0, False)
    np.testing.assert_allclose(motion.params.full_pose.reshape(frames, 165), pose, rtol=1e-5)
    assert not motion.params.transl.any()


POSE = np.zeros((4, 55, 3))


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"poses": POSE}, "no array full_pose"),
        ({"full_pose": np.zeros((4, 54, 3))}, "shape"),
        ({"full_pose": np.zeros((0, 55, 3))}, "shape"),
        ({"full_pose": np.full((4, 55, 3), np.nan)}, "not finite"),
        ({"full_pose": POSE, "transl": np.zeros((3, 3))}, "not 12 numbers"),
        ({"full_pose": POSE, "transl": np.full((4, 3), 1e9)}, "beyond"),
        ({"full_pose": POSE, "fps": 0.0}, "fps is 0"),
        ({"full_pose": POSE, "fps": np.array([30.0, 30.0])}, "not 1 numbers"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, arrays, word):
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(FileFormatError, match=word):
        read_motion(tmp_path / "m.npz")


def test_a_motion_is_chosen_by_name_or_by_path(tmp_path):
    assert motion_from("squat", fps=30.0).name == "squat"
    write_motion(clip("squat"), tmp_path / "mine.npz")
    mine = motion_from(str(tmp_path / "mine.npz"), speed=2.0, fps=60.0)
    assert (mine.name, mine.fps) == ("mine", 60.0)
    assert mine.duration == pytest.approx(clip("squat").duration / 2, abs=1 / 60)
    with pytest.raises(FileFormatError, match="no such file"):
        motion_from("absent.npz", fps=30.0)
    with pytest.raises(InputError, match="no motion called 'absent'"):
        motion_from("absent", fps=30.0)
    with pytest.raises(InputError, match="times as fast"):
        motion_from(str(tmp_path / "mine.npz"), speed=99.0, fps=30.0)
