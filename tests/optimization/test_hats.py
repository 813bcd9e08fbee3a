"""Hats: a brim of another colour than the hair is a hat, everything else is hair."""

import cv2
import numpy as np
import pytest

from persona.optimization.hats import find_hat

STRAW, DARK, FACE = (0.8, 0.7, 0.5), (0.15, 0.1, 0.1), (0.9, 0.7, 0.6)


def head_with(*, brim_color, brim_width=70):
    """Paint a face with a fringe, and something wide above it; image, hair and head."""
    image = np.ones((160, 160, 3), np.float32)
    hair, head = np.zeros((160, 160), np.uint8), np.zeros((160, 160), np.uint8)
    cv2.ellipse(head, (80, 90), (30, 40), 0, 0, 360, 1, -1)
    image[head > 0] = FACE
    fringe = np.zeros_like(head)
    fringe[62:76] = head[62:76]
    above = np.zeros_like(head)
    cv2.ellipse(above, (80, 55), (brim_width, 8), 0, 0, 360, 1, -1)
    cv2.ellipse(above, (80, 45), (28, 22), 0, 0, 360, 1, -1)
    image[fringe > 0], image[above > 0] = DARK, brim_color
    hair = (fringe > 0) | (above > 0)
    return image, hair, head > 0


def test_a_straw_hat_is_found_with_its_width_in_every_row():
    image, hair, head = head_with(brim_color=STRAW)
    hat = find_hat(image, hair, head)
    assert hat is not None
    assert hat.radius.max() == pytest.approx(70, abs=2)
    assert hat.center[hat.radius > 0] == pytest.approx(80.5, abs=1)
    assert not hat.mask[70:].any(), "the fringe under it is hair"
    np.testing.assert_allclose(hat.thickness().max(1), hat.radius, rtol=0.05, atol=0.6)


def test_wide_hair_of_one_colour_is_no_hat():
    assert find_hat(*head_with(brim_color=DARK)) is None


def test_a_cap_without_a_brim_is_no_hat():
    assert find_hat(*head_with(brim_color=STRAW, brim_width=28)) is None


def test_a_picture_without_a_head_has_no_hat():
    image, hair, head = head_with(brim_color=STRAW)
    assert find_hat(image, hair, head & False) is None
