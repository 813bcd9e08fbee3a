"""Cutting, splitting, welding and judging meshes: laws first."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.geometry.meshes import is_closed
from persona.synthesis.physics.cut import SNAP, cut
from persona.synthesis.physics.pieces import areas, open_edges, whole_piece
from persona.synthesis.physics.refine import split_long_edges
from persona.synthesis.physics.shell import Sheet
from persona.synthesis.physics.soundness import crossing, fault
from persona.synthesis.physics.tube import grid_faces
from persona.synthesis.physics.weld import rim_loops, welded

SIZE = 9


def plate(seed=0, height=0.0):
    """A flat square of uneven triangles [m]."""
    rng = np.random.default_rng(seed)
    row, column = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    flat = np.stack([column, row], -1).reshape(-1, 2) + rng.uniform(-0.2, 0.2, (SIZE**2, 2))
    points = np.column_stack([flat * 0.01, np.full(SIZE**2, height)])
    return points, grid_faces(SIZE, SIZE, closed=False)


def ring(count, y, radius, phase=0.0):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + phase
    return np.stack([radius * np.cos(angle), np.full(count, y), radius * np.sin(angle)], 1)


def pipe(count, heights, radius=0.2, phase=0.0) -> Sheet:
    points = np.concatenate([ring(count, y, radius, phase) for y in heights])
    weights = np.zeros((len(points), 55))
    weights[:, 0] = 1
    return Sheet(
        vertices=points,
        faces=grid_faces(len(heights), count, closed=True),
        weights=weights,
        skin=points,
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_both_sides_of_a_cut_make_up_the_whole(seed):
    points, faces = plate(seed)
    rng = np.random.default_rng(seed)
    field = (points - points[rng.integers(len(points))]) @ rng.normal(size=3) + 1e-4
    kept, kept_faces, rim = cut(points, faces, field)
    other, other_faces, _ = cut(points, faces, -field)
    total = areas(kept, kept_faces).sum() + areas(other, other_faces).sum()
    # A corner of the plate itself may be moved onto the border, and takes some outline along.
    assert total == pytest.approx(areas(points, faces).sum(), rel=0.03)
    assert (rim >= 0).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_cut_is_clean(seed):
    """New edges lie on the border exactly, triangles keep some size, the rim closes."""
    points, faces = plate(seed)
    way = np.random.default_rng(seed).normal(size=3)
    field = (points - points.mean(0)) @ way
    kept, kept_faces, rim = cut(points, faces, field)
    np.testing.assert_allclose(((kept - points.mean(0)) @ way)[rim == 0], 0, atol=1e-12)
    assert fault(kept, kept_faces) is None
    assert areas(kept, kept_faces).min() > 0.2 * SNAP**2 * areas(points, faces).min()


def test_nothing_is_cut_where_everything_is_inside_and_all_where_nothing_is():
    points, faces = plate()
    kept, kept_faces, _ = cut(points, faces, np.ones(len(points)))
    np.testing.assert_array_equal(kept, points)
    assert len(kept_faces) == len(faces)
    assert len(cut(points, faces, -np.ones(len(points)))[1]) == 0


@given(seed=st.integers(0, 10_000), longest=st.floats(0.004, 0.02))
@settings(max_examples=40, deadline=None)
def test_splitting_keeps_the_surface_and_shortens_edges(seed, longest):
    points, faces = plate(seed)
    finer_faces, finer = split_long_edges(points, faces, longest)
    fine = finer @ points
    assert areas(fine, finer_faces).sum() == pytest.approx(areas(points, faces).sum())
    np.testing.assert_array_equal(fine[: len(points)], points)
    assert fault(fine, finer_faces) is None
    whole = np.linalg.norm(points[faces] - points[np.roll(faces, 1, 1)], axis=-1).max()
    # The cut across a triangle is no longer than its longest side.
    now = np.linalg.norm(fine[finer_faces] - fine[np.roll(finer_faces, 1, 1)], axis=-1).max()
    assert now <= whole + 1e-12


def test_splitting_leaves_a_closed_mesh_closed():
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3.0]])
    for longest in (0.5, 1.2, 2.0, 4.0):
        assert is_closed(torch.from_numpy(split_long_edges(points, faces, longest)[0]))


@pytest.mark.parametrize(("above", "below"), [(20, 96), (96, 20), (37, 41)])
def test_a_weld_joins_two_rings_and_leaves_two_rims(above, below):
    upper, lower = pipe(above, (0.2, 0.1), phase=0.3), pipe(below, (0.0, -0.1), 0.25)
    joined = welded(upper, lower, columns=below)
    assert joined is not None
    assert fault(joined.vertices, joined.faces) is None
    assert sorted(len(loop) for loop in rim_loops(joined.faces)) == sorted((above, below))
    a, b, c = (joined.vertices[joined.faces[:, k]] for k in range(3))
    outward = (np.cross(b - a, c - a) * (a + b + c) * (1, 0, 1)).sum(1)
    assert (outward > 0).all()


def test_a_plate_has_no_rim_around_a_body():
    points, faces = plate()
    points = points + 1.0
    flat = Sheet(vertices=points, faces=faces, weights=np.zeros((len(points), 55)), skin=points)
    assert welded(flat, pipe(20, (0.0, -0.1)), columns=20) is None


def test_sound_meshes_pass():
    assert fault(*plate()) is None
    tube = pipe(24, (0.3, 0.2, 0.1))
    assert fault(tube.vertices, tube.faces) is None
    assert not crossing(tube.vertices, tube.faces).any()


def test_nothing_is_told_from_something():
    assert fault(np.zeros((0, 3)), np.zeros((0, 3), np.int64)) == "it is empty"


def test_fins_slivers_and_open_seams_are_found():
    points, faces = plate()
    fin = np.concatenate([faces, faces[:1]])
    assert "more than two" in fault(points, fin)
    squashed = points.copy()
    squashed[faces[5]] = squashed[faces[5, 0]]
    assert "without area" in fault(squashed, faces)
    bow = np.array([[0, 1, 2], [2, 3, 4]])
    spread = np.array([[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0, 2, 0], [1, 2, 0.0]])
    assert "loops" in fault(spread, bow)


def test_a_sheet_through_itself_is_found():
    flat, faces = plate()
    upright = flat[:, [0, 2, 1]] + np.array([0.001, 0.04, -0.03])
    both = np.concatenate([flat, upright])
    assert "through itself" in fault(both, np.concatenate([faces, faces + len(flat)]))


def test_open_edges_of_a_plate_are_its_four_sides():
    assert len(open_edges(plate()[1])) == 4 * (SIZE - 1)


def test_scraps_that_hang_by_a_point_are_cut_off():
    points, faces = plate()
    tip = np.array([[0, len(points), len(points) + 1]])
    more = np.concatenate([points, points[:1] - 0.01, points[:1] - (0.01, 0.02, 0)])
    kept, kept_faces = whole_piece(more, np.concatenate([faces, tip]))
    assert len(kept_faces) == len(faces)
    assert fault(kept, kept_faces) is None


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_whatever_is_left_of_a_plate_is_whole(seed):
    """Random holes pinch the rest in corners; what comes out has rims that close."""
    points, faces = plate(seed)
    faces = faces[np.random.default_rng(seed).random(len(faces)) > 0.3]
    kept, kept_faces = whole_piece(points, faces)
    assert 0 < len(kept_faces) <= len(faces)
    assert fault(kept, kept_faces) is None
