"""Seams: a jump of the canonical position is one, a slope and the outline are none."""

import pytest
import torch

from persona.optimization.seams import REACH, find_seams, person_size

SIZE = 200


@pytest.fixture
def slope():
    """A flat person 160 px high at 1 cm a pixel, canonical position as seen."""
    mask = torch.zeros(SIZE, SIZE)
    mask[20:180, 60:140] = 1
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    place = torch.stack([columns, -rows, torch.zeros(SIZE, SIZE)], -1) * 0.01
    return place * mask[..., None], mask


def test_a_smooth_person_has_no_seam_and_the_outline_is_none(slope):
    place, mask = slope
    assert not bool(find_seams(place, mask, mask, pixel_m=0.01).any())


@pytest.fixture
def arm(slope):
    """An arm of another place at rest, 8 px wide, before the middle of the trunk."""
    place, mask = slope
    place = place.clone()
    place[90:98, 70:130] += torch.tensor([0.5, 0.2, 0.0])
    return place, mask


def test_an_arm_before_the_trunk_has_a_seam_around_it(arm):
    place, mask = arm
    seam = find_seams(place, mask, mask, pixel_m=0.01)
    radius = round(REACH * person_size(mask))
    assert person_size(mask) == 160
    assert bool(seam[90 - radius, 100])
    assert bool(seam[97 + radius, 100])
    assert not bool(seam[: 90 - radius - 2].any())
    assert not bool(seam[98 + radius + 2 :].any())
    assert not bool(seam[mask < 0.5].any())


def test_where_seams_are_spared_none_begins(arm):
    place, mask = arm
    spared = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    spared[:, :100] = True
    seam = find_seams(place, mask, mask, pixel_m=0.01, spared=spared)
    assert not bool(seam[:, :95].any())
    assert bool(seam[90, 110])


def test_half_covered_pixels_do_not_make_a_jump(slope):
    place, mask = slope
    alpha = mask * 0.7
    assert not bool(find_seams(place * 0.7, alpha, mask, pixel_m=0.01).any())
