"""The sample person: the same for the same seed, another for another, and seen by our detectors."""

import pytest
import torch

from persona.core.errors import InputError
from persona.synthesis.sample.look import choose_look
from persona.synthesis.sample.person import draw_sample_person

SMALL = 256


@pytest.fixture(scope="module")
def small():
    return draw_sample_person(seed=3, height=SMALL)


def test_the_same_seed_gives_the_same_bits(small):
    assert small.shape == (SMALL, 192, 3)
    assert torch.equal(small, draw_sample_person(seed=3, height=SMALL))


def test_there_is_somebody_on_a_pale_background(small):
    border = torch.cat([small[0], small[:, 0], small[:, -1]])
    assert float(border.min()) > 0.5
    middle = small[SMALL // 4 : 3 * SMALL // 4, 80:112]
    assert float((middle - border.mean(0)).abs().mean()) > 0.1


def test_seeds_give_different_people():
    looks = [choose_look(seed) for seed in range(24)]
    assert looks == [choose_look(seed) for seed in range(24)]
    assert {look.hair_style for look in looks} == {"short", "bob", "long"}
    assert len({look.skin for look in looks}) >= 4
    assert len({look.top for look in looks}) >= 4


@pytest.mark.parametrize("height", [0, 255, 5000])
def test_absurd_sizes_are_refused(height):
    with pytest.raises(InputError, match=f"{height} rows"):
        draw_sample_person(height=height)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 21])
def test_our_own_perception_finds_all_of_the_person(seed):
    from persona.perception.stage import perceive
    from persona.records.photo import Photo

    picture = draw_sample_person(seed=seed, height=1024)
    seen = perceive(Photo(rgb=picture))
    assert seen.face is not None
    assert seen.left_hand is not None
    assert seen.right_hand is not None
    assert seen.person_height_px == pytest.approx(0.88 * 1024, rel=0.04)
    assert seen.warnings == ()
