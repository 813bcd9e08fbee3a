"""Poor photos are told what is poor about them; good ones are left in peace."""

import cv2
import numpy as np
import pytest

from persona.perception.photo_quality import quality_warnings
from tests.perception.test_parts import dressed


def textured():
    picture, mask, person = dressed(bare_arms=True, bare_legs=False)
    noise = np.random.default_rng(1).normal(0, 25, picture.shape[:2])
    shading = np.linspace(-40, 40, picture.shape[0])[:, None] % 37 - 18
    picture = np.clip(picture + (noise + shading)[..., None], 0, 255).astype(np.uint8)
    return picture, mask, person


def warnings(picture, mask, person):
    return " | ".join(quality_warnings(picture, mask, person))


def test_a_good_photo_is_only_told_about_unseen_hands():
    assert warnings(*textured()) == "neither hand was made out: it was given a relaxed pose"


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda p: cv2.GaussianBlur(p, (0, 0), 6), "blurred"),
        (lambda p: (p * 0.2).astype(np.uint8), "dark"),
        (lambda p: np.repeat(p.mean(-1, keepdims=True), 3, -1).astype(np.uint8), "grey"),
        (lambda p: np.clip(p.astype(float) * 4 + 60, 0, 255).astype(np.uint8), "overexposed"),
    ],
    ids=["blurred", "dark", "grey", "overexposed"],
)
def test_each_fault_is_named(spoil, word):
    picture, mask, person = textured()
    assert word in warnings(spoil(picture), mask, person)


def test_a_flat_face_is_taken_for_a_drawing():
    picture, mask, person = dressed(bare_arms=True, bare_legs=False)
    assert "cartoon" in warnings(picture, mask, person)
