"""What the photo shows of each Gaussian: nothing behind, beside or facing away from is believed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.optimization.facing import COLOR_FACING
from persona.optimization.limbs import Limb
from persona.optimization.visibility import (
    DEPTH_SLACK,
    HAND_EDGE_PX,
    HAND_ZONE_PX,
    RIM_PX,
    SEEN_FACING,
    STEP_PX,
    sample_image,
    see,
)
from persona.records.observation import Part

HIP_DEPTH, HAND_DEPTH = 2.0, 1.9
HAND_ROWS, HAND_COLUMNS = range(25, 35), range(35, 45)


@pytest.fixture(scope="module")
def hip(wall):
    return wall(range(8, 52), range(10, 70), depth=HIP_DEPTH, limb=Limb.TORSO, joint=0)


@pytest.fixture(scope="module")
def hand(wall):
    return wall(HAND_ROWS, HAND_COLUMNS, depth=HAND_DEPTH, limb=Limb.LEFT_HAND, joint=20)


@pytest.fixture(scope="module")
def front(blank_view):
    depth = torch.where(blank_view.mask > 0, HIP_DEPTH, torch.inf)
    depth[HAND_ROWS.start : HAND_ROWS.stop, HAND_COLUMNS.start : HAND_COLUMNS.stop] = HAND_DEPTH
    return depth


@pytest.fixture(scope="module")
def hand_view(blank_view):
    """The same picture, skin where the hand is."""
    parts = blank_view.parts.clone()
    parts[HAND_ROWS.start : HAND_ROWS.stop, HAND_COLUMNS.start : HAND_COLUMNS.stop] = Part.SKIN
    return replace(blank_view, parts=parts)


def distance_from_hand(pixels):
    """Chessboard distance from the hand's rectangle [px]."""
    x, y = pixels.T
    across = torch.maximum(HAND_COLUMNS.start - x, x - HAND_COLUMNS.stop)
    down = torch.maximum(HAND_ROWS.start - y, y - HAND_ROWS.stop)
    return torch.maximum(across, down)


def test_a_hand_before_a_hip_hides_it_and_blurs_what_is_beside(hip, front, hand_view):
    seen = see(hip, hand_view, front)
    away = distance_from_hand(seen.pixels)
    # Exposure asks the farthest of the eight pixels around, so that rims do not hide their rear.
    assert not seen.exposed[away < -1].any()
    assert seen.exposed[away > 0].all()
    assert not seen.seen[away < STEP_PX].any()
    x, y = seen.pixels.T
    inner = (
        (x > 8 + RIM_PX + 2) & (x < 72 - RIM_PX - 2) & (y > 6 + RIM_PX + 2) & (y < 54 - RIM_PX - 2)
    )
    assert seen.seen[(away > STEP_PX + 1) & inner].all()


def test_a_hand_is_believed_on_skin_only(hand, front, hand_view, blank_view):
    assert see(hand, hand_view, front).seen.float().mean() > 0.9
    assert not see(hand, blank_view, front).seen.any()


def test_skin_beside_a_hand_is_not_the_trunks(hip, hand, blank_view):
    """Where the fitted hand is a few pixels off, its picture lies on the trunk behind."""
    parts = torch.where(blank_view.mask > 0, int(Part.SKIN), 0)
    bare = replace(blank_view, parts=parts)
    flat = torch.where(blank_view.mask > 0, HIP_DEPTH, torch.inf)
    both = joined(hip, hand)
    alone, beside = see(hip, bare, flat), see(both, bare, flat)
    away = distance_from_hand(alone.pixels)
    near = away < HAND_ZONE_PX - 1
    trunk = beside.seen[: hip.count]
    assert alone.seen[near].any()
    assert not trunk[near].any()
    far = away > HAND_ZONE_PX + 1
    assert torch.equal(trunk[far], alone.seen[far])


def test_the_edge_of_a_hand_that_is_not_where_it_was_fitted_stains_no_trunk(hip, hand, blank_view):
    shift = HAND_ZONE_PX - HAND_EDGE_PX
    parts = blank_view.parts.clone()
    columns = slice(HAND_COLUMNS.start + shift, HAND_COLUMNS.stop + shift)
    parts[HAND_ROWS.start : HAND_ROWS.stop, columns] = Part.SKIN
    flat = torch.where(blank_view.mask > 0, HIP_DEPTH, torch.inf)
    found = see(joined(hip, hand), replace(blank_view, parts=parts), flat)
    pixels, believed = found.pixels[: hip.count], found.believed[: hip.count]
    away = distance_from_hand(pixels - torch.tensor([shift, 0]))
    assert not believed[away < HAND_EDGE_PX - 1].any()
    assert believed[away > HAND_EDGE_PX + 1].all()


def joined(first, second):
    """Put two walls into one cloud; visibility reads no binding."""
    names = ("means", "normals", "quats_wxyz", "log_scales", "rest_means", "rest_body", "limb")
    columns = {
        n: torch.cat([getattr(first, n), getattr(second, n)])
        for n in (*names, "is_hair", "under", "inner")
    }
    return replace(first, **columns)


def test_hidden_hands_are_never_seen(hand, front, hand_view):
    seen = see(hand, hand_view, front, hidden=frozenset({Limb.LEFT_HAND}))
    assert not seen.exposed.any()
    assert not seen.seen.any()
    assert not seen.shapes_rim.any()


@given(angle=st.floats(0.0, 3.14159))
@settings(max_examples=20, deadline=None)
def test_only_what_faces_the_camera_is_seen(hip, blank_view, angle):
    """Turn the normals of a wall: facing is the cosine, and backs are never seen."""
    normal = torch.tensor([np.sin(angle), 0.0, np.cos(angle)], dtype=torch.float32)
    turned = replace(hip, normals=normal.expand(hip.count, 3).clone())
    flat = torch.where(blank_view.mask > 0, HIP_DEPTH, torch.inf)
    seen = see(turned, blank_view, flat)
    toward = torch.nn.functional.normalize(-turned.means, dim=1)
    torch.testing.assert_close(seen.facing, toward @ normal, atol=1e-5, rtol=0)
    assert not seen.seen[seen.facing <= SEEN_FACING].any()
    assert SEEN_FACING > COLOR_FACING, "a colour that is known may also be painted"


def test_a_wall_behind_the_slack_is_hidden(wall, blank_view):
    flat = torch.where(blank_view.mask > 0, HIP_DEPTH, torch.inf)
    for behind, shown in ((0.9 * DEPTH_SLACK, True), (1.1 * DEPTH_SLACK, False)):
        one = wall(range(20, 30), range(30, 40), depth=HIP_DEPTH + behind, limb=Limb.TORSO, joint=0)
        assert bool(see(one, blank_view, flat).exposed.all()) is shown


def test_colours_are_not_read_at_the_masks_edge(hip, blank_view):
    flat = torch.where(blank_view.mask > 0, HIP_DEPTH, torch.inf)
    seen = see(hip, blank_view, flat)
    x, y = seen.pixels.T
    inset = torch.stack([x - 8, 72 - x, y - 6, 54 - y]).amin(0)
    assert not seen.seen[inset < RIM_PX].any()
    assert seen.shapes_rim[inset < RIM_PX].all()
    assert seen.seen[inset > RIM_PX + 1].all()


def test_laws_hold_on_the_drawn_person(visibility, cloud, view):
    """Seen means exposed, facing, and inside the mask; a fifth to a half of a person is seen."""
    seen = visibility.seen
    assert (visibility.exposed | ~seen).all()
    assert float(visibility.facing[seen].min()) > SEEN_FACING
    column, row = visibility.pixels[seen].long().T
    assert float(view.mask[row, column].min()) > 0.5
    assert 0.15 < float(seen.float().mean()) < 0.5
    torch.testing.assert_close(visibility.pixels, view.camera.project(cloud.means)[0])


def test_sampling_reads_pixel_centres_exactly_and_between_them_linearly():
    y, x = torch.meshgrid(torch.arange(6) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    ramp = torch.stack([x, y, x + y], -1)
    places = torch.tensor([[0.5, 0.5], [3.0, 2.0], [7.25, 5.5], [4.5, 1.75]])
    expected = torch.stack([places[:, 0], places[:, 1], places.sum(1)], 1)
    torch.testing.assert_close(sample_image(ramp, places), expected)
    outside = sample_image(ramp, torch.tensor([[-5.0, 3.5], [20.0, 3.5]]))
    torch.testing.assert_close(outside[:, 0], torch.tensor([0.5, 7.5]))
