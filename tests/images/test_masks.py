import pytest
import torch

from persona.core.errors import InputError
from persona.images.masks import (
    band,
    bounds,
    close_gaps,
    dilate,
    distance_inside,
    erode,
    feather,
    largest_component,
    overlap,
    remove_specks,
)


def disc(radius, size=64, center=(32.0, 32.0)):
    axis = torch.arange(size) + 0.5
    distance = torch.hypot(axis[:, None] - center[1], axis[None] - center[0])
    return (radius + 0.5 - distance).clamp(0, 1)


@pytest.mark.parametrize("radius", [1, 3, 6])
def test_growing_and_shrinking_a_disc_moves_its_rim(radius):
    grown, shrunk = dilate(disc(15), radius), erode(disc(15), radius)
    assert overlap(grown, disc(15 + radius)) > 0.95
    assert overlap(shrunk, disc(15 - radius)) > 0.93


def test_a_soft_mask_stays_ordered():
    mask = feather(disc(12), 2.0)
    assert bool((erode(mask, 2) <= mask).all())
    assert bool((mask <= dilate(mask, 2)).all())
    torch.testing.assert_close(erode(mask, 3), 1 - dilate(1 - mask, 3))


def test_no_radius_changes_nothing_and_negative_ones_are_refused():
    mask = disc(12)
    assert torch.equal(dilate(mask, 0), mask)
    with pytest.raises(InputError, match="radius"):
        erode(mask, -1)


def test_the_frame_is_not_an_edge():
    assert float(erode(torch.ones(20, 20), 5).min()) == 1.0


def test_gaps_are_closed_and_specks_removed():
    holed = disc(15) * (1 - disc(1))
    assert overlap(close_gaps(holed, 4), disc(15)) > 0.98
    specked = torch.maximum(disc(12), disc(1, center=(5.0, 5.0)))
    assert float(remove_specks(specked, 3)[:10, :10].max()) == 0.0


def test_feathering_keeps_the_area():
    mask = disc(15)
    assert float(feather(mask, 2.0).sum()) == pytest.approx(float(mask.sum()), rel=1e-3)
    assert torch.equal(feather(mask, 0.0), mask)


def test_a_band_lies_on_both_sides_of_the_outline():
    ring = band(disc(15), inner=2, outer=3) >= 0.5
    distance = torch.hypot(*(torch.meshgrid(*[torch.arange(64) - 31.5] * 2, indexing="ij")))
    assert float(distance[ring].min()) > 11.5
    assert float(distance[ring].max()) < 19.5
    assert float(distance[ring].max()) > 17


def test_the_largest_component_keeps_its_soft_edge():
    both = torch.maximum(feather(disc(12, center=(20.0, 20.0)), 1), disc(6, center=(54.0, 54.0)))
    kept = largest_component(both)
    torch.testing.assert_close(kept[:40, :40], both[:40, :40])
    assert float(kept[48:, 48:].max()) == 0.0
    assert float(largest_component(torch.zeros(9, 9)).max()) == 0.0


def test_bounds_enclose_the_inside():
    mask = torch.zeros(20, 30)
    mask[3:7, 10:25] = 1
    assert bounds(mask) == (10.0, 3.0, 25.0, 7.0)
    assert bounds(torch.zeros(5, 5)) is None


def test_distance_counts_pixels_from_outside():
    distance = distance_inside(disc(15))
    assert float(distance.max()) == pytest.approx(15, abs=1.0)
    assert float(distance[0, 0]) == 0.0


def test_overlap_of_nothing_is_whole():
    assert overlap(torch.zeros(4, 4), torch.zeros(4, 4)) == 1.0
    assert overlap(torch.ones(4, 4), torch.zeros(4, 4)) == 0.0
