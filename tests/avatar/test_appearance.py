"""Albedo and light of one photo: what was planted is found, and nothing is bleached."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.light import Light
from persona.avatar.lit import LitAvatar
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
    assert after <= 0.6 * before


def test_a_planted_cast_shadow_is_taken_out_of_the_albedo(dressed):
    """As of an arm held before the trunk: by place, not by normal, with a penumbra of 6 cm."""
    truth, means = to_linear(dressed.canonical.colors), dressed.canonical.means
    height = means[:, 1] + 0.4 * means[:, 0]
    band = torch.sigmoid((height + 0.22) / 0.02) * torch.sigmoid((0.02 - height) / 0.02)
    shade = soft_shade(dressed.pose(dressed.photo_params).normals, LAMPS["above"])
    shot = photographed(dressed, 0.8 * shade * (1 - 0.5 * band))
    for rows in (dressed.seen, dressed.seen & (band > 0.2)):
        before = albedo_error(to_linear(shot.canonical.colors), truth, rows)
        assert albedo_error(shot.appearance.albedo, truth, rows) <= 0.6 * before


def test_what_changes_hue_is_no_shadow(dressed):
    """A beard, or a skirt dyed darker towards its hem."""
    dye = torch.sigmoid((dressed.canonical.means[:, 1] + 0.3) / 0.04)[:, None]
    tint = 1 - dye * torch.tensor([0.2, 0.5, 0.7])
    colors = from_linear(to_linear(dressed.canonical.colors) * tint)
    dyed = replace(dressed, canonical=replace(dressed.canonical, colors=colors))
    truth = luminance(to_linear(colors))
    found = luminance(dyed.appearance.albedo)
    top = dressed.seen & (dye[:, 0] > 0.9)
    bottom = dressed.seen & (dye[:, 0] < 0.1)
    contrast = [float((v[top].mean() / v[bottom].mean()).log()) for v in (truth, found)]
    assert contrast[1] == pytest.approx(contrast[0], rel=0.25)


def test_the_light_is_found_where_it_was_planted(dressed):
    normals = dressed.pose(dressed.photo_params).normals
    for lamp in LAMPS.values():
        shade = soft_shade(normals, lamp)
        found = photographed(dressed, 0.8 * shade).appearance.light.shade(normals)[:, 0]
        both = torch.stack([found[dressed.seen], shade[dressed.seen]])
        assert torch.corrcoef(both)[0, 1] > 0.9


def test_what_the_photo_does_not_show_gets_an_albedo_too(dressed):
    """The back was completed by copies of the front, light and all."""
    shade = soft_shade(dressed.pose(dressed.photo_params).normals, LAMPS["left"])
    mean = shade[dressed.seen].mean()
    shot = photographed(dressed, 0.8 * torch.where(dressed.seen, shade, mean))
    truth, hidden = to_linear(dressed.canonical.colors), ~dressed.seen
    found = shot.appearance.albedo
    brightness = luminance(found).mean() / luminance(truth).mean()
    share = luminance(found[hidden]).mean() / luminance(truth[hidden]).mean() / brightness
    assert share == pytest.approx(1, abs=0.1)


def test_even_light_leaves_people_as_they_are(dressed):
    albedo, truth = dressed.appearance.albedo, to_linear(dressed.canonical.colors)
    change = (luminance(albedo) / luminance(truth).clamp_min(1e-4))[dressed.seen].log()
    assert change.abs().mean() < 0.05


def test_skin_keeps_its_hue_and_the_person_their_brightness(dressed):
    shade = soft_shade(dressed.pose(dressed.photo_params).normals, LAMPS["left"])
    shot = photographed(dressed, 0.8 * shade)
    before, after = to_linear(shot.canonical.colors), shot.appearance.albedo
    ratio = after / before.clamp_min(1e-6)
    assert torch.allclose(ratio[:, 0], ratio[:, 1], rtol=1e-3)
    assert torch.allclose(ratio[:, 2], ratio[:, 1], rtol=1e-3)
    kept = luminance(after[shot.seen]).mean() / luminance(before[shot.seen]).mean()
    assert kept == pytest.approx(1, abs=1e-4)


def test_the_print_stays_in_the_albedo(dressed):
    shade = soft_shade(dressed.pose(dressed.photo_params).normals, LAMPS["front right"])
    shot = photographed(dressed, 0.8 * shade)
    chest = shot.seen & (shot.canonical.means[:, 0].abs() < 0.1) & (shot.parts == int(Part.UPPER))
    truth = luminance(to_linear(dressed.canonical.colors))[chest].log()
    found = luminance(shot.appearance.albedo)[chest].log()
    assert found.std() == pytest.approx(float(truth.std()), rel=0.05)


def test_clipped_cloth_is_not_painted_with_the_negative_of_the_light(dressed):
    """White cloth that is white all over shows no light, so none is taken out of it."""
    shade = soft_shade(dressed.pose(dressed.photo_params).normals, LAMPS["left"])
    shot = photographed(dressed, 0.8 * shade)
    cloth = shot.parts == int(Part.UPPER)
    colors = torch.where(cloth[:, None], torch.tensor(0.99), shot.canonical.colors)
    shot = replace(shot, canonical=replace(shot.canonical, colors=colors))
    albedo = luminance(shot.appearance.albedo)[cloth & shot.seen]
    assert albedo.std() / albedo.mean() < 0.06


def test_nobody_seen_and_only_hair_seen_are_left_in_even_light(dressed):
    nobody = replace(dressed, seen=torch.zeros_like(dressed.seen))
    hairy = replace(dressed, parts=torch.full_like(dressed.parts, int(Part.HAIR)))
    for avatar in (nobody, hairy):
        assert torch.equal(avatar.appearance.albedo, to_linear(avatar.canonical.colors))
        assert torch.equal(avatar.appearance.light.coefficients, Light.even().coefficients)


def test_black_and_white_people_do_not_break_the_fit(dressed):
    for level in (0.0, 1.0):
        colors = torch.full_like(dressed.canonical.colors, level)
        flat = replace(dressed, canonical=replace(dressed.canonical, colors=colors))
        assert bool(flat.appearance.albedo.isfinite().all())


def test_a_lamp_at_the_left_lights_the_left_whichever_way_the_person_turns(dressed):
    lit = LitAvatar(avatar=dressed, light=Light.from_direction(torch.tensor([-1.0, 0, 0])))
    for turn in (0.0, 1.5, 3.1):
        params = dressed.photo_params
        params = replace(params, global_orient=torch.tensor([0.0, turn, 0.0]))
        posed = lit.pose(params)
        bright = luminance(to_linear(posed.colors))
        cloth = dressed.parts == int(Part.UPPER)
        left, right = posed.normals[:, 0] < -0.7, posed.normals[:, 0] > 0.7
        assert bright[cloth & left].mean() > 2 * bright[cloth & right].mean()


def test_drawing_lit_agrees_with_rendering_the_lit_pose(dressed):
    lit = LitAvatar(avatar=dressed, light=Light.even())
    drawn = lit.draw(dressed.photo_params, dressed.photo_camera)
    plain = dressed.draw(dressed.photo_params, dressed.photo_camera)
    assert torch.allclose(drawn.alpha, plain.alpha, atol=2e-3)
    assert torch.allclose(drawn.means, plain.means, atol=1e-5)
    assert drawn.image.shape == plain.image.shape
