"""Garments on the open body: closed rims, clear of the skin, ending where they should."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.body import load_body
from persona.geometry.cameras import photo_camera
from persona.geometry.meshes import vertex_normals
from persona.records.body_fit import BodyFit, Identity
from persona.records.body_params import rest_params
from persona.records.garment import Stiffness
from persona.records.observation import Observation, Part
from persona.records.wardrobe import Lower, Standoff, Upper, Wardrobe
from persona.rendering.body_maps import draw_body_maps
from persona.synthesis.physics.clearance import skin_of
from persona.synthesis.physics.garment import make_garments
from persona.synthesis.physics.outline import measure_outline, missing_arms
from persona.synthesis.physics.rest_body import rest_body
from persona.synthesis.physics.soundness import fault
from persona.synthesis.physics.weld import rim_loops

DEEPEST_M = 0.001
"""No cloth lies deeper in the skin than this [m]."""
BODY = load_body()
IDENTITY = Identity(
    betas=torch.zeros(10),
    joint_offsets=torch.zeros(55, 3),
    vertex_offsets=torch.zeros(BODY.vertex_count, 3),
)


def wardrobe(**changes) -> Wardrobe:
    plain = {
        "lower": Lower.TROUSERS,
        "upper": Upper.TOP,
        "hems": (1.95, 1.95),
        "sleeves": (1.9, 1.9),
        "waist": 0.95,
        "upper_hem": 0.95,
        "neck": 0.3,
    }
    return Wardrobe(**(plain | changes))


WORN = {
    "trousers and top": wardrobe(),
    "wide trousers, low neck": wardrobe(standoff=Standoff(shins=0.06, thighs=0.03), neck=-0.5),
    "shorts, short sleeves": wardrobe(
        lower=Lower.SHORTS, hems=(0.8, 0.85), sleeves=(0.6, 0.6), waist=0.8, upper_hem=0.8
    ),
    "shorts, bare chest": wardrobe(
        lower=Lower.SHORTS, upper=Upper.NONE, hems=(0.4, 0.4), sleeves=(-0.3, -0.3)
    ),
    "skirt, no sleeves": wardrobe(lower=Lower.SKIRT, hems=(0.5, 0.5), sleeves=(-0.05, -0.05)),
    "long skirt": wardrobe(lower=Lower.SKIRT, hems=(1.9, 1.9)),
    "dress": wardrobe(lower=Lower.DRESS, one_piece=True, hems=(0.9, 0.9), sleeves=(0.4, 0.4)),
    "coat": wardrobe(upper=Upper.COAT, upper_hem=1.8, upper_stiffness=Stiffness.STIFF, neck=0.8),
}
RIMS = {"trousers": 3, "shorts": 3, "skirt": 2, "dress": 4, "top": 4, "coat": 4}
"""Waist and two legs; waist and hem; neck, two sleeves and hem."""


@pytest.fixture(scope="module")
def rest():
    return rest_body(BODY, IDENTITY)


@pytest.fixture(scope="module")
def skin(rest):
    return skin_of(rest)


@pytest.fixture(scope="module")
def dressed():
    return {name: make_garments(worn, BODY, IDENTITY) for name, worn in WORN.items()}


@pytest.mark.parametrize("name", WORN)
def test_everything_worn_is_made(dressed, name):
    made, worn = dressed[name], WORN[name]
    assert made.warnings == ()
    names = {garment.name for garment in made.garments}
    lower = set() if worn.lower is Lower.DRESS else {worn.lower.value}
    upper = set() if worn.upper is Upper.NONE else {worn.upper.value}
    assert names == ({"dress"} if worn.lower is Lower.DRESS else lower | upper)


@pytest.mark.parametrize("name", WORN)
def test_garments_are_sound_and_clear_of_the_skin(dressed, skin, name):
    for garment in dressed[name].garments:
        points = garment.rest_vertices.double().numpy()
        assert fault(points, garment.faces.numpy()) is None
        assert skin.heights(points).min() > -DEEPEST_M, garment.name
        assert len(rim_loops(garment.faces.numpy())) == RIMS[garment.name], garment.name
        used = torch.zeros(garment.vertex_count, dtype=torch.bool)
        used[garment.faces] = True
        assert used.all()


@pytest.mark.parametrize("name", WORN)
def test_faces_look_outwards_and_something_is_held(dressed, skin, name):
    for garment in dressed[name].garments:
        points = garment.rest_vertices
        normals = vertex_normals(points, garment.faces).double().numpy()
        ahead = skin.heights(points.double().numpy() + 0.005 * normals)
        behind = skin.heights(points.double().numpy())
        assert (ahead > behind).mean() > 0.95, garment.name
        assert float(garment.attachment.max()) == 1.0
        assert 0 < float((garment.attachment > 0).float().mean()) < 0.5


def test_a_dressed_person_has_8000_to_15000_vertices(dressed):
    for name in ("trousers and top", "dress", "coat", "long skirt"):
        count = sum(garment.vertex_count for garment in dressed[name].garments)
        assert 8_000 * (0.6 if name == "dress" else 1) < count < 15_000, name


@pytest.mark.parametrize("name", ["trousers and top", "shorts, short sleeves", "skirt, no sleeves"])
def test_hems_and_sleeves_end_where_they_should(dressed, rest, name):
    worn = WORN[name]
    for garment in dressed[name].garments:
        points = garment.rest_vertices.double().numpy()
        loops = [points[loop] for loop in rim_loops(garment.faces.numpy())]
        if garment.name in ("trousers", "shorts"):
            for sign, hem in ((1, worn.hems[0]), (-1, worn.hems[1])):
                legs = [loop for loop in loops if (sign * loop[:, 0] > 0).all()]
                lowest = min(legs, key=lambda loop: loop[:, 1].mean())
                np.testing.assert_allclose(lowest[:, 1], rest.leg_height(hem), atol=1e-4)
        if garment.name == "skirt":
            lowest = min(loops, key=lambda loop: loop[:, 1].mean())
            np.testing.assert_allclose(lowest[:, 1].mean(), rest.leg_height(0.5), atol=0.004)
        if garment.name == "top" and worn.sleeves[0] > 0.3:
            outer = max(loops, key=lambda loop: loop[:, 0].mean())
            np.testing.assert_allclose(outer[:, 0], rest.arm_reach(worn.sleeves[0]), atol=1e-4)


@pytest.mark.parametrize("name", ["skirt, no sleeves", "long skirt", "dress", "coat"])
def test_a_tube_is_around_both_legs_and_nothing_passes_between(dressed, name):
    tube = next(garment for garment in dressed[name].garments if garment.is_tube)
    loops = rim_loops(tube.faces.numpy())
    points = tube.rest_vertices.numpy()
    lowest = min((points[loop] for loop in loops), key=lambda loop: loop[:, 1].mean())
    assert lowest[:, 0].min() < -0.1
    assert lowest[:, 0].max() > 0.1
    assert len(lowest) >= 90


def test_outer_garments_lie_outside_inner_ones(dressed, skin):
    for name in ("trousers and top", "skirt, no sleeves", "coat"):
        inner, outer = dressed[name].garments
        assert inner.layer < outer.layer
        cover = skin.covered_by(inner.rest_vertices.double().numpy(), inner.faces.numpy())
        assert cover.heights(outer.rest_vertices.double().numpy()).min() > -DEEPEST_M


def test_looser_clothes_are_larger():
    def size(gap):
        worn = wardrobe(standoff=Standoff(thighs=gap, shins=gap))
        made = make_garments(worn, BODY, IDENTITY)
        low = made.garments[0].rest_vertices
        return float(low[:, 0].amax() - low[:, 0].amin())

    assert size(0.05) > size(0.01) + 0.04


def test_a_sleeve_on_a_missing_arm_is_dropped_with_a_word():
    made = make_garments(wardrobe(), BODY, IDENTITY, missing=frozenset({"left_arm"}))
    assert "left sleeve" in " ".join(made.warnings)
    top = next(garment for garment in made.garments if garment.name == "top")
    x = top.rest_vertices[:, 0]
    assert float(x.max()) < 0.25
    assert float(x.min()) < -0.5


def test_an_arm_is_missing_when_its_elbow_is_outside_the_picture():
    body = torch.full((33, 2), 50.0)
    body[13] = torch.tensor([-3.0, 50.0])
    seen = Observation(
        mask=torch.zeros(100, 100),
        mask_source="alpha",
        box=(0.0, 0.0, 100.0, 100.0),
        body=body,
        body_confidence=torch.ones(33),
        body_world=torch.zeros(33, 3),
        parts=torch.zeros(100, 100, dtype=torch.int64),
    )
    assert missing_arms(seen) == {"left_arm"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"upper_hem": 0.0, "sleeves": (-0.5, -0.5), "neck": -1.0}, "top"),
        ({"lower": Lower.SKIRT, "hems": (0.0, 0.0), "waist": 1.1}, "skirt"),
        ({"lower": Lower.SHORTS, "hems": (0.0, 0.0), "waist": 2.0}, "shorts"),
    ],
)
def test_what_is_empty_is_dropped_with_a_word_and_the_rest_is_made(monkeypatch, changes, name):
    monkeypatch.setattr("persona.synthesis.physics.edges.NATURAL_WAIST", 1.02)
    made = make_garments(wardrobe(**changes), BODY, IDENTITY)
    assert f"the {name} was left out" in " ".join(made.warnings)
    assert len(made.garments) == 1


def test_long_hair_becomes_a_soft_sheet_behind_the_face(rest, skin):
    heights = np.linspace(rest.chin - 0.2, rest.chin + 0.1, 40)
    angle, y = np.meshgrid(np.linspace(-2, 2, 60), heights)
    middle = rest.joint("neck")
    points = np.stack([0.11 * np.sin(angle) + middle[0], y, middle[2] - 0.11 * np.cos(angle)], -1)
    made = make_garments(wardrobe(hair=0.3), BODY, IDENTITY, hair=points.reshape(-1, 3))
    hair = made.garments[-1]
    assert (hair.name, hair.stiffness) == ("hair", Stiffness.SOFT)
    assert len(rim_loops(hair.faces.numpy())) == 1
    low, high = hair.rest_vertices[:, 1].min(), hair.rest_vertices[:, 1].max()
    assert float(low) < rest.chin - 0.1
    assert float(high) > rest.chin
    assert skin.heights(hair.rest_vertices.double().numpy()).min() > -DEEPEST_M
    normals = vertex_normals(hair.rest_vertices, hair.faces)
    assert float((normals[:, 2] < 0).float().mean()) > 0.6


def test_short_hair_is_no_sheet():
    made = make_garments(wardrobe(hair=0.3), BODY, IDENTITY, hair=np.zeros((3, 3)))
    assert "hair was left out" in " ".join(made.warnings)


def standing_fit() -> BodyFit:
    """The body in A-pose, three metres before a camera."""
    pose = torch.zeros(55, 3)
    pose[1, 2], pose[2, 2] = 0.12, -0.12
    pose[16, 2], pose[17, 2] = -0.7, 0.7
    params = replace(rest_params().with_full_pose(pose), transl=torch.tensor([0.0, 0.45, -3.0]))
    return BodyFit(
        identity=IDENTITY, params=params, focal_px=900.0, image_size=(800, 800),
        keypoint_error_px=0.0, body_iou=1.0, lean_m=0.0, standing=True, left_hand_seen=True,
        right_hand_seen=True,
    )  # fmt: skip


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.04])
def test_the_outline_tells_how_far_clothes_stand_off(gap):
    fit = standing_fit()
    posed = BODY.forward(fit.params)
    normals = vertex_normals(posed.vertices, BODY.faces)
    camera = photo_camera(*fit.image_size, fit.focal_px)
    drawn = draw_body_maps(posed.vertices + gap * normals, BODY.faces, camera).mask
    rows, columns = torch.nonzero(drawn).T
    pixels, _ = camera.project(BODY.landmarks.pose33(posed.vertices, posed.joints))
    seen = Observation(
        mask=drawn.float(),
        mask_source="alpha",
        box=tuple(float(x) for x in (columns.min(), rows.min(), columns.max(), rows.max())),
        body=pixels,
        body_confidence=torch.ones(33),
        body_world=torch.zeros(33, 3),
        parts=torch.where(drawn, int(Part.LOWER), 0),
    )
    found = measure_outline(BODY, fit, seen, wardrobe()).standoff
    for name in ("trunk", "arms", "thighs", "shins"):
        assert getattr(found, name) == pytest.approx(gap, abs=0.006), name
