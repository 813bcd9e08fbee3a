"""First Gaussians: spread by area and importance, as wide as the gaps between them."""

import pytest
import torch

from persona.avatar.initialize import (
    MAX_ASPECT,
    SIGMA_PER_SPACING,
    THICKNESS,
    sample_surface,
    surfel_axes,
)
from persona.geometry.meshes import face_areas
from persona.geometry.rotations import quaternion_to_matrix


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("count", [1, 100, 5_001])
def test_every_triangle_gets_its_share_of_area_times_importance(body, count, seed):
    importance = torch.ones(len(body.faces))
    importance[::7] = 5.0
    samples = sample_surface(body.v_template, body.faces, importance, count, seed=seed)
    assert samples.face_ids.shape == (count,)
    assert (samples.barycentric >= 0).all()
    assert (samples.barycentric.sum(1) - 1).abs().max() < 1e-6
    share = face_areas(body.v_template, body.faces).double() * importance
    expected = count * share / share.sum()
    given = torch.bincount(samples.face_ids, minlength=len(body.faces))
    assert (given - expected).abs().max() <= 1 + 1e-6


def test_neighbouring_rows_are_neighbours_on_the_body(body):
    samples = sample_surface(
        body.v_template, body.faces, torch.ones(len(body.faces)), 5_000, seed=0
    )
    corners = body.v_template[body.faces[samples.face_ids]]
    points = (corners * samples.barycentric[..., None]).sum(1)
    # Posing works on blocks of sixteen rows and wants few bones in each. The gap between
    # neighbours is about 2 cm here; rows in any order would lie 70 cm apart.
    assert (points[1:] - points[:-1]).norm(dim=1).median() < 0.05


def test_triangles_without_importance_stay_empty(body):
    importance = torch.zeros(len(body.faces))
    importance[100:200] = 1.0
    samples = sample_surface(body.v_template, body.faces, importance, 500, seed=3)
    assert set(samples.face_ids.tolist()) <= set(range(100, 200))


def grid(step, side=21):
    x, y = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([x.flatten(), y.flatten(), torch.zeros(side * side)], 1) * step


def test_surfels_of_an_even_sheet_are_round_and_as_wide_as_the_gaps():
    points = grid(0.01)
    normals = torch.tensor([0.0, 0.0, 1.0]).expand_as(points)
    quats, log_scales = surfel_axes(points, normals)
    axes = quaternion_to_matrix(quats)
    torch.testing.assert_close(axes[..., 2], normals.contiguous(), rtol=0, atol=1e-5)
    middle = log_scales.exp().reshape(21, 21, 3)[5:-5, 5:-5].reshape(-1, 3)
    assert (middle[:, :2] / (SIGMA_PER_SPACING * 0.01) - 1).abs().max() < 0.25
    assert (middle[:, 0] / middle[:, 1] - 1).abs().max() < 1e-3
    torch.testing.assert_close(middle[:, 2], THICKNESS * (middle[:, 0] * middle[:, 1]).sqrt())


def test_surfels_lengthen_along_the_wider_gaps_but_not_too_much():
    points = grid(0.01) * torch.tensor([1.6, 1.0, 1.0])
    normals = torch.tensor([0.0, 0.0, 1.0]).expand_as(points)
    quats, log_scales = surfel_axes(points, normals)
    inside = torch.arange(21 * 21).reshape(21, 21)[5:-5, 5:-5].flatten()
    along = quaternion_to_matrix(quats)[inside, 0, 0].abs()
    assert along.min() > 0.99
    aspect = (log_scales[:, 0] - log_scales[:, 1]).exp()
    assert aspect[inside].min() > 1.2
    assert aspect.max() <= MAX_ASPECT * 1.001


def test_the_other_side_of_a_thin_sheet_is_no_neighbour():
    front = grid(0.01)
    back = front + torch.tensor([0.005, 0.005, -0.001])
    up = torch.tensor([0.0, 0.0, 1.0]).expand_as(front)
    alone = surfel_axes(front, up)[1]
    both = surfel_axes(torch.cat([front, back]), torch.cat([up, -up]))[1][: len(front)]
    middle = torch.arange(21 * 21).reshape(21, 21)[5:-5, 5:-5].flatten()
    torch.testing.assert_close(both[middle], alone[middle])


def test_axes_are_rotations_on_a_body(avatar):
    axes = quaternion_to_matrix(avatar.canonical.quats_wxyz)
    assert torch.linalg.det(axes).min() > 0.999
    assert (avatar.canonical.quats_wxyz.norm(dim=1) - 1).abs().max() < 1e-5
