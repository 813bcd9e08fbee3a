"""Albedo and light of one photo: what was planted is found, and nothing is bleached."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.appearance import estimate_light, split_light
from persona.avatar.light import Light
from persona.images.colors import from_linear, luminance, to_linear
from persona.records.observation import Part
from tests.plain_avatar import make_plain_avatar

LAMPS = {
    "left": (-1.0, 0.4, 0.5),
    "above": (0.2, 1.0, 0.6),
    "front right": (0.7, 0.3, 1.0),
}


@pytest.fixture(scope="module")
def dressed():
    """A plain avatar with a striped print on the chest, and texture everywhere."""
    avatar = make_plain_avatar(12_000)
    means = avatar.canonical.means
    g = torch.Generator().manual_seed(3)
    stripes = (avatar.parts == int(Part.UPPER)) & ((means[:, 1] * 40).sin() > 0.6)
    stripes &= means[:, 0].abs() < 0.15
    colors = torch.where(stripes[:, None], torch.tensor([0.9, 0.8, 0.3]), avatar.canonical.colors)
    lower = (avatar.parts == int(Part.UPPER)) & (means[:, 1] < -0.3)
    colors = torch.where(lower[:, None], torch.tensor([0.55, 0.52, 0.45]), colors)
    texture = (0.1 * torch.randn(avatar.count, 1, generator=g)).exp()
    colors = from_linear(to_linear(colors) * texture)
    parts = torch.where(lower, int(Part.LOWER), avatar.parts)
    return replace(avatar, canonical=replace(avatar.canonical, colors=colors), parts=parts)


def soft_shade(normals, direction, *, ambient=0.25, spread=0.3):
    """Shade by a large lamp: many small ones, exactly, which nine harmonics only approach."""
    g = torch.Generator().manual_seed(0)
    way = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
    lamps = torch.nn.functional.normalize(way + spread * torch.randn(200, 3, generator=g), dim=1)
    return ambient + (normals @ lamps.T).clamp_min(0).mean(1)


def albedo_error(found, truth, rows):
    """Root mean square error of linear albedo, each on the scale that suits it best."""
    found, truth = found[rows], truth[rows]
    scale = (found * truth).sum() / found.square().sum()
    return float((scale * found - truth).square().mean().sqrt())


def photographed(avatar, shade):
    lit = from_linear(to_linear(avatar.canonical.colors) * shade[:, None])
    return replace(avatar, canonical=replace(avatar.canonical, colors=lit))


@pytest.mark.parametrize("lamp", LAMPS)
def test_a_planted_soft_shadow_is_taken_out_of_the_albedo(dressed, lamp):
    truth = to_linear(dressed.canonical.colors)
    shade = soft_shade(dressed.pose(dressed.photo_params).normals, LAMPS[lamp])
    shot = photographed(dressed, 0.8 * shade)
    before = albedo_error(to_linear(shot.canonical.colors), truth, dressed.seen)
    after = albedo_error(shot.appearance.albedo, truth, dressed.seen)
    print(lamp, before, after, after / before)
    assert after <= 0.6 * before
