"""Guess, measure, correct: in this order, and the correction wins."""

from dataclasses import replace

import pytest
import torch

from persona.body import load_body
from persona.pipeline.tailor import SewOutfit, TailorWardrobe
from persona.records.observation import Part
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


def test_long_hair_is_sewn_from_where_the_photo_shows_it(seen):
    """Beside the neck in the photo, around its back as cloth, and not before the face."""
    _, observation, fit = seen
    wardrobe = replace(TailorWardrobe(body=load_body())(*seen), hair=0.3)
    sew = SewOutfit(body=load_body())
    bald = sew(observation, fit, wardrobe)
    assert "hair was left out" in " ".join(bald.warnings)
    nose, shoulders = observation.body[0], observation.body[[11, 12]].mean(0)
    height, width = observation.mask.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    across = (column - nose[0]).abs() / (shoulders[1] - nose[1])
    locks = (across > 0.35) & (across < 0.7) & (row > nose[1] - 5) & (row < shoulders[1] + 5)
    parts = torch.where(locks, int(Part.HAIR), observation.parts)
    outfit = sew(replace(observation, parts=parts), fit, wardrobe)
    hair = next(garment for garment in outfit.garments if garment.name == "hair")
    assert hair.rest_vertices[:, 2].median() < 0
    left, right = hair.rest_vertices[:, 0].amax(), hair.rest_vertices[:, 0].amin()
    assert left > 0.03
    assert right < -0.03


def test_a_sleeve_on_an_arm_outside_the_picture_is_left_out_with_a_word(seen):
    _, observation, fit = seen
    wardrobe = replace(TailorWardrobe(body=load_body())(*seen), sleeves=(2.0, 2.0))
    body = observation.body.clone()
    body[13, 0] = -40.0
    outfit = SewOutfit(body=load_body())(replace(observation, body=body), fit, wardrobe)
    assert "the left sleeve was left out" in " ".join(outfit.warnings)
    top = next(garment for garment in outfit.garments if garment.name == "top")
    assert top.rest_vertices[:, 0].amax() < 0.6 * -top.rest_vertices[:, 0].amin()
