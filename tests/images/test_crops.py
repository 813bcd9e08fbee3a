import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import InputError
from persona.images.crops import Crop, crop_around, fit_within, resize

crops = st.builds(
    Crop,
    left=st.integers(-50, 50),
    top=st.integers(-50, 50),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    out_width=st.integers(1, 90),
    out_height=st.integers(1, 90),
)


def smooth_picture(height=60, width=40, channels=3):
    y = torch.linspace(0, 1, height)[:, None, None]
    x = torch.linspace(0, 1, width)[None, :, None]
    return (y + x * torch.arange(channels)) / channels


@given(crop=crops)
@settings(deadline=None)
def test_points_there_and_back(crop):
    points = torch.tensor([[0.0, 0.0], [3.5, -7.25], [100.0, 40.0]], dtype=torch.float64)
    torch.testing.assert_close(crop.to_picture(crop.to_crop(points)), points)


@given(crop=crops)
@settings(deadline=None)
def test_the_result_has_the_size_that_was_asked_for(crop):
    picture = smooth_picture()
    for layers in (picture, picture[..., 0], picture[..., :1]):
        result = crop.apply(layers)
        assert result.shape == (crop.out_height, crop.out_width, *layers.shape[2:])
        back = crop.undo(result, width=40, height=60)
        assert back.shape == layers.shape


def test_a_window_at_its_own_size_is_copied():
    picture = torch.rand(60, 40, 3)
    crop = Crop(left=5, top=-3, width=20, height=30, out_width=20, out_height=30)
    result = crop.apply(picture, fill=0.25)
    assert torch.equal(result[3:], picture[:27, 5:25])
    assert bool((result[:3] == 0.25).all())
    back = crop.undo(result, width=40, height=60)
    assert torch.equal(back[:27, 5:25], picture[:27, 5:25])
    assert float(back[27:].abs().sum()) == 0.0


def test_a_window_outside_the_picture_is_padding():
    crop = Crop(left=400, top=400, width=8, height=8, out_width=4, out_height=4)
    assert bool((crop.apply(torch.rand(10, 10), fill=0.5) == 0.5).all())
    assert float(crop.undo(torch.ones(4, 4), width=10, height=10).sum()) == 0.0


def test_the_edge_can_be_repeated():
    crop = Crop(left=-5, top=0, width=10, height=10, out_width=10, out_height=10)
    result = crop.apply(smooth_picture(10, 10), fill=None)
    assert torch.equal(result[:, 0], result[:, 5])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_dot_lands_where_the_transform_says(factor):
    picture = torch.zeros(64, 64)
    picture[20:24, 30:34] = 1.0  # centred on (32, 22)
    crop = Crop(
        left=16, top=8, width=32, height=40, out_width=int(32 * factor), out_height=int(40 * factor)
    )
    result = crop.apply(picture)
    y, x = torch.meshgrid(
        torch.arange(result.shape[0]) + 0.5, torch.arange(result.shape[1]) + 0.5, indexing="ij"
    )
    center = torch.stack([(x * result).sum(), (y * result).sum()]) / result.sum()
    torch.testing.assert_close(
        crop.to_crop(torch.tensor([[32.0, 22.0]]))[0], center, atol=1e-4, rtol=0
    )


def test_shrinking_averages():
    checkers = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    small = resize(checkers.float(), width=16, height=16)
    torch.testing.assert_close(small, torch.full((16, 16), 0.5))


def test_a_box_is_framed_whole_and_centred():
    box = (10.0, 20.0, 50.0, 140.0)
    crop = crop_around(box, out_width=256, out_height=256, margin=0.1)
    corners = crop.to_crop(torch.tensor([[10.0, 20.0], [50.0, 140.0]]))
    assert crop.width == crop.height == 144
    torch.testing.assert_close(corners.mean(0), torch.tensor([128.0, 128.0]))
    assert bool(((corners > 0) & (corners < 256)).all())


def test_fitting_within_never_enlarges():
    assert fit_within(100, 50, longest=200).scale == (1.0, 1.0)
    assert fit_within(400, 200, longest=200).out_height == 100


def test_an_empty_window_is_refused():
    with pytest.raises(InputError, match="at least one pixel"):
        Crop(left=0, top=0, width=0, height=3, out_width=3, out_height=3)
