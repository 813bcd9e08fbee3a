"""Guess, measure, correct: in this order, and the correction wins."""

from dataclasses import replace

import pytest

from persona.body import load_body
from persona.pipeline.tailor import TailorWardrobe
from persona.records.wardrobe import Lower, Standoff
from persona.records.wardrobe_file import Corrections


@pytest.fixture
def seen(counting):
    """Photo, observation with the landmarks of the drawn body, and fit."""
    avatar = counting.avatar
    posed = avatar.body.forward(avatar.photo_params)
    marks = avatar.body.landmarks.pose33(posed.vertices, posed.joints)
    pixels, _ = avatar.photo_camera.project(marks)
    return counting.photo, replace(counting.observation, body=pixels), counting.fit


def test_a_correction_wins_and_is_recorded(seen):
    known = Corrections(lower=Lower.SKIRT, hems=(0.8, 0.8), standoff=Standoff(trunk=0.02))
    wardrobe = TailorWardrobe(body=load_body(), corrections=known)(*seen)
    assert wardrobe.lower is Lower.SKIRT
    assert wardrobe.is_tube
    assert wardrobe.hems == (0.8, 0.8)
    assert {"lower", "hems", "standoff"} <= {*wardrobe.corrected}


def test_the_stand_off_is_measured_and_the_same_photo_gives_the_same_clothes(seen):
    tailor = TailorWardrobe(body=load_body())
    wardrobe = tailor(*seen)
    # The drawn person wears nothing but their Gaussians.
    assert 0 < wardrobe.standoff.trunk < 0.04
    assert wardrobe.corrected == ()
    assert tailor(*seen) == wardrobe


def test_a_photo_that_tells_nothing_still_gives_a_guess(counting):
    tailor = TailorWardrobe(body=load_body())
    wardrobe = tailor(counting.photo, counting.observation, counting.fit)
    assert not wardrobe.is_tube
