"""Cutting and closing meshes keeps them whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.synthesis.sample.mesh import (
    boundary_edges,
    clip,
    midpoint_subdivided,
    neighbor_mean,
    plain_mesh,
    with_hem,
)
from persona.synthesis.sample.noise import gradient_noise


def square(count: int = 8):
    """A flat square of 2 count^2 triangles in [0, 1]^2."""
    x, y = np.meshgrid(np.linspace(0, 1, count + 1), np.linspace(0, 1, count + 1))
    points = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1).astype(np.float32)
    i = np.arange(count * (count + 1)).reshape(count, count + 1)[:, :-1].ravel()
    up = i + count + 1
    faces = np.concatenate([np.stack([i, i + 1, up], 1), np.stack([i + 1, up + 1, up], 1)])
    return plain_mesh("cloth", points, points, faces)


def area(mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.cross(b - a, c - a)[:, 2].sum() / 2)


@given(cut=st.floats(0.02, 0.98), slope=st.floats(-0.6, 0.6))
@settings(max_examples=30, deadline=None)
def test_cutting_along_a_line_keeps_exactly_the_area_beyond_it(cut, slope):
    mesh = square()
    field = mesh.vertices[:, 0] - cut - slope * (mesh.vertices[:, 1] - 0.5)
    rest = clip(mesh, field.astype(np.float32))
    heights = np.linspace(0, 1, 20001)
    expected = np.clip(1 - cut - slope * (heights - 0.5), 0, 1).mean()
    assert area(rest) == pytest.approx(expected, abs=1e-3)
    assert len(np.unique(rest.faces)) == len(rest.vertices)


def test_a_hem_closes_along_every_open_edge():
    mesh = square()
    hemmed = with_hem(mesh, thickness=0.1)
    # The old rim has become inner edges; only the inner rim is open now.
    assert len(boundary_edges(hemmed.faces)) == len(boundary_edges(mesh.faces))
    assert hemmed.vertices[len(mesh.vertices) :, 2] == pytest.approx(-0.1)


def test_subdividing_keeps_area_and_rim():
    mesh = square()
    finer = midpoint_subdivided(mesh)
    assert area(finer) == pytest.approx(area(mesh))
    assert len(finer.faces) == 4 * len(mesh.faces)
    assert len(boundary_edges(finer.faces)) == 2 * len(boundary_edges(mesh.faces))


def test_the_mean_of_neighbours_of_a_constant_is_the_constant():
    mesh = square()
    mean = neighbor_mean(mesh.faces, len(mesh.vertices))
    assert mean @ np.ones(len(mesh.vertices)) == pytest.approx(1.0)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_noise_is_smooth_bounded_and_zero_on_the_lattice(seed):
    points = np.random.default_rng(seed).uniform(-20, 20, (200, 3)).astype(np.float32)
    values = gradient_noise(points, seed=seed)
    assert np.abs(values).max() < 1.7
    step = gradient_noise(points + np.float32(1e-3), seed=seed) - values
    assert np.abs(step).max() < 0.02
    assert gradient_noise(np.floor(points), seed=seed) == pytest.approx(0, abs=1e-5)
