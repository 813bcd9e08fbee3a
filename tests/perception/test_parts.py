"""Parts of a painted figure are told apart by place and colour."""

import cv2
import numpy as np
import pytest

from persona.perception.parts import label_parts
from persona.perception.skin import skin_distance
from persona.records.observation import Part
from tests.perception.conftest import HEIGHT, WIDTH, sighting, standing

SKIN, HAIR, SHIRT, TROUSERS, SHOES = (
    (214, 160, 130), (50, 35, 25), (60, 90, 170), (70, 70, 75), (150, 20, 30),
)  # fmt: skip


def dressed(*, bare_arms: bool, bare_legs: bool, bare_chest: bool = False):
    """Paint a standing figure; returns picture, mask and sighting."""
    person = sighting(standing())
    body = np.round(person.body).astype(int)
    picture = np.full((HEIGHT, WIDTH, 3), 235, np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)

    def stroke(points, colour, thick):
        for canvas, value in ((picture, colour), (mask, 1.0)):
            line = [np.round(np.array(points)).astype(np.int32)]
            cv2.polylines(canvas, line, isClosed=False, color=value, thickness=thick)

    shirt = SKIN if bare_chest else SHIRT
    cv2.ellipse(picture, (500, 345), (46, 60), 0, 0, 360, HAIR, -1)
    cv2.ellipse(mask, (500, 345), (46, 60), 0, 0, 360, 1.0, -1)
    for hip, knee, ankle, heel, toe in ((23, 25, 27, 29, 31), (24, 26, 28, 30, 32)):
        stroke(body[[hip, knee, ankle]], TROUSERS, 60)
        if bare_legs:
            stroke([0.7 * body[knee] + 0.3 * body[hip], body[knee], body[ankle]], SKIN, 50)
        stroke(body[[ankle, heel, toe]], SHOES, 40)
    trunk = np.array([body[11], body[12], body[24] + (0, 10), body[23] + (0, 10)])
    for canvas, value in ((picture, shirt), (mask, 1.0)):
        cv2.fillConvexPoly(canvas, cv2.convexHull(trunk.astype(np.int32)), value)
    stroke([(500, 380), (500, 442)], SKIN, 40)
    stroke(body[[23, 24]] + (0, 16), TROUSERS, 30)
    for shoulder, elbow, wrist, finger in ((11, 13, 15, 19), (12, 14, 16, 20)):
        stroke(body[[shoulder, elbow, wrist]], SKIN if bare_chest else SHIRT, 44)
        if bare_arms:
            stroke(body[[elbow, wrist]], SKIN, 40)
        stroke(body[[wrist, finger]], SKIN, 36)
    cv2.fillPoly(picture, [np.round(person.face[:, :2]).astype(np.int32)], SKIN)
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), mask, person


def at(labels, person, joint, other, share=0.5):
    x, y = person.body[joint] * (1 - share) + person.body[other] * share
    return Part(int(labels[int(y), int(x)]))


@pytest.mark.parametrize("bare_arms", [False, True])
@pytest.mark.parametrize("bare_legs", [False, True])
def test_sleeves_and_hems_are_found(bare_arms, bare_legs):
    picture, mask, person = dressed(bare_arms=bare_arms, bare_legs=bare_legs)
    labels = label_parts(picture, mask, person)
    forearm = Part.SKIN if bare_arms else Part.UPPER
    shin = Part.SKIN if bare_legs else Part.LOWER
    assert at(labels, person, 13, 15, 0.6) == forearm
    assert at(labels, person, 14, 16, 0.6) == forearm
    assert at(labels, person, 11, 13, 0.4) == Part.UPPER
    assert at(labels, person, 25, 27) == shin
    assert at(labels, person, 26, 28) == shin
    assert at(labels, person, 23, 25, 0.3) == Part.LOWER
    assert at(labels, person, 15, 19, 0.7) == Part.SKIN
    assert at(labels, person, 29, 31) == Part.SHOES
    assert at(labels, person, 11, 24) == Part.UPPER
    assert labels[295, 500] == Part.HAIR
    assert labels[370, 500] == Part.SKIN


def test_a_bare_chest_is_skin():
    picture, mask, person = dressed(bare_arms=True, bare_legs=False, bare_chest=True)
    labels = label_parts(picture, mask, person)
    assert at(labels, person, 11, 24) == Part.SKIN
    assert at(labels, person, 11, 13) == Part.SKIN
    assert at(labels, person, 25, 27) == Part.LOWER


def test_everything_inside_the_mask_is_labelled_and_nothing_outside():
    picture, mask, person = dressed(bare_arms=True, bare_legs=True)
    labels = label_parts(picture, mask, person)
    assert ((labels != Part.BACKGROUND) == (mask > 0.5)).all()
    assert not label_parts(picture, np.zeros_like(mask), person).any()


def test_skin_keeps_its_hue_in_light_and_shade_and_cloth_does_not_pass():
    own = np.array([[60.0, 16.0, 20.0]])
    passes = np.array([[60.0, 16, 20], [45, 17, 20], [75, 12, 15], [55, 13, 18]])
    fails = np.array([[60.0, -10, -20], [60, 1, 1], [60, 40, 10], [20, 0, 0], [60, 0, 40]])
    assert (skin_distance(passes, own) < 1).all()
    assert (skin_distance(fails, own) > 1).all()


def test_a_sliver_along_the_face_is_no_hair_and_a_lock_is():
    """The last pixels of a face are mixed and dark; only what has some width hangs beside it."""
    picture, mask, person = dressed(bare_arms=True, bare_legs=False)
    oval = person.face[:, :2]
    left, right = int(oval[:, 0].min()), int(oval[:, 0].max())
    middle = int(oval[:, 1].mean())
    rows = slice(middle - 10, middle + 30)
    picture[rows, left - 3 : left + 1] = HAIR
    picture[rows, right : right + 22] = HAIR
    mask[rows, left - 3 : right + 22] = 1.0
    picture[rows, : left - 3] = 235
    mask[rows, : left - 3] = 0.0
    labels = label_parts(picture, mask, person)
    # The outermost pixel is half background.
    assert (labels[rows, left - 2 : left] != Part.HAIR).mean() > 0.8
    assert (labels[rows, right + 6 : right + 16] == Part.HAIR).mean() > 0.5
