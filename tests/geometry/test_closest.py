"""The nearest point of a mesh: on it, and no point of it is nearer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.geometry.closest import CANDIDATES, closest_in_triangles, closest_on_mesh


def barycentric_grid(steps=40):
    a, b = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    kept = a + b <= 1
    return np.stack([1 - a[kept] - b[kept], a[kept], b[kept]], 1)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_point_of_the_triangle_is_nearer(seed):
    rng = np.random.default_rng(seed)
    corners, points = rng.normal(size=(5, 3, 3)), rng.normal(size=(5, 3))
    shares = closest_in_triangles(points, corners)
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(1), 1)
    found = np.linalg.norm((shares[..., None] * corners).sum(1) - points, axis=1)
    everywhere = np.einsum("gk,nkd->ngd", barycentric_grid(), corners)
    others = np.linalg.norm(everywhere - points[:, None], axis=2).min(1)
    assert (found <= others + 1e-12).all()
    assert (found >= others - 0.2).all()


def test_a_triangle_without_area_is_its_edges():
    corners = np.array([[[0, 0, 0], [1, 0, 0], [3, 0, 0]], [[2, 1, 0]] * 3], float)
    shares = closest_in_triangles(np.array([[2.0, 5.0, 0.0], [9.0, 9.0, 9.0]]), corners)
    np.testing.assert_allclose((shares[..., None] * corners).sum(1), [[2, 0, 0], [2, 1, 0]])


@pytest.mark.parametrize("count", [4, 200])
def test_a_point_of_the_mesh_finds_itself(count):
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, count)
    vertices = np.stack([np.cos(angles), np.sin(angles), rng.uniform(0, 3, count)], 1)
    faces = rng.integers(0, count, (max(1, min(CANDIDATES, count)), 3))
    owners, shares = closest_on_mesh(vertices[faces[:, 1]], vertices, faces)
    found = (shares[..., None] * vertices[faces[owners]]).sum(1)
    np.testing.assert_allclose(found, vertices[faces[:, 1]], atol=1e-7)
