"""Sampling: the photo gets its share, the others theirs by trust, and a step is a step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from persona.core.errors import InputError
from persona.core.seeds import Seeds
from persona.optimization.sampler import draw_frame, sampling_shares

TRUSTS = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40)


def photo_first(trusts: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    is_photo = torch.zeros(len(trusts) + 1, dtype=torch.bool)
    is_photo[0] = True
    return is_photo, torch.tensor([1.0, *trusts])


@given(trusts=TRUSTS, share=st.floats(0.05, 1))
def test_the_photo_gets_its_share_and_the_others_theirs_by_trust(trusts, share):
    shares = sampling_shares(*photo_first(trusts), photo_share=share)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-5)
    total = sum(trusts)
    assert float(shares[0]) == pytest.approx(share if total > 0 else 1.0, abs=1e-4)
    for trust, found in zip(trusts, shares[1:].tolist(), strict=True):
        if total > 0:
            assert found == pytest.approx((1 - share) * trust / total, abs=1e-4)
        if trust == 0:
            assert found == 0


def test_without_balance_the_photo_is_one_among_the_others():
    shares = sampling_shares(*photo_first([1.0] * 9), photo_share=None)
    assert torch.allclose(shares, torch.full((10,), 0.1))


def test_a_step_draws_the_same_frame_whenever_it_is_taken():
    shares = sampling_shares(*photo_first([1.0, 0.5, 0.5]), photo_share=0.5)
    drawn = [draw_frame(shares, Seeds(3), step) for step in range(400)]
    assert drawn[123] == draw_frame(shares, Seeds(3), 123)
    assert sum(row == 0 for row in drawn) == pytest.approx(200, abs=40)
    assert sum(row == 1 for row in drawn) == pytest.approx(100, abs=35)
    assert drawn != [draw_frame(shares, Seeds(4), step) for step in range(400)]


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="share of the steps"):
        sampling_shares(*photo_first([1.0]), photo_share=share)


def test_frames_without_the_photo_are_refused():
    with pytest.raises(InputError, match="none of 3 frames is the photo"):
        sampling_shares(torch.zeros(3, dtype=torch.bool), torch.ones(3), photo_share=0.5)
