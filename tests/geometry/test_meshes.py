"""Meshes: normals and areas of known solids, laws of Laplacians, Loop subdivision, sampling."""

import math

import numpy as np
import pytest
import torch

from persona.core.errors import InputError
from persona.geometry.meshes import (
    cotangent_laplacian,
    face_areas,
    is_closed,
    points_on_faces,
    sample_surface,
    sparse_to_torch,
    subdivide_linear,
    subdivision_matrix,
    uniform_laplacian,
    unique_edges,
    vertex_areas,
    vertex_normals,
)


def octahedron():
    points = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    rim = [0, 2, 1, 3]
    faces = [[a, b, 4] for a, b in zip(rim, rim[1:] + rim[:1], strict=True)]
    faces += [[b, a, 5] for a, b in zip(rim, rim[1:] + rim[:1], strict=True)]
    return points, torch.tensor(faces)


def square():
    return torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]), torch.tensor(
        [[0, 1, 2], [0, 2, 3]]
    )


def test_octahedron_normals_point_out_and_areas_add_up():
    points, faces = octahedron()
    assert torch.allclose(vertex_normals(points, faces), points, atol=1e-6)
    assert face_areas(points, faces).sum() == pytest.approx(8 * math.sqrt(3) / 2, rel=1e-6)
    assert vertex_areas(points, faces).sum() == pytest.approx(8 * math.sqrt(3) / 2, rel=1e-6)


def test_batches_agree_with_single_meshes():
    points, faces = octahedron()
    batch = torch.stack([points, 2 * points])
    assert torch.allclose(vertex_normals(batch, faces)[1], vertex_normals(points, faces), atol=1e-6)
    assert torch.allclose(vertex_areas(batch, faces)[1], 4 * vertex_areas(points, faces))


def test_lone_vertices_have_no_normal():
    points, faces = square()
    lone = torch.cat([points, torch.ones(1, 3)])
    assert (vertex_normals(lone, faces)[4] == 0).all()


def test_closedness():
    assert is_closed(octahedron()[1])
    assert not is_closed(square()[1])
    flipped = octahedron()[1].clone()
    flipped[0] = flipped[0].flip(0)
    assert not is_closed(flipped)


def test_edges_are_listed_once():
    assert len(unique_edges(octahedron()[1])) == 12
    assert unique_edges(square()[1]).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]]


def test_laplacians_ignore_constants_and_linear_functions_where_they_should():
    points, faces = octahedron()
    ones = np.ones(6)
    assert np.abs(uniform_laplacian(faces, 6) @ ones).max() < 1e-12
    cotangent = cotangent_laplacian(points, faces)
    assert np.abs(cotangent @ ones).max() < 1e-12
    assert np.abs((cotangent - cotangent.T).todense()).max() < 1e-12
    assert np.linalg.eigvalsh(cotangent.todense()).min() > -1e-9
    # On a sphere-like solid the cotangent Laplacian of the positions is along the normals.
    direction = cotangent @ points.double().numpy()
    assert np.allclose(np.cross(direction, points.numpy()), 0, atol=1e-9)


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_loop_counts_stay_closed_and_rows_sum_to_one(levels):
    points, faces = octahedron()
    finer, matrix = subdivision_matrix(faces, 6, levels)
    assert len(finer) == 8 * 4**levels
    assert is_closed(finer)
    assert matrix.shape == (2 + len(finer) // 2, 6)  # Euler: v = 2 + f / 2
    assert np.allclose(matrix.sum(1), 1)
    assert matrix.min() >= 0
    # Smoothing shrinks, never inflates.
    assert np.linalg.norm(matrix @ points.numpy(), axis=1).max() <= 1 + 1e-6


def test_loop_keeps_flat_things_flat_and_rims_on_their_line():
    points, faces = square()
    finer, matrix = subdivision_matrix(faces, 4, 2)
    fine = matrix @ points.numpy()
    assert np.abs(fine[:, 2]).max() == 0
    normals = vertex_normals(torch.from_numpy(fine).float(), finer)
    assert torch.allclose(normals[:, 2], torch.ones(len(fine)))


def test_children_inherit_by_repetition():
    points, faces = octahedron()
    finer, matrix = subdivision_matrix(faces, 6, 1)
    fine = torch.from_numpy(matrix @ points.numpy())
    middles, parents = fine[finer].mean(1), points[faces].mean(1).repeat(4, 1)
    assert (middles - parents).norm(dim=1).max() < 0.6
    assert torch.equal(finer[24:].min(1).values >= 6, torch.ones(8, dtype=torch.bool))


def test_linear_subdivision_numbers_alike_and_keeps_corners():
    points, faces = octahedron()
    smooth, _ = subdivision_matrix(faces, 6, 1)
    flat, matrix = subdivide_linear(faces, 6)
    assert torch.equal(smooth, flat)
    assert np.allclose((matrix @ points.numpy())[:6], points.numpy())


def test_negative_levels_are_refused():
    with pytest.raises(InputError, match="-1"):
        subdivision_matrix(octahedron()[1], 6, -1)


def test_sparse_product_in_torch_equals_scipy():
    points, faces = octahedron()
    _, matrix = subdivision_matrix(faces, 6, 2)
    torch_rows = sparse_to_torch(matrix) @ points
    assert torch.allclose(torch_rows, torch.from_numpy(matrix @ points.numpy()).float(), atol=1e-6)


def test_samples_lie_on_the_surface_and_spread_by_area():
    points, faces = square()
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    points = points * torch.tensor([1.0, 3.0, 1.0])
    ids, shares = sample_surface(points, faces, 4000, generator=torch.Generator().manual_seed(0))
    at = points_on_faces(points, faces, ids, shares)
    assert torch.allclose(shares.sum(1), torch.ones(4000), atol=1e-6)
    assert shares.min() >= 0
    assert (at.mean(0) - torch.tensor([0.5, 1.5, 0.0])).abs().max() < 0.05
