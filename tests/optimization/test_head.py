"""The unseen sides of a head: hair goes round where there is hair, a bald head stays bald."""

from dataclasses import replace

import numpy as np
import pytest

from persona.optimization.head import (
    NAPE,
    Ears,
    bare_on_other_side,
    far_cheek,
    far_side,
    find_ears,
    hair_source_points,
    head_parts,
    head_twins,
    nearest_hair,
)
from persona.optimization.limbs import Limb
from persona.optimization.surface import Surface
from persona.records.observation import Part

EAR_HEIGHT, EAR_DEPTH = 0.3, 0.0
RADIUS = 0.1
HAIRLINE = EAR_HEIGHT + 0.05


@pytest.fixture(scope="module")
def ball():
    """Points on a head: a sphere around the ears, evenly spread."""
    count = 4000
    index = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * index / count), np.pi * (1 + 5**0.5) * index
    unit = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], 1)
    return RADIUS * unit + [0, EAR_HEIGHT, EAR_DEPTH]


def head_of(ball, *, hair):
    seen = ball[:, 2] > 0.42 * RADIUS
    part = np.where(hair & (ball[:, 1] > HAIRLINE), int(Part.HAIR), int(Part.SKIN))
    return Surface(
        rest=ball,
        limb=np.full(len(ball), int(Limb.HEAD)),
        hair_shell=np.zeros(len(ball), bool),
        part=np.where(seen, part, 0),
        seen=seen,
        copyable=seen,
        color=np.zeros((len(ball), 3)),
        mirrored=np.full((len(ball), 3), np.nan),
    )


def label(surface, *, under_hair=None, shows_skin=None):
    nowhere = np.zeros(len(surface.rest), bool)
    ears = Ears(depth=EAR_DEPTH, height=EAR_HEIGHT)
    return head_parts(
        surface,
        ears,
        under_hair=nowhere if under_hair is None else under_hair,
        shows_skin=nowhere if shows_skin is None else shows_skin,
    )


def test_hair_goes_round_the_back_down_to_the_nape(ball):
    part = label(head_of(ball, hair=True))
    back = ball[:, 2] < EAR_DEPTH - 0.005
    assert (part[back & (ball[:, 1] > EAR_HEIGHT - NAPE)] == Part.HAIR).all()
    assert (part[back & (ball[:, 1] < EAR_HEIGHT - NAPE - 0.005)] != Part.HAIR).all()


def test_hair_covers_the_crown_from_every_side(ball):
    part = label(head_of(ball, hair=True))
    crown = ball[:, 1] > EAR_HEIGHT + 0.07
    assert (part[crown] == Part.HAIR).all()


def test_cheeks_beside_the_face_are_skin(ball):
    surface = head_of(ball, hair=True)
    part = label(surface)
    cheeks = ~surface.seen & (ball[:, 2] > 0.01) & (ball[:, 1] < EAR_HEIGHT)
    assert cheeks.any()
    assert (part[cheeks] == Part.SKIN).all()


def test_a_bald_head_is_skin_all_round(ball):
    assert (label(head_of(ball, hair=False)) == Part.SKIN).all()


def test_only_unseen_parts_of_the_head_change(ball):
    surface = head_of(ball, hair=True)
    rest = np.concatenate([ball, ball - [0, 0.5, 0]])
    both = replace(
        surface,
        rest=rest,
        limb=np.r_[surface.limb, np.full(len(ball), int(Limb.TORSO))],
        hair_shell=np.zeros(len(rest), bool),
        part=np.r_[surface.part, np.full(len(ball), int(Part.UPPER))],
        seen=np.r_[surface.seen, np.zeros(len(ball), bool)],
        copyable=np.r_[surface.seen, np.zeros(len(ball), bool)],
        color=np.zeros((len(rest), 3)),
        mirrored=np.full((len(rest), 3), np.nan),
    )
    part = label(both)
    assert np.array_equal(part[: len(ball)][surface.seen], surface.part[surface.seen])
    assert (part[len(ball) :] == Part.UPPER).all()


def test_the_shell_of_hair_is_hair_wherever_it_hangs(ball):
    surface = head_of(ball, hair=True)
    hanging = (ball[:, 1] < EAR_HEIGHT - 0.05) & ~surface.seen
    part = label(replace(surface, hair_shell=hanging))
    assert (part[hanging] == Part.HAIR).all()


def test_what_hair_covers_closely_is_hair_but_never_a_cheek_whose_twin_is_bare(ball):
    surface = head_of(ball, hair=True)
    under = ~surface.seen
    part = label(surface, under_hair=under)
    # A twin at the very edge of what is seen is seen as well.
    assert (part[under] == Part.HAIR).mean() > 0.9
    half = replace(surface, seen=surface.seen & (ball[:, 0] > 0))
    part = label(half, under_hair=~half.seen)
    cheek = surface.seen & (ball[:, 0] < -0.02) & (ball[:, 1] < HAIRLINE - 0.02)
    assert cheek.any()
    assert (part[cheek] == Part.SKIN).all()


def test_half_a_face_is_the_twin_of_the_other(ball):
    surface = head_of(ball, hair=True)
    left, right = np.where(ball[:, 0] > 0.02)[0], np.where(ball[:, 0] < -0.02)[0]
    mine, twin = head_twins(surface, left, right)
    assert len(mine) > 0.9 * len(left)
    np.testing.assert_allclose(ball[mine] * [-1, 1, 1], ball[twin], atol=0.012)


def turned(points, angle_deg):
    """A head before the camera (y down, z ahead), turned to its own left by an angle."""
    angle = np.radians(angle_deg)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    return (points @ turn.T) * [1, -1, -1] + [0, 0, 3]


@pytest.mark.parametrize(("angle_deg", "far"), [(30, 1), (-30, -1), (18, 1), (5, 0), (0, 0)])
def test_a_turned_head_has_a_far_half_and_a_straight_one_none(body, angle_deg, far):
    """Who looks to their own left hides the left half of their face."""
    vertices = body.v_template.double().numpy()
    on_head = body.weights.argmax(1).numpy() == 15
    side = far_side(vertices[on_head], turned(vertices[on_head], angle_deg))
    assert side == far
    ears = find_ears(vertices)
    cheek = far_cheek(vertices, on_head, side, ears)
    assert cheek.any() == (far != 0)
    assert (vertices[cheek, 0] * far > 0).all()
    assert (vertices[cheek, 2] > ears.depth).all()
    assert on_head[cheek].all()


def test_the_nape_turns_with_the_head(body):
    vertices = body.v_template.double().numpy()
    head = vertices[body.weights.argmax(1).numpy() == 15]
    ears = find_ears(vertices)
    plane = ears.nape_plane(head, turned(head, 40))
    height = turned(head, 40) @ plane[:3] + plane[3]
    np.testing.assert_allclose(height, head[:, 1] - (ears.height - NAPE), atol=1e-9)


def test_a_cheek_is_bare_where_the_photo_shows_skin_at_its_twin(ball):
    left = ball[:, 0] > 0
    pixels = 100 + 500 * ball[:, :2]
    parts = np.full((400, 400), int(Part.HAIR))
    parts[:, :100] = Part.SKIN
    assert bare_on_other_side(ball, left, pixels, parts)[left].mean() > 0.95
    parts[:] = Part.HAIR
    assert not bare_on_other_side(ball, left, pixels, parts).any()


def test_hair_beside_a_face_is_not_painted_on_what_shows_skin(ball):
    surface = head_of(ball, hair=True)
    face = ~surface.seen & (ball[:, 2] > 0.025) & (ball[:, 1] < EAR_HEIGHT + 0.02)
    surface = replace(surface, seen=surface.seen & (ball[:, 1] > HAIRLINE))
    part = label(surface, under_hair=~surface.seen, shows_skin=face)
    assert (part[face] == Part.SKIN).all()


def test_hair_below_the_hairline_is_fetched_from_above_it():
    """Seen hair from 10 to 20 cm; a place 3 cm below the line mirrors to 3 cm above it."""
    heights = np.arange(0.10, 0.2001, 0.004)
    seen = np.stack([np.tile(np.arange(-3, 4) * 0.012, len(heights)), np.repeat(heights, 7)], 1)
    seen = np.concatenate([seen, np.zeros((len(seen), 1))], 1)
    targets = np.array([[0.0, 0.07, -0.1], [0.0, 0.15, -0.1], [0.012, 0.09, -0.1]])
    points = hair_source_points(seen, targets)
    np.testing.assert_allclose(points, [[0, 0.13], [0, 0.15], [0.012, 0.11]], atol=1e-9)
    found = seen[nearest_hair(seen, targets)]
    np.testing.assert_allclose(found[:, :2], points, atol=0.004)


def test_every_place_finds_hair(ball):
    surface = head_of(ball, hair=True)
    seen = ball[surface.part == Part.HAIR]
    ids = nearest_hair(seen, ball)
    assert ids.shape == (len(ball),)
    assert 0 <= ids.min() <= ids.max() < len(seen)
    points = hair_source_points(seen, ball)
    # Folding never leaves the column's hair by more than the gap that ends a run.
    assert points[:, 1].min() > seen[:, 1].min() - 0.02
    assert points[:, 1].max() < seen[:, 1].max() + 0.02
