import numpy as np
import pytest

from persona.animation.pose_files import read_pose
from persona.core.errors import FileFormatError
from persona.records.body_params import rest_params


def test_a_pose_comes_back(tmp_path):
    pose = np.random.default_rng(0).normal(0, 0.2, (55, 3))
    for shape in ((55, 3), (165,), (1, 55, 3)):
        np.savez(
            tmp_path / "p.npz", full_pose=pose.reshape(shape), transl=np.array([1.0, 2.0, 3.0])
        )
        params = read_pose(tmp_path / "p.npz", rest_params())
        np.testing.assert_allclose(params.full_pose, pose, rtol=1e-6)
        assert params.transl.tolist() == [1.0, 2.0, 3.0]


def test_what_the_file_lacks_is_taken_from_elsewhere(tmp_path):
    np.savez(tmp_path / "p.npz", full_pose=np.zeros((55, 3)))
    like = rest_params()
    assert read_pose(tmp_path / "p.npz", like).transl is like.transl


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"poses": np.zeros((55, 3))}, "no array full_pose"),
        ({"full_pose": np.zeros((54, 3))}, "shape"),
        ({"full_pose": np.full((55, 3), np.nan)}, "not finite"),
        ({"full_pose": np.array(["a"] * 165)}, "not 165 numbers"),
        ({"full_pose": np.zeros((55, 3)), "transl": np.full(3, 1e9)}, "beyond"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, arrays, word):
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(FileFormatError, match=word) as caught:
        read_pose(tmp_path / "p.npz", rest_params())
    assert "numpy.savez" in caught.value.fix


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        read_pose(tmp_path / "absent.npz", rest_params())
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(FileFormatError):
        read_pose(tmp_path / "text.npz", rest_params())
