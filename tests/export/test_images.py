import numpy as np
import pytest
import torch
from PIL import Image

from persona.core.conventions import PROVENANCE, RIGHTS
from persona.core.errors import InputError
from persona.export.images import normals_as_color, write_depth_png, write_png_sequence


def test_depth_is_whole_millimetres(tmp_path):
    depth = torch.tensor([[0.0, 1.2344], [2.9996, 65.535]])
    write_depth_png(tmp_path / "d.png", depth)
    with Image.open(tmp_path / "d.png") as picture:
        assert np.asarray(picture).tolist() == [[0, 1234], [3000, 65535]]
        assert picture.info == {"Source": PROVENANCE}


@pytest.mark.parametrize("depth", [-0.1, 70.0, float("nan")])
def test_depth_that_does_not_fit_is_refused(tmp_path, depth):
    with pytest.raises(InputError, match="depth spans"):
        write_depth_png(tmp_path / "d.png", torch.tensor([[1.0, depth]]))
    assert list(tmp_path.iterdir()) == []


def test_normals_have_the_usual_colors():
    towards, right, up = [0.0, 0.0, -1.0], [2.0, 0.0, 0.0], [0.0, -1.0, 0.0]
    color, _ = normals_as_color(torch.tensor([[towards, right, up]]), torch.ones(1, 3))
    expected = torch.tensor([[[0.5, 0.5, 1.0], [1.0, 0.5, 0.5], [0.5, 1.0, 0.5]]])
    torch.testing.assert_close(color, expected)


def test_a_sequence_keeps_alpha_and_order(tmp_path):
    frames = [torch.full((4, 6, 4), k / 4) for k in range(3)]
    assert write_png_sequence(frames, tmp_path / "s") == 3
    names = sorted(p.name for p in (tmp_path / "s").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    with Image.open(tmp_path / "s" / "00002.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.size == (6, 4)
        assert picture.getpixel((0, 0)) == (128, 128, 128, 128)
        assert picture.info == {"Source": PROVENANCE, "Copyright": RIGHTS}


def test_a_sequence_replaces_a_sequence_and_nothing_else(tmp_path):
    frames = [torch.zeros(2, 2, 3)]
    write_png_sequence(frames * 3, tmp_path / "s")
    write_png_sequence(frames, tmp_path / "s")
    assert len(list((tmp_path / "s").iterdir())) == 1
    (tmp_path / "s" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        write_png_sequence(frames, tmp_path / "s")
    assert (tmp_path / "s" / "thesis.txt").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="already holds"):
        write_png_sequence(frames, tmp_path / "file")


def test_an_empty_sequence_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        write_png_sequence([], tmp_path / "s")
    assert list(tmp_path.iterdir()) == []
