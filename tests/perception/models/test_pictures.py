import numpy as np
import pytest
import torch

from persona.perception.models.pictures import IMAGENET, Cutout, prepare


def test_pictures_come_in_the_models_size_and_colours():
    picture = np.zeros((30, 50, 3), np.uint8)
    picture[..., 1] = 255
    made = prepare(picture, 16)
    assert made.shape == (1, 3, 16, 16)
    wanted = [(v - m) / d for v, m, d in zip((0, 1, 0), *IMAGENET, strict=True)]
    torch.testing.assert_close(made[0, :, 7, 7], torch.tensor(wanted))


@pytest.mark.parametrize("size", [(64, 48), (256, 192)])
@pytest.mark.parametrize("box", [(40.0, 20.0, 80.0, 120.0), (-5.0, 60.0, 110.0, 90.0)])
def test_what_is_cut_out_comes_back_to_its_place(size, box):
    rows, columns = np.mgrid[:150, :120]
    smooth = np.stack([rows, columns, rows + columns], -1).astype(np.uint8) // 2
    cutout = Cutout.around(box, height=size[0], width=size[1], margin=0.1)
    seen = cutout.cut(smooth)
    assert seen.shape == (*size, 3)
    back = cutout.paste(seen.astype(np.float32), height=150, width=120)
    left, top, right, bottom = (int(v) for v in box)
    here = slice(max(top, 3), bottom), slice(max(left, 3), min(right, 117))
    np.testing.assert_allclose(back[here], smooth[here], atol=2)


def test_the_whole_picture_is_padded_evenly_and_keeps_its_aspect():
    whole = Cutout.around((0.0, 0.0, 576.0, 1024.0), height=1024, width=768, margin=0.0)
    seen = whole.cut(np.full((1024, 576, 3), 200, np.uint8))
    assert (seen[:, 96:672] == 200).all()
    assert (seen[:, :96] == 0).all()
    assert (seen[:, 672:] == 0).all()
