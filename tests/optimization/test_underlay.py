"""Skin inside trouser legs and sleeves: hidden at rest, there when a hem rides up."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.avatar import Avatar
from persona.geometry.cameras import look_at
from persona.optimization.clothing import dress
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.population import populate
from persona.optimization.stage import OptimizeAvatar, OptimizeConfig
from persona.optimization.surface import Surface
from persona.optimization.trainer import TrainConfig
from persona.optimization.underlay import (
    BEYOND,
    ENDS,
    INSET,
    LEG,
    hem_of,
    underlay_colors,
)
from persona.optimization.view import working_view
from persona.optimization.visibility import see
from persona.records.garment import Garment
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.records.wardrobe import Lower, Upper, Wardrobe
from persona.rendering import render
from persona.synthesis.physics.garment import make_garments

COUNT = 8000
SMALL = OptimizeConfig(gaussians=COUNT, person_height=160, train=TrainConfig(steps=20))
WORN = Wardrobe(
    lower=Lower.TROUSERS,
    upper=Upper.TOP,
    hems=(1.9, 1.9),
    sleeves=(2.0, 2.0),
    waist=1.0,
    upper_hem=1.0,
)
LEGS = (Limb.LEFT_LEG, Limb.RIGHT_LEG)


@pytest.fixture(scope="module")
def garments(body, drawn) -> tuple[Garment, ...]:
    return make_garments(WORN, body, drawn.fit.identity).garments


@pytest.fixture(scope="module")
def worn(body, drawn, garments):
    view = working_view(drawn.photo, drawn.observation, drawn.fit, person_height=200)
    dressed = dress(body, drawn.fit, view, garments=garments)
    return view, dressed, populate(dressed, view, count=COUNT, seed=0)


@pytest.fixture(scope="module")
def avatar(body, drawn, garments) -> Avatar:
    stage = OptimizeAvatar(body, SMALL)
    outfit = Outfit(garments=garments)
    return stage(drawn.photo, drawn.observation, drawn.fit, outfit, seed=1)


def test_it_costs_no_gaussian_more(worn):
    _, _, cloud = worn
    assert cloud.count == COUNT
    assert 0.005 * COUNT < int(cloud.inner.sum()) < 0.1 * COUNT


def test_the_photo_shows_none_of_it(worn):
    view, dressed, cloud = worn
    seen = see(cloud, view, dressed.front)
    assert not (seen.exposed | seen.believed | seen.shapes_rim | seen.seen)[cloud.inner].any()


def test_it_lies_within_reach_of_the_hems(worn, garments):
    _, _, cloud = worn
    rest = cloud.rest_body[cloud.inner].numpy()
    limb = cloud.limb[cloud.inner].numpy()
    for one in LEGS:
        hem = hem_of(garments, one)
        assert hem is not None
        up = rest[np.isin(limb, (one, ENDS[one])), 1] + hem
        assert len(up) > 20
        # A triangle of the body is about 4 cm long.
        assert -BEYOND - 1e-3 <= up.min() < 0.02
        assert LEG.reach - 0.06 < up.max() <= LEG.reach + 1e-3


def test_it_lies_inside_the_dressed_body(worn):
    _, dressed, cloud = worn
    corners = dressed.faces[torch.from_numpy(dressed.inner_faces)]
    skin, cloth = dressed.inner[corners].mean(1), dressed.vertices[corners].mean(1)
    a, b, c = (dressed.vertices[corners[:, k]] for k in range(3))
    outward = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)
    assert float(((cloth - skin) * outward).sum(1).quantile(0.02)) > INSET / 2
    assert bool((cloud.binding.face_ids[cloud.inner] >= 0).all())


@pytest.mark.parametrize(("sleeve", "bare"), [(2.0, False), (0.7, True)])
def test_an_arm_is_inside_short_sleeves_and_not_inside_long_ones(body, drawn, sleeve, bare):
    view = working_view(drawn.photo, drawn.observation, drawn.fit, person_height=200)
    garments = make_garments(replace(WORN, sleeves=(sleeve, sleeve)), body, drawn.fit.identity)
    dressed = dress(body, drawn.fit, view, garments=garments.garments)
    inside = dressed.faces[torch.from_numpy(dressed.inner_faces)].flatten()
    limbs = LIMB_OF_JOINT[body.weights[inside].argmax(1).numpy()]
    assert bool(np.isin(limbs, (Limb.LEFT_ARM, Limb.RIGHT_ARM)).any()) is bare


def test_nobody_has_it_in_a_skirt_and_a_sleeveless_top(body, drawn):
    view = working_view(drawn.photo, drawn.observation, drawn.fit, person_height=200)
    assert _on_limbs(body, dress(body, drawn.fit, view)) == 0
    skirt = replace(WORN, lower=Lower.SKIRT, hems=(0.8, 0.8), sleeves=(0.0, 0.0))
    garments = make_garments(skirt, body, drawn.fit.identity).garments
    assert _on_limbs(body, dress(body, drawn.fit, view, garments=garments)) == 0


def _on_limbs(body, dressed) -> int:
    """Count the triangles that are no lining of a face."""
    inside = dressed.faces[torch.from_numpy(dressed.inner_faces)]
    limbs = LIMB_OF_JOINT[body.weights[inside].argmax(-1).numpy()]
    return int((limbs != Limb.HEAD).any(1).sum())


def test_a_face_is_lined_with_its_own_colour_off_eyes_and_mouth(body, dressed):
    inside = dressed.faces[torch.from_numpy(dressed.inner_faces)]
    assert len(inside) > 100
    pieces = body.regions.mask("left_eye", "right_eye", "mouth_inner", "tongue", "teeth", "ears")
    assert not bool(pieces[inside].any())
    behind = (dressed.vertices - dressed.inner)[inside.flatten()].norm(dim=1)
    assert float(behind.quantile(0.02)) > 0.8 * INSET


def _leg(part: Part, garments, *, seen: bool = True) -> Surface:
    """A left leg in trousers that show something else below their hem, and a face."""
    hem = hem_of(garments, Limb.LEFT_LEG)
    assert hem is not None
    down = np.concatenate([np.linspace(0.3, hem, 200), np.linspace(hem + 0.002, hem + 0.06, 60)])
    rest = np.stack([np.full(260, 0.1), -down, np.zeros(260)], 1)
    face = np.stack([np.zeros(30), np.full(30, 0.3), np.linspace(0, 0.1, 30)], 1)
    parts = np.r_[np.full(200, int(Part.LOWER)), np.full(60, int(part)), np.full(30, 1)]
    colors = np.r_[np.full((200, 3), 0.2), np.full((60, 3), 0.9), np.full((30, 3), 0.6)]
    known = np.r_[np.ones(200, bool), np.full(60, seen), np.ones(30, bool)]
    return Surface(
        rest=np.concatenate([rest, face]),
        limb=np.r_[np.full(260, int(Limb.LEFT_LEG)), np.full(30, int(Limb.HEAD))],
        hair_shell=np.zeros(290, bool),
        part=parts,
        seen=known,
        copyable=known,
        color=colors,
        mirrored=np.full((290, 3), np.nan),
    )


@pytest.mark.parametrize("part", [Part.SKIN, Part.SHOES])
def test_it_looks_like_what_is_bare_below_the_hem_and_like_shade_far_up(garments, part):
    surface = _leg(part, garments)
    hem = hem_of(garments, Limb.LEFT_LEG)
    rest = np.array([[0.1, -hem + 0.03, 0.0], [0.1, -hem + 0.3, 0.0]])
    near, far = underlay_colors(surface, surface.color, garments, rest, np.full(2, Limb.LEFT_LEG))
    np.testing.assert_allclose(near, 0.9)
    np.testing.assert_allclose(far, 0.72 * 0.2)


def test_where_nothing_is_bare_it_has_the_color_of_other_skin(garments):
    surface = _leg(Part.SKIN, garments, seen=False)
    rest = np.array([[0.1, -hem_of(garments, Limb.LEFT_LEG) + 0.03, 0.0]])
    painted = underlay_colors(surface, surface.color, garments, rest, np.full(1, Limb.LEFT_LEG))
    np.testing.assert_allclose(painted, 0.6)


@pytest.mark.parametrize("behind", [False, True])
def test_it_does_not_shine_through_at_rest(avatar, behind):
    """Painted in a color that nothing else has, it changes next to no pixel."""
    camera = avatar.photo_camera
    if behind:
        middle = avatar.photo_params.transl + torch.tensor([0.0, -0.4, 0.0])
        eye = middle + torch.tensor([0.0, 0.0, -4.0])
        camera = replace(camera, T_camera_world=look_at(eye, middle))
    posed = avatar.pose(avatar.photo_params)
    hidden = _inner_of(avatar)
    assert int(hidden.sum()) > 50
    plain = render(posed, camera, maps=False).color
    loud = torch.where(hidden[:, None], torch.tensor([1.0, 0.0, 1.0]), posed.colors)
    painted = render(replace(posed, colors=loud), camera, maps=False).color
    change = (painted - plain).abs().amax(-1)
    assert float((change > 0.1).sum()) < 0.003 * float((plain.sum(-1) > 0).sum())


def _inner_of(avatar: Avatar) -> torch.Tensor:
    """Skin on legs and forearms, of which trousers, shoes and sleeves let the photo show none."""
    covered = torch.isin(avatar.binding.bone_ids[:, 0], torch.tensor([4, 5, 7, 8, 18, 19]))
    return covered & (avatar.parts == Part.SKIN) & ~avatar.seen
