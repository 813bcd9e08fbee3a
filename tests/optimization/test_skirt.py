"""A skirt is one tube before the legs it hides: in the photo, at its hem, and when legs part."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.body.skinning import skin_points
from persona.geometry.cameras import photo_camera
from persona.optimization.clothing import dress
from persona.optimization.hems import ABOVE, with_seen_hem
from persona.optimization.limbs import Limb
from persona.optimization.population import populate
from persona.optimization.skirt import covered_by, skirt_of
from persona.optimization.view import working_view
from persona.optimization.visibility import see
from persona.records.body_params import rest_params
from persona.records.garment import Garment
from persona.records.observation import Part
from persona.records.wardrobe import Lower, Upper, Wardrobe
from persona.synthesis.physics.garment import make_garments

COUNT = 6000
SKIRT = Wardrobe(
    lower=Lower.SKIRT,
    upper=Upper.TOP,
    hems=(0.8, 0.8),
    sleeves=(2.0, 2.0),
    waist=1.0,
    upper_hem=1.0,
)


@pytest.fixture(scope="module")
def garments(body, drawn) -> tuple[Garment, ...]:
    return make_garments(SKIRT, body, drawn.fit.identity).garments


@pytest.fixture(scope="module")
def skirted(body, drawn, garments):
    view = working_view(drawn.photo, drawn.observation, drawn.fit, person_height=200)
    return view, dress(body, drawn.fit, view, garments=garments)


@pytest.fixture(scope="module")
def skirt(body, drawn, garments):
    joints = body.forward(drawn.fit.params).rest_joints.double().numpy()
    return next(one for g in garments if (one := skirt_of(g, garments, joints)) is not None)


def test_only_tubes_are_skirts(body, drawn, garments):
    joints = body.forward(drawn.fit.params).rest_joints.double().numpy()
    top = next(g for g in garments if g.name == "top")
    assert skirt_of(top, garments, joints) is None
    trousers = make_garments(
        replace(SKIRT, lower=Lower.TROUSERS, hems=(2.0, 2.0)), body, drawn.fit.identity
    )
    assert all(skirt_of(g, trousers.garments, joints) is None for g in trousers.garments)


def test_a_skirt_has_gaussians_of_its_own_and_hides_the_legs(skirted):
    view, dressed = skirted
    cloud = populate(dressed, view, count=COUNT, seed=0)
    assert cloud.count == COUNT
    on_skirt = cloud.limb == Limb.SKIRT
    assert 200 < int(on_skirt.sum()) < COUNT // 2
    seen = see(cloud, view, dressed.front)
    covered = cloud.under > 0
    assert int(covered.sum()) > 50
    assert not seen.exposed[covered].any()
    assert not (on_skirt & covered).any()


def test_legs_below_the_hem_stay_bare(body, skirt):
    rest = body.forward(rest_params()).rest_vertices.double().numpy()
    under = covered_by([skirt], rest, body.weights.numpy())
    assert under[rest[:, 1] < skirt.hem].max() == 0
    assert under.max() == 1


@pytest.mark.parametrize("angle", [0.5, 1.2])
def test_a_skirt_stays_one_tube_when_a_leg_is_lifted(skirt, angle):
    """Neighbours on the cloth stay neighbours: the middle stretches, and nothing parts."""
    bones = torch.eye(4).repeat(55, 1, 1)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])
    pivot = torch.tensor([0.06, float(skirt.top), 0.0])
    for joint in (1, 4, 7, 10):
        bones[joint, :3, :3] = turn
        bones[joint, :3, 3] = pivot - turn @ pivot
    rest = torch.from_numpy(skirt.rest).float()
    moved = skin_points(rest, bones, torch.from_numpy(skirt.weights).float())
    edges = torch.from_numpy(skirt.faces.astype(np.int64))[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    # A split would tear the seam between the legs by the whole way that the leg goes.
    way = float((moved - rest).norm(dim=1).max())
    gap = (moved[edges[:, 0]] - moved[edges[:, 1]]).norm(dim=1)
    assert way > 0.1
    assert float(gap.max()) < 0.25 * way


def test_a_hem_is_drawn_up_to_where_skin_begins(body, drawn, skirt):
    posed = body.forward(drawn.fit.params)
    camera = photo_camera(*drawn.fit.image_size, drawn.fit.focal_px)
    shorter = 0.05
    rest = skirt.rest[np.abs(skirt.rest[:, 1] - skirt.hem - shorter).argmin()]
    level = skin_points(
        torch.tensor(rest[None], dtype=torch.float32), posed.T_posed_rest, torch.eye(55)[:1]
    )
    row = int(camera.project(level)[0][0, 1])
    parts = np.full((drawn.fit.image_size[1], drawn.fit.image_size[0]), int(Part.LOWER))
    parts[row:] = int(Part.SKIN)
    drawn_up = with_seen_hem(skirt, posed.T_posed_rest, camera, parts)
    lift = drawn_up.hem - skirt.hem
    assert 0.02 < lift <= ABOVE
    assert drawn_up.top == pytest.approx(skirt.top)
    nothing = np.full_like(parts, int(Part.SKIN))
    assert with_seen_hem(skirt, posed.T_posed_rest, camera, nothing) is skirt
