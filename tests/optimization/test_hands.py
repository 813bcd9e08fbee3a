"""Hands the photo does not show: found by their pixels, tucked away, or left in a free sleeve."""

from dataclasses import replace

import pytest
import torch

from persona.kernels import rasterize_mesh
from persona.optimization.hands import WRISTS, hidden_hands, tuck_hands
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.view import working_view
from persona.records.observation import Part

LEFT, RIGHT = Limb.LEFT_HAND, Limb.RIGHT_HAND
SMALL = 120
"""Rows of a person whose hands are looked for [px]."""


@pytest.fixture(scope="module")
def pocketed(draw, arms_down):
    """The left hand lies on the belly, as the fit would guess a hand in a pocket."""
    pose = arms_down()
    pose[17] = torch.tensor([0.5, -1.3, -1.0])
    return draw(pose)


def look(drawn):
    return working_view(drawn.photo, drawn.observation, drawn.fit, person_height=SMALL)


def visible(body, fit, view, limb):
    """Pixels of a hand that nothing hides."""
    pixels, depth = view.camera.project(body.forward(fit.params).vertices)
    size = {"width": view.camera.width, "height": view.camera.height}
    ids = rasterize_mesh(pixels, depth, body.faces, **size)[0].numpy()
    mine = (LIMB_OF_JOINT[body.weights.argmax(1).numpy()][body.faces.numpy()] == limb).all(1)
    return int((mine[ids.clip(0)] & (ids >= 0)).sum())


def test_hands_that_show_skin_are_seen(body, drawn, view):
    assert hidden_hands(body, drawn.fit, view) == frozenset()


def test_a_hand_without_a_pixel_of_skin_is_hidden_whatever_the_detector_says(body, drawn, view):
    parts = torch.where(view.parts == Part.SKIN, int(Part.LOWER), view.parts)
    assert hidden_hands(body, drawn.fit, replace(view, parts=parts)) == {LEFT, RIGHT}


def test_a_hand_that_lies_on_its_picture_is_shown_though_the_detector_missed_it(body, drawn, view):
    fit = replace(drawn.fit, left_hand_seen=False)
    assert hidden_hands(body, fit, view) == frozenset()


def test_skin_of_a_bare_belly_shows_no_hand(body, pocketed):
    view = look(pocketed)
    fit = replace(pocketed.fit, left_hand_seen=False)
    belly = torch.isin(view.parts, torch.tensor([int(Part.UPPER), int(Part.LOWER)]))
    bare = torch.where(belly, int(Part.SKIN), view.parts)
    assert hidden_hands(body, fit, replace(view, parts=bare)) == {LEFT}


def test_a_guess_beside_the_hands_picture_is_hidden(body, drawn, view):
    limbs = LIMB_OF_JOINT[body.weights.argmax(1).numpy()] == LEFT
    posed = body.forward(drawn.fit.params).vertices[torch.from_numpy(limbs)]
    pixels, _ = view.camera.project(posed)
    column, row = pixels.mean(0).long().tolist()
    parts = view.parts.clone()
    reach = slice(max(row - 60, 0), row + 60), slice(max(column - 60, 0), column + 60)
    near = parts[reach]
    edge = pixels[:, 1].quantile(0.75) - reach[0].start  # three quarters of the hand are no skin
    near[: int(edge)] = torch.where(
        near[: int(edge)] == Part.SKIN, int(Part.UPPER), near[: int(edge)]
    )
    fit = replace(drawn.fit, left_hand_seen=False)
    assert LEFT in hidden_hands(body, fit, replace(view, parts=parts))


def test_a_hidden_hand_before_the_body_is_tucked_away(body, pocketed):
    view = look(pocketed)
    before = visible(body, pocketed.fit, view, LEFT)
    tucked = tuck_hands(body, pocketed.fit, view, frozenset({LEFT}))
    assert before > 20, "the test needs a hand that lies on the body"
    assert visible(body, tucked, view, LEFT) < 0.5 * before
    moved = (tucked.params.body_pose != pocketed.fit.params.body_pose).any(1)
    assert torch.nonzero(moved)[:, 0].tolist() == [WRISTS[LEFT] - 1], "only the wrist turns"


def test_a_hand_in_a_free_sleeve_stays(body, drawn, view):
    assert tuck_hands(body, drawn.fit, view, frozenset({LEFT, RIGHT})) is drawn.fit


def test_seen_hands_are_never_turned(body, pocketed):
    assert tuck_hands(body, pocketed.fit, look(pocketed), frozenset()) is pocketed.fit
