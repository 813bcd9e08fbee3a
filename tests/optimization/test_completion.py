"""Colours of what the photo does not show: same garment, same height, no print, no invention."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from persona.optimization.completion import SLICE, complete_colors, spread_parts
from persona.optimization.limbs import Limb
from persona.optimization.surface import Surface
from persona.records.observation import Part

BLUE, GREEN, RED = (0.2, 0.3, 0.7), (0.3, 0.6, 0.2), (0.9, 0.1, 0.1)
SPACING = 0.008
"""Between Gaussians [m]."""


def tube(limb, *, low, high, radius, center=(0.0, 0.0), axis="y"):
    """Cover a cylinder with points; places and outward normals, (n, 3)."""
    around = np.arange(0, 2 * np.pi, SPACING / radius)
    along = np.arange(low, high, SPACING)
    angle, height = (a.ravel() for a in np.meshgrid(around, along))
    ring = np.stack([np.sin(angle), np.cos(angle)], 1)
    if axis == "y":
        points = np.stack([ring[:, 0] * radius + center[0], height, ring[:, 1] * radius], 1)
        normals = np.stack([ring[:, 0], 0 * height, ring[:, 1]], 1)
    else:
        points = np.stack([height, ring[:, 0] * radius + center[1], ring[:, 1] * radius], 1)
        normals = np.stack([0 * height, ring[:, 0], ring[:, 1]], 1)
    return points, normals, np.full(len(points), int(limb))


def person(*tubes, colors, parts):
    """Paint tubes from the front: what faces +z is seen, the rest is grey and of no part."""
    rest, normals, limb = (np.concatenate(x) for x in zip(*tubes, strict=True))
    seen = normals[:, 2] > 0.42
    true_part = parts(rest, limb)
    true_color = np.array(colors(rest, limb), float)
    surface = Surface(
        rest=rest,
        limb=limb,
        hair_shell=np.zeros(len(rest), bool),
        part=np.where(seen, true_part, 0),
        seen=seen,
        copyable=seen,
        color=np.where(seen[:, None], true_color, 0.5),
        mirrored=np.full((len(rest), 3), np.nan),
    )
    return surface, true_part, true_color


def complete(surface):
    surface = replace(surface, part=spread_parts(surface))
    return surface, complete_colors(surface)


def torso(low=-0.5, high=0.4):
    return tube(Limb.TORSO, low=low, high=high, radius=0.15)


def two_colors(hem):
    """A top above the hem and trousers below it."""
    return {
        "parts": lambda rest, limb: np.where(rest[:, 1] > hem, int(Part.UPPER), int(Part.LOWER)),
        "colors": lambda rest, limb: np.where(rest[:, 1:2] > hem, BLUE, GREEN),
    }


@given(hem=st.floats(-0.4, -0.1))
@settings(max_examples=8, deadline=None)
def test_a_hem_stays_at_its_height_on_the_back(hem):
    surface, true_part, true_color = person(torso(), **two_colors(hem))
    surface, colors = complete(surface)
    clear = ~surface.seen & (np.abs(surface.rest[:, 1] - hem) > 0.02)
    assert (surface.part[clear] == true_part[clear]).mean() > 0.999
    far = ~surface.seen & (np.abs(surface.rest[:, 1] - hem) > 0.03)
    assert np.abs(colors[far] - true_color[far]).max() < 0.03


@pytest.mark.parametrize("axis", ["below", "across", "above"])
def test_slices_are_read_where_they_are(axis):
    """Heights run through zero; a table that began at the wrong end would mirror or shift it."""
    low, high = {"below": (-0.9, -0.2), "across": (-0.4, 0.4), "above": (0.2, 0.9)}[axis]

    def ramp(rest, limb):
        share = (rest[:, 1:2] - low) / (high - low)
        return share * np.array(RED) + (1 - share) * np.array(BLUE)

    surface, _, truth = person(
        torso(low, high), parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)), colors=ramp
    )
    _, colors = complete(surface)
    inner = (surface.rest[:, 1] > low + 0.05) & (surface.rest[:, 1] < high - 0.05)
    hidden = ~surface.seen & inner
    assert np.abs(colors[hidden] - truth[hidden]).max() < 0.04


def test_shade_stays_in_front_and_stripes_go_round():
    """A fold darkens a band by a quarter; a stripe has another colour."""
    band = {"fold": 0.75 * np.array(BLUE), "stripe": np.array(GREEN)}
    found = {}
    for name, color in band.items():

        def paint(rest, limb, color=color):
            return np.where(np.abs(rest[:, 1:2]) < 0.06, color, BLUE)

        surface, _, _ = person(
            torso(), parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)), colors=paint
        )
        _, colors = complete(surface)
        far = surface.rest[:, 2] < -0.12
        found[name] = np.abs(colors[far & (np.abs(surface.rest[:, 1]) < 0.03)] - color).mean()
        plain = np.abs(colors[far & (np.abs(surface.rest[:, 1]) > 0.12)] - BLUE).max()
        assert plain < 0.03
    assert found["stripe"] < 0.02
    gap = np.abs(band["fold"] - BLUE).mean()
    assert found["fold"] > 0.5 * gap


def test_narrow_stripes_go_round_sharp_and_a_tie_does_not():
    """Every third 4-cm band is red all round; a green tie covers the middle of the front."""

    def paint(rest, limb):
        red = np.mod(np.floor(rest[:, 1:2] / 0.04), 3) == 0
        striped = np.where(red, RED, BLUE)
        return np.where(np.abs(rest[:, :1]) < 0.03, GREEN, striped)

    surface, _, _ = person(
        torso(), parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)), colors=paint
    )
    _, colors = complete(surface)
    band = np.floor(surface.rest[:, 1] / 0.04)
    inside = np.abs(np.mod(surface.rest[:, 1] / 0.04, 1) - 0.5) < 0.3
    back = (surface.rest[:, 2] < -0.12) & (np.abs(surface.rest[:, 1]) < 0.35) & inside
    for rows, color in ((band % 3 == 0, RED), (band % 3 != 0, BLUE)):
        assert np.abs(colors[back & rows] - color).mean() < 0.12


def test_a_forehead_taken_for_hair_does_not_colour_the_back_of_a_head():
    """The lower half of what passes for hair has the face's colour, next to unseen hair."""
    skin, dark = np.array([0.8, 0.6, 0.5]), np.array([0.15, 0.12, 0.1])
    rest, normals, limb = tube(Limb.HEAD, low=0.3, high=0.6, radius=0.08)
    labelled = rest[:, 1] > 0.45
    color = np.where(rest[:, 1:2] > 0.52, dark, skin)
    seen = normals[:, 2] > 0.42
    surface = Surface(
        rest=rest,
        limb=limb,
        hair_shell=np.zeros(len(rest), bool),
        part=np.where(labelled, int(Part.HAIR), int(Part.SKIN)),
        seen=seen,
        copyable=seen,
        color=np.where(seen[:, None], color, 0.5),
        mirrored=np.full((len(rest), 3), np.nan),
    )
    colors = complete_colors(surface)
    back = (rest[:, 2] < 0) & (rest[:, 1] > 0.47)
    assert np.abs(colors[back] - dark).max() < 0.1
    assert np.array_equal(colors[seen], surface.color[seen])


@pytest.mark.parametrize("blond", [False, True])
def test_a_scalp_that_shows_through_does_not_lighten_the_back(blond):
    """A third of thin dark hair looks like skin; fair hair does all over, and stays fair."""
    skin, dark = np.array([0.8, 0.6, 0.5]), np.array([0.15, 0.12, 0.1])
    rest, normals, limb = tube(Limb.HEAD, low=0.3, high=0.6, radius=0.08)
    hairy = rest[:, 1] > 0.45
    thin = hairy & (np.abs(rest[:, 0]) < 0.025)
    hair = skin - 0.1 if blond else dark
    color = np.where(hairy[:, None], np.where(thin[:, None], skin, hair), skin)
    seen = normals[:, 2] > 0.42
    surface = Surface(
        rest=rest,
        limb=limb,
        hair_shell=np.zeros(len(rest), bool),
        part=np.where(hairy, int(Part.HAIR), int(Part.SKIN)),
        seen=seen,
        copyable=seen,
        color=np.where(seen[:, None], color, 0.5),
        mirrored=np.full((len(rest), 3), np.nan),
    )
    colors = complete_colors(surface)
    back = (rest[:, 2] < -0.04) & (rest[:, 1] > 0.5)
    assert np.abs(np.median(colors[back], 0) - hair).max() < 0.08


def test_a_hidden_cheek_takes_the_colour_of_its_twin():
    """One half of a face is seen; the other is its mirror image, freckles and all."""
    rest, normals, limb = tube(Limb.HEAD, low=0.3, high=0.45, radius=0.08)
    freckle = (np.abs(np.abs(rest[:, 0]) - 0.04) < 0.012) & (np.abs(rest[:, 1] - 0.36) < 0.012)
    color = np.where(freckle[:, None], RED, (0.8, 0.6, 0.5))
    seen = (normals[:, 2] > 0.2) & (rest[:, 0] > 0.004)
    surface = Surface(
        rest=rest,
        limb=limb,
        hair_shell=np.zeros(len(rest), bool),
        part=np.full(len(rest), int(Part.SKIN)),
        seen=seen,
        copyable=seen,
        color=np.where(seen[:, None], color, 0.5),
        mirrored=np.where((rest[:, 0] < 0)[:, None], color, np.nan),
    )
    colors = complete_colors(surface)
    hidden = (rest[:, 0] < -0.02) & (normals[:, 2] > 0.3)
    assert np.abs(colors[hidden & freckle] - RED).mean() < 0.12
    assert np.abs(colors[hidden & ~freckle] - (0.8, 0.6, 0.5)).mean() < 0.04


def printed(half_width, height):
    """A red square in front on a blue cloth, in the middle of the tube at some height."""

    def paint(rest, limb):
        on_print = (np.abs(rest[:, 0]) < half_width) & (np.abs(rest[:, 1] - height) < 0.05)
        return np.where(on_print[:, None], RED, BLUE)

    return paint


def test_a_print_on_the_chest_is_not_copied_to_the_back():
    surface, _, _ = person(
        torso(),
        parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)),
        colors=printed(0.05, 0.0),
    )
    surface, colors = complete(surface)
    back = surface.rest[:, 2] < 0
    assert np.abs(colors[back] - BLUE).max() < 0.12, "no more than the largest copied detail"
    assert np.abs(colors[back] - BLUE).mean() < 0.02


def test_a_patch_on_a_sleeve_is_clipped_to_a_weaves_contrast():
    """Where no inner layer is looked for, the limit on copied detail alone keeps it in front."""
    surface, _, _ = person(
        tube(Limb.LEFT_ARM, low=0.2, high=0.7, radius=0.06, axis="x"),
        parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)),
        colors=lambda rest, limb: np.where(
            ((np.abs(rest[:, 0] - 0.45) < 0.04) & (np.abs(rest[:, 1]) < 0.02))[:, None], RED, BLUE
        ),
    )
    surface, colors = complete(surface)
    back = surface.rest[:, 2] < -0.03
    assert np.abs(colors[back] - BLUE).max() < 0.2


def legs():
    return [
        tube(limb, low=-0.9, high=-0.1, radius=0.08, center=(side, 0.0))
        for limb, side in ((Limb.LEFT_LEG, 0.1), (Limb.RIGHT_LEG, -0.1))
    ]


def test_stripes_round_both_legs_go_round():
    """Wider than a slice's reach, and each half of the trousers."""

    def striped(rest, limb):
        return np.where((np.floor(rest[:, 1] / 0.12) % 2 == 0)[:, None], RED, BLUE)

    surface, _, truth = person(
        *legs(), parts=lambda rest, limb: np.full(len(rest), int(Part.LOWER)), colors=striped
    )
    surface, colors = complete(surface)
    phase = (surface.rest[:, 1] / 0.12) % 1
    middle = ~surface.seen & (phase > 0.35) & (phase < 0.65)
    inner = middle & (surface.rest[:, 1] > -0.8) & (surface.rest[:, 1] < -0.2)
    nearer = np.abs(colors - RED).sum(1) < np.abs(colors - BLUE).sum(1)
    truly = np.abs(truth - RED).sum(1) < 0.1
    assert (nearer[inner] == truly[inner]).mean() > 0.98


def test_letters_down_one_leg_do_not_go_round_it():
    def lettered(rest, limb):
        on_print = (limb == Limb.LEFT_LEG) & (np.abs(rest[:, 0] - 0.1) < 0.055)
        return np.where((on_print & (np.abs(rest[:, 1] + 0.5) < 0.2))[:, None], RED, BLUE)

    surface, _, _ = person(
        *legs(), parts=lambda rest, limb: np.full(len(rest), int(Part.LOWER)), colors=lettered
    )
    surface, colors = complete(surface)
    back = surface.rest[:, 2] < 0
    assert np.abs(colors[back] - BLUE).max() < 0.12


@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_seen_colours_stay_and_unseen_ones_lie_among_them(seed):
    """Per part, every completed channel lies within the range of the seen ones and 0.12 detail."""
    noise = np.random.default_rng(seed)

    def woven(rest, limb):
        return np.clip(
            np.where(rest[:, 1:2] > -0.1, BLUE, GREEN) + noise.normal(0, 0.05, rest.shape), 0, 1
        )

    surface, _, _ = person(torso(), parts=two_colors(-0.1)["parts"], colors=woven)
    surface, colors = complete(surface)
    assert np.array_equal(colors[surface.seen], surface.color[surface.seen])
    assert colors.min() >= 0
    assert colors.max() <= 1
    for part in (Part.UPPER, Part.LOWER):
        known = surface.color[surface.seen & (surface.part == part)]
        made = colors[~surface.seen & (surface.part == part)]
        assert (made.min(0) >= known.min(0) - 0.05).all()
        assert (made.max(0) <= known.max(0) + 0.05).all()


def test_an_unseen_arm_borrows_from_the_other():
    sleeves = (
        tube(Limb.LEFT_ARM, low=0.2, high=0.7, radius=0.05, axis="x"),
        tube(Limb.RIGHT_ARM, low=-0.7, high=-0.2, radius=0.05, axis="x"),
    )
    surface, true_part, truth = person(
        *sleeves,
        parts=lambda rest, limb: np.where(
            np.abs(rest[:, 0]) < 0.5, int(Part.UPPER), int(Part.SKIN)
        ),
        colors=lambda rest, limb: np.where(np.abs(rest[:, :1]) < 0.5, BLUE, (0.8, 0.6, 0.5)),
    )
    blind = surface.limb == Limb.RIGHT_ARM
    surface = replace(
        surface,
        seen=surface.seen & ~blind,
        copyable=surface.copyable & ~blind,
        part=np.where(blind, 0, surface.part),
        color=np.where(blind[:, None], 0.5, surface.color),
    )
    surface, colors = complete(surface)
    clear = blind & (np.abs(np.abs(surface.rest[:, 0]) - 0.5) > 0.03)
    assert (surface.part[clear] == true_part[clear]).mean() > 0.999
    assert np.abs(colors[clear] - truth[clear]).max() < 0.06


def test_the_jacket_goes_round_and_the_shirt_inside_does_not():
    def opened(rest, limb):
        return np.where(np.abs(rest[:, :1]) < 0.04, (0.95, 0.95, 0.9), BLUE)

    surface, _, _ = person(
        torso(), parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)), colors=opened
    )
    surface, colors = complete(surface)
    back = surface.rest[:, 2] < 0
    assert np.abs(colors[back] - BLUE).max() < 0.1


def test_an_open_jacket_that_hangs_to_one_side_goes_round_alone():
    """The shirt inside reaches one side of the trunk; a stripe would reach both."""

    def opened(rest, limb):
        return np.where(rest[:, :1] < -0.05, (0.95, 0.95, 0.9), BLUE)

    surface, _, _ = person(
        torso(), parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)), colors=opened
    )
    surface, colors = complete(surface)
    back = (surface.rest[:, 2] < -0.05) & (surface.rest[:, 0] > -0.1)
    assert np.abs(colors[back] - BLUE).mean() < 0.12


def test_colours_are_continuous_where_seen_meets_unseen():
    """The seam is no step: neighbours of one part differ little more than elsewhere."""

    def shaded(rest, limb):
        return np.array(BLUE) * (0.8 + rest[:, :1])

    surface, _, _ = person(
        torso(), parts=lambda rest, limb: np.full(len(rest), int(Part.UPPER)), colors=shaded
    )
    surface, colors = complete(surface)
    ids = cKDTree(surface.rest).query(surface.rest, 5)[1]
    across = surface.seen[:, None] != surface.seen[ids]
    step = np.abs(colors[:, None] - colors[ids]).max(2)
    assert np.percentile(step[across], 95) < 0.06


def test_a_person_seen_all_round_is_left_alone():
    surface, true_part, truth = person(torso(), **two_colors(-0.1))
    everywhere = replace(
        surface, seen=np.ones(len(truth), bool), part=true_part, color=truth, copyable=surface.seen
    )
    assert np.array_equal(spread_parts(everywhere), true_part)
    assert np.array_equal(complete_colors(everywhere), truth)


def test_a_slice_is_thin_beside_what_it_must_keep_apart():
    assert SLICE <= 0.02, "a hem that moves by two slices is seen"
