import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import InputError
from persona.synthesis.diffusion.windows import position_weights, total_weights, windows


@settings(deadline=None, max_examples=200)
@given(count=st.integers(1, 400), size=st.integers(2, 80), data=st.data())
def test_every_frame_is_covered_by_whole_windows_that_begin_with_the_photo(count, size, data):
    overlap = data.draw(st.integers(1, size - 1))
    cover = windows(count, size, overlap)
    assert {frame for window in cover for frame in window} == set(range(count))
    assert all(window[0] == 0 for window in cover)
    assert {len(window) for window in cover} == {min(size, count)}
    assert all(len(set(window)) == len(window) for window in cover)
    assert bool((total_weights(cover, count) > 0).all())


def test_a_long_film_has_the_windows_of_the_published_pipeline():
    cover = windows(908, 72, 6)
    assert len(cover) == 14
    assert cover[0] == tuple(range(72))
    assert cover[1] == (0, *range(67, 138))
    assert cover[-1] == (0, *range(837, 908))


def test_weights_are_a_triangle():
    assert torch.allclose(position_weights(4), torch.tensor([0.25, 0.75, 0.75, 0.25]))


def test_windows_that_do_not_move_on_are_refused():
    with pytest.raises(InputError, match="share 72"):
        windows(100, 72, 72)
    with pytest.raises(InputError, match="share 0"):
        windows(100, 72, 0)
    with pytest.raises(InputError, match="0 frames"):
        windows(0, 72, 6)
