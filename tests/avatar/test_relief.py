"""The relief that light sees: smooth on one side, and never of two."""

import pytest
import torch

from persona.avatar.reflectance import reflectance_features, split_materials
from persona.avatar.relief import find_relief
from persona.records.observation import Part


def sheet(z, facing, count=2000):
    g = torch.Generator().manual_seed(0)
    points = torch.rand(count, 3, generator=g) * torch.tensor([0.3, 0.3, 0.0])
    normals = torch.tensor([0.0, 0, facing]).expand(count, 3)
    return points + torch.tensor([0.0, 0, z]), normals


def test_noise_is_smoothed_and_the_two_sides_of_a_sleeve_stay_apart():
    front, back = sheet(0.004, 1.0), sheet(-0.004, -1.0)
    points, normals = torch.cat([front[0], back[0]]), torch.cat([front[1], back[1]])
    g = torch.Generator().manual_seed(1)
    noisy = torch.nn.functional.normalize(
        normals + 0.2 * torch.randn(*normals.shape, generator=g), dim=1
    )
    relief = find_relief(points, noisy, torch.full((len(points),), int(Part.UPPER)))
    smooth = relief.smooth(noisy)
    before = (noisy * normals).sum(1).clamp(-1, 1).acos().mean()
    after = (smooth * normals).sum(1).clamp(-1, 1).acos().mean()
    assert after < 0.5 * before
    assert (smooth * normals).sum(1).min() > 0.7
    assert torch.allclose(smooth.norm(dim=1), torch.ones(len(points)), atol=1e-5)


@pytest.mark.parametrize("part", Part)
def test_a_lone_gaussian_keeps_its_normal_whatever_it_shows(part):
    normal = torch.tensor([[0.0, 0.6, 0.8]])
    relief = find_relief(torch.zeros(1, 3), normal, torch.tensor([int(part)]))
    assert torch.allclose(relief.smooth(normal), normal, atol=1e-6)


def test_turning_the_person_turns_the_relief():
    points, normals = sheet(0.0, 1.0)
    relief = find_relief(points, normals, torch.full((len(points),), int(Part.SKIN)))
    turned = relief.smooth(normals[:, [2, 0, 1]])
    assert torch.allclose(turned, normals[:, [2, 0, 1]], atol=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "materials"),
    [
        ((0.8, 0.1, 0.1), (0.1, 0.1, 0.8), 2),
        ((0.7, 0.7, 0.7), (0.05, 0.05, 0.05), 2),
        ((0.5, 0.3, 0.2), (0.5, 0.3, 0.2), 1),
    ],
)
def test_materials_are_told_apart_by_clear_heaps(first, second, materials):
    g = torch.Generator().manual_seed(0)
    noise = (0.1 * torch.randn(400, 1, generator=g)).exp()
    colors = torch.cat(
        [torch.tensor([first]).expand(200, 3), torch.tensor([second]).expand(200, 3)]
    )
    ids = split_materials(
        reflectance_features(colors * noise, torch.zeros(400)), torch.ones(400, dtype=torch.int64)
    )
    assert len(ids.unique()) == materials
    if materials == 2:
        assert len(ids[:200].unique()) == len(ids[200:].unique()) == 1


def test_one_cloth_in_light_and_shade_stays_one_material():
    shade = torch.linspace(0.3, 1.0, 600)[:, None]
    features = reflectance_features(shade * torch.tensor([0.5, 0.3, 0.2]), torch.zeros(600))
    assert len(split_materials(features, torch.ones(600, dtype=torch.int64)).unique()) == 1


def test_different_parts_are_different_materials():
    parts = torch.tensor([1, 3]).repeat(50)
    ids = split_materials(torch.zeros(100, 3), parts)
    assert len(ids.unique()) == 2
    assert ids[0] != ids[1]
