"""Spherical harmonics: orthonormal, exact under rotation, and right about matt spheres."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import InputError
from persona.geometry.harmonics import (
    diffuse,
    directions_of_panorama,
    evaluate_harmonics,
    project_direction,
    project_panorama,
    rotate_harmonics,
)
from persona.geometry.rotations import axis_angle_to_matrix


def random_directions(seed, count=200):
    g = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=1)


def test_the_nine_functions_are_orthonormal_over_the_sphere():
    basis = evaluate_harmonics(directions_of_panorama(256, 512))
    gram = torch.stack(
        [project_panorama(basis[..., [i]].expand(-1, -1, 3))[:, 0] for i in range(9)]
    )
    assert torch.allclose(gram, torch.eye(9), atol=2e-4)


def test_a_constant_map_is_degree_zero_at_any_size():
    for height in (8, 32, 128):
        found = project_panorama(torch.full((height, 2 * height, 3), 2.0))
        assert found[0, 0] == pytest.approx(2 * math.sqrt(4 * math.pi), rel=1e-5)
        # Higher degrees are read at pixel centres, whose error falls with the square of the rows.
        assert found[1:].abs().max() < 8 / height**2


def test_panoramas_look_where_they_say():
    around = directions_of_panorama(90, 180)
    assert torch.allclose(around.norm(dim=-1), torch.ones(90, 180))
    assert torch.allclose(around[45, 90], torch.tensor([0.0, 0, -1]), atol=0.03)
    assert torch.allclose(around[45, 135], torch.tensor([1.0, 0, 0]), atol=0.03)
    assert torch.allclose(around[0, 0], torch.tensor([0.0, 1, 0]), atol=0.03)
    assert around[45, 0, 2] > 0.99


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_turned_function_has_its_values_at_turned_directions(seed):
    g = torch.Generator().manual_seed(seed)
    coefficients = torch.randn(9, 3, generator=g)
    rotation = axis_angle_to_matrix(2 * torch.randn(3, generator=g))
    directions = random_directions(seed)
    before = evaluate_harmonics(directions) @ coefficients
    after = evaluate_harmonics(directions @ rotation.T) @ rotate_harmonics(coefficients, rotation)
    assert torch.allclose(before, after, atol=2e-4)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_rotation_keeps_the_energy_of_every_degree(seed):
    g = torch.Generator().manual_seed(seed)
    coefficients = torch.randn(9, generator=g)
    turned = rotate_harmonics(coefficients, axis_angle_to_matrix(2 * torch.randn(3, generator=g)))
    for degree in (slice(0, 1), slice(1, 4), slice(4, 9)):
        assert turned[degree].norm() == pytest.approx(
            float(coefficients[degree].norm()), rel=1e-3, abs=1e-4
        )


def test_light_from_everywhere_shades_a_matt_surface_alike():
    shade = evaluate_harmonics(random_directions(0)) @ diffuse(
        project_panorama(torch.ones(32, 64, 3))
    )
    assert torch.allclose(shade, torch.ones_like(shade), atol=1e-2)


def test_light_from_one_direction_is_nearly_the_clamped_cosine():
    towards = torch.tensor([1.0, 2.0, -2.0])
    normals = random_directions(1, 5000)
    shade = evaluate_harmonics(normals) @ diffuse(project_direction(towards))
    cosine = (normals @ (towards / 3)).clamp_min(0)
    # Ramamoorthi and Hanrahan, figure 2: second order is off by at most about 9 % of the peak.
    assert (shade - cosine).abs().max() < 0.1
    assert (shade - cosine).square().mean().sqrt() < 0.04


@pytest.mark.parametrize("direction", [(0.0, 0.0, 0.0), (math.nan, 0.0, 1.0), (math.inf, 0, 0)])
def test_a_direction_without_length_is_refused(direction):
    with pytest.raises(InputError, match="direction of a light"):
        project_direction(torch.tensor(direction))
