"""The mask finds the outline of a painted figure from a coarse guess."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from persona.perception.matting import local_colours, person_mask, settle
from tests.perception.conftest import HEIGHT, WIDTH, sighting, standing

LIMBS = ((11, 13, 15), (12, 14, 16), (23, 25, 27, 31), (24, 26, 28, 32), (11, 23, 24, 12, 11))


def painted(ground, cloth, *, seed=0):
    """A figure of thick limbs on a noisy ground: picture, true mask and sighting."""
    person = sighting(standing())
    true = np.zeros((HEIGHT, WIDTH), np.uint8)
    body = np.round(person.body).astype(np.int32)
    for limb in LIMBS:
        cv2.polylines(true, [body[list(limb)]], isClosed=False, color=1, thickness=44)
    cv2.fillConvexPoly(true, cv2.convexHull(body[[11, 12, 24, 23]]), 1)
    cv2.ellipse(true, (500, 360), (40, 62), 0, 0, 360, 1, -1)
    cv2.line(true, (500, 360), (500, 450), 1, 36)
    rng = np.random.default_rng(seed)
    picture = np.where(true[..., None] > 0, np.array(cloth), np.array(ground))
    picture = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
    coarse = cv2.resize(true.astype(np.float32), (83, 100), interpolation=cv2.INTER_AREA)
    guess = cv2.GaussianBlur(cv2.resize(coarse, (WIDTH, HEIGHT)), (0, 0), 6)
    return picture, true > 0, replace(person, mask=guess)


@pytest.mark.parametrize(
    ("ground", "cloth"),
    [
        ((200, 200, 205), (40, 60, 120)),
        ((60, 90, 50), (180, 60, 50)),
        ((90, 90, 90), (120, 120, 120)),
    ],
    ids=["dark on light", "red on green", "grey on grey"],
)
def test_the_outline_is_found_within_a_pixel(ground, cloth):
    picture, true, person = painted(ground, cloth)
    mask = person_mask(picture, person)
    guess = person.mask > 0.5

    def agreement(found):
        return (found & true).sum() / (found | true).sum()

    assert agreement(mask > 0.5) > 0.985
    assert agreement(mask > 0.5) > agreement(guess)
    # Crisp: hardly a pixel is neither in nor out.
    assert ((mask > 0.1) & (mask < 0.9)).mean() < 0.02
    assert mask[800:1000, 495:505].max() < 0.1, "the gap between the legs stays open"


def test_the_same_picture_gives_the_same_mask():
    picture, _, person = painted((200, 200, 205), (40, 60, 120))
    assert (person_mask(picture, person) == person_mask(picture, person)).all()


def test_colours_say_nothing_where_both_sides_look_alike():
    lab = np.random.default_rng(0).normal(60, 1, (60, 60, 3)).astype(np.float32)
    inside, outside = np.zeros((2, 60, 60), bool)
    inside[:, :25], outside[:, 35:] = True, True
    assert np.abs(local_colours(lab, inside=inside, outside=outside, reach=15)).max() < 0.5


def test_settling_keeps_decided_pixels_and_stops_at_edges():
    lab = np.zeros((40, 40, 3), np.float32)
    lab[:, 23:] = 40
    inside, outside = np.zeros((2, 40, 40), bool)
    inside[:, :10], outside[:, 30:] = True, True
    settled = settle(lab, np.full((40, 40), 0.5), inside=inside, outside=outside)
    assert (settled[:, :10] == 1).all()
    assert (settled[:, 30:] == 0).all()
    assert ((settled > 0.5)[:, :23]).all()
    assert not ((settled > 0.5)[:, 23:]).any()
