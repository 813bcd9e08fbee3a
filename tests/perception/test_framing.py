"""Every way of being cut off, hidden, turned away or seated gets its own word."""

from dataclasses import replace

import numpy as np
import pytest

from persona.core.errors import PhotoError
from persona.perception.framing import find_flaws, require_whole_person
from tests.perception.conftest import HEIGHT, WIDTH, sighting, standing

SITTING = {
    "j25": (0.12, 0.48, 0.42), "j26": (-0.12, 0.48, 0.42), "j27": (0.12, 0.09, 0.45),
    "j28": (-0.12, 0.09, 0.45), "j29": (0.12, 0.04, 0.4), "j30": (-0.12, 0.04, 0.4),
    "j31": (0.12, 0.02, 0.6), "j32": (-0.12, 0.02, 0.6), "j23": (0.1, 0.5, 0.0),
    "j24": (-0.1, 0.5, 0.0), "j11": (0.18, 1.0, 0.0), "j12": (-0.18, 1.0, 0.0),
    "j15": (0.2, 0.6, 0.15), "j16": (-0.2, 0.6, 0.15),
}  # fmt: skip
SQUATTING = SITTING | {
    "j11": (0.18, 0.9, 0.35), "j12": (-0.18, 0.9, 0.35), "j15": (0.2, 0.9, 0.8),
    "j16": (-0.2, 0.9, 0.8),
}  # fmt: skip
KNEE_UP = {"j25": (0.1, 0.85, 0.4), "j27": (0.1, 0.5, 0.4), "j29": (0.1, 0.45, 0.35),
           "j31": (0.1, 0.43, 0.5)}  # fmt: skip
LYING = {f"j{index}": (y - 0.9, 0.12 + 0.02 * x, x) for index, (x, y, _) in enumerate(standing())}


EMPTY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)


def words(person, picture=EMPTY):
    found = find_flaws(picture, person)
    return "; ".join(flaw.what for flaw in found)


def back_view():
    turned = standing()
    turned[:, 0] *= -1
    return replace(sighting(turned), face=None)


CASES = {
    "standing": (sighting(standing()), ""),
    "squat": (sighting(standing(**SQUATTING)), ""),
    "one knee up": (sighting(standing(**KNEE_UP)), ""),
    "frame ends at the hips": (sighting(standing(), floor=1650), "only the upper body"),
    "frame ends at the shins": (sighting(standing(), floor=1270), "legs below the knees"),
    "frame ends at the ankles": (sighting(standing(), floor=1207), "the feet"),
    "head above the frame": (sighting(standing(), floor=720), "top of the head"),
    "left of the frame": (sighting(standing(), left=60), "left side"),
    "right of the frame": (sighting(standing(), left=940), "right side"),
    "from behind": (back_view(), "from the back"),
    "on a chair": (sighting(standing(**SITTING)), "seated"),
    "on the floor": (sighting(standing(**LYING), floor=800), "lying or sitting on the floor"),
    "far away": (sighting(standing(), scale=120), "px tall"),
}


@pytest.mark.parametrize(("person", "word"), CASES.values(), ids=CASES.keys())
def test_each_flaw_has_its_own_word(person, word):
    if word:
        assert word in words(person)
    else:
        assert words(person) == ""


def test_hidden_legs_are_named():
    person = sighting(standing())
    visibility = np.where(np.arange(33) >= 25, 0.2, 1.0)
    assert "legs are hidden" in words(replace(person, visibility=visibility))


def test_all_flaws_are_told_at_once_with_what_to_do():
    person = replace(back_view(), body=back_view().body + np.array([0, 550]))
    with pytest.raises(PhotoError) as caught:
        require_whole_person(EMPTY, person, name="x", allow_partial=False)
    assert "only the upper body" in caught.value.what
    assert "from the back" in caught.value.what
    assert "step back" in caught.value.fix
    assert "--allow-partial" in caught.value.fix


def test_partial_people_are_allowed_when_asked_and_what_is_invented_is_said():
    person = sighting(standing(), floor=1207)
    (warning,) = require_whole_person(EMPTY, person, name="x", allow_partial=True)
    assert "invented" in warning
    whole = CASES["standing"][0]
    assert require_whole_person(EMPTY, whole, name="x", allow_partial=True) == ()


def test_hair_where_the_face_should_be_is_a_back_even_when_the_shoulders_seem_right():
    bust = replace(sighting(standing()), face=None)
    hair, skin = EMPTY.copy(), EMPTY.copy()
    hair[:500], skin[:500] = (70, 20, 90), (214, 160, 130)
    assert "from the back" in words(bust, hair)
    assert words(bust, skin) == ""
