"""Windows cut and paste without shifting by half a pixel; MediaPipe stays quiet and closes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.perception.detectors import Detectors, Window


@given(left=st.floats(-40, 80), top=st.floats(-40, 80), side=st.floats(60, 200))
@settings(max_examples=25, deadline=None)
def test_what_a_window_cuts_it_pastes_back_in_place(left, top, side):
    rows, columns = np.mgrid[:120, :160]
    picture = np.stack([columns, rows, rows + columns], -1).astype(np.uint8)
    window = Window(left, top, side)
    cut = window.cut(picture, pixels=240)
    back = window.paste(cut[..., 0].astype(np.float32), height=120, width=160)
    inside = (columns > left + 3) & (columns < left + side - 4) & (columns > 2) & (columns < 157)
    inside &= (rows > top + 3) & (rows < top + side - 4) & (rows > 2) & (rows < 117)
    if inside.any():
        assert np.abs(back - columns)[inside].max() < 1.5


def test_a_window_reaching_over_the_border_shows_the_mean_colour_there():
    picture = np.full((50, 50, 3), 200, np.uint8)
    assert (Window(-50, -50, 40).cut(picture, pixels=16) == 200).all()


def test_nobody_is_seen_on_an_empty_picture_and_nothing_is_printed(capfd):
    picture = np.full((320, 240, 3), 180, np.uint8)
    window = Window.around((0, 0, 240, 320), margin=0.0)
    with Detectors() as detectors:
        assert detectors.person(picture, window, pixels=256) is None
        assert detectors.faces(picture, window, pixels=256) == []
        assert detectors.hands(picture, window, pixels=256) == []
        assert detectors.face_mesh(picture, window, pixels=256) is None
        assert detectors.portrait(picture, window).shape == (320, 240)
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err == ""


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_windows_around_a_box_are_square_and_centred(margin):
    window = Window.around((10, 20, 50, 100), margin=margin)
    assert window.side == pytest.approx(80 * (1 + 2 * margin))
    assert window.left + window.side / 2 == pytest.approx(30)
    assert window.top + window.side / 2 == pytest.approx(60)
