"""Nobody, several people, or one of several: the right one is taken, or the right word is said."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from persona.core.errors import PhotoError
from persona.perception.detectors import Detectors, Sighting
from persona.perception.person import choose_person
from tests.perception.conftest import HEIGHT, WIDTH, sighting, standing

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40)}


@dataclass
class PaintedPeople(Detectors):
    """A detector that sees a person wherever their colour still covers their chest."""

    people: dict[str, Sighting]
    faces_seen: list = field(default_factory=list)

    def person(self, picture, window, *, pixels, mirrored=False):
        for colour, one in self.people.items():
            x, y = one.body[[11, 12, 23, 24]].mean(0)
            shown = picture[int(y), int(x)].astype(int)
            inside = window.left <= x < window.left + window.side
            if inside and np.abs(shown - COLOURS[colour]).max() < 20:
                return one
        return None

    def faces(self, picture, window, *, pixels):
        return self.faces_seen

    def face_mesh(self, picture, window, *, pixels):
        return None

    def hands(self, picture, window, *, pixels, mirrored=False):
        return []


def scene(**people):
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for colour, one in people.items():
        picture[one.mask > 0] = COLOURS[colour]
    return picture, PaintedPeople(people)


def choose(picture, detectors, person=None):
    return choose_person(picture, detectors, name="party", person=person)


def test_nobody_is_said_so():
    with pytest.raises(PhotoError, match="nobody was found in party"):
        choose(*scene())


def test_a_single_person_is_taken():
    one = sighting(standing())
    assert choose(*scene(red=one)).body is one.body


def test_two_people_are_refused_and_placed():
    left, right = sighting(standing(), left=200), sighting(standing(), left=800)
    with pytest.raises(PhotoError, match="two people were found in party") as caught:
        choose(*scene(red=left, green=right))
    assert "on the left (x = 200 px)" in caught.value.what
    assert "on the right (x = 800 px)" in caught.value.what
    assert "--person N" in caught.value.fix


@pytest.mark.parametrize(("number", "x"), [(1, 200), (2, 800)])
def test_people_are_picked_from_the_left(number, x):
    left, right = sighting(standing(), left=200), sighting(standing(), left=800)
    chosen = choose(*scene(red=right, green=left), person=number)
    assert chosen.body[[23, 24], 0].mean() == pytest.approx(x)
    assert not (chosen.mask[:, 450:550] > 0).any()


def test_a_number_beyond_the_people_is_refused():
    with pytest.raises(PhotoError, match="person 3 was asked for, but party shows 1"):
        choose(*scene(red=sighting(standing())), person=3)


def test_small_people_in_the_background_do_not_count():
    near, far = sighting(standing(), left=300), sighting(standing(), left=800, scale=200)
    assert choose(*scene(red=near, green=far)).body is near.body


def test_a_companion_of_whom_only_the_face_is_seen_counts():
    picture, detectors = scene(red=sighting(standing(), left=300))
    detectors.faces_seen = [(0.9, (900, 300, 990, 390))]
    with pytest.raises(PhotoError, match="two people"):
        choose(picture, detectors)
    detectors.faces_seen = [(0.9, (900, 300, 925, 325))]
    choose(picture, detectors)
