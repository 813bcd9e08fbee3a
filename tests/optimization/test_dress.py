"""Clothes on the body: cloth hangs over hollows of the trunk, shoes have no toes, limits blend."""

import cv2
import numpy as np
import pytest
import torch

from persona.optimization.clothing import uniform_laplacian
from persona.optimization.dress import (
    MAX_DRAPE,
    MAX_HANG,
    OUTWARD,
    SHOE_THICKNESS,
    TRUNK,
    covered_share,
    drape_offsets,
    freedom,
    hang_heights,
    shoe_offsets,
    sleeve_looseness,
    vertex_limbs,
    wears_shoes,
)
from persona.optimization.limbs import (
    LIMB_OF_JOINT,
    MIRROR,
    Limb,
    along,
    front_plane,
)
from persona.optimization.silhouette import vertex_normals
from persona.records.body_params import rest_params
from persona.records.observation import Part

STEP = 0.008


@pytest.fixture(scope="module")
def resting(body):
    rest = body.forward(rest_params(), with_pose_correctives=False).rest_vertices
    return rest.numpy().astype(np.float64)


@pytest.fixture(scope="module")
def mesh(body):
    faces = body.faces.numpy()
    return (
        faces,
        body.weights.numpy().astype(np.float64),
        uniform_laplacian(faces, body.vertex_count),
    )


@pytest.fixture(scope="module")
def sheet():
    """A flat square of cloth, 40 cm wide, facing +z: vertices, faces, Laplacian."""
    y, x = np.meshgrid(np.arange(-0.2, 0.2, STEP), np.arange(-0.2, 0.2, STEP), indexing="ij")
    side = x.shape[0]
    ids = np.arange(side * side).reshape(side, side)
    a, b, c, d = (s.ravel() for s in (ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(side * side)], 1)
    return flat, faces, uniform_laplacian(faces, len(flat))


def shares_of(count, joint):
    weights = np.zeros((count, 55))
    weights[:, joint] = 1
    return weights


def dented(flat, depth):
    """Press a hollow of 3 cm radius into the sheet; negative depths make a bump."""
    moved = flat.copy()
    moved[:, 2] -= depth * np.exp(-0.5 * (flat[:, :2] ** 2).sum(1) / 0.015**2)
    return moved


def test_cloth_bridges_a_hollow_of_the_trunk(sheet):
    flat, faces, laplacian = sheet
    hollow = dented(flat, 0.02)
    moved = hollow + drape_offsets(hollow, faces, shares_of(len(flat), TRUNK[0]), laplacian)
    middle = np.argmin((flat[:, :2] ** 2).sum(1))
    assert moved[middle, 2] > -0.007
    assert moved[middle, 2] < 0.002


def test_cloth_softens_a_bump_of_the_trunk(sheet):
    flat, faces, laplacian = sheet
    bump = dented(flat, -0.02)
    moved = bump + drape_offsets(bump, faces, shares_of(len(flat), TRUNK[0]), laplacian)
    middle = np.argmin((flat[:, :2] ** 2).sum(1))
    assert 0.004 < moved[middle, 2] < 0.013, "a bump keeps part of its height"


@pytest.mark.parametrize("joint", [1, 16, 15], ids=["leg", "arm", "head"])
def test_nothing_hangs_off_the_trunk(sheet, joint):
    flat, faces, laplacian = sheet
    offsets = drape_offsets(dented(flat, 0.02), faces, shares_of(len(flat), joint), laplacian)
    assert not offsets.any()


def test_draping_the_body_moves_only_its_trunk_and_little(resting, mesh):
    faces, weights, laplacian = mesh
    offsets = drape_offsets(resting, faces, weights, laplacian)
    length = np.linalg.norm(offsets, axis=1)
    assert length.max() <= MAX_DRAPE + 1e-9
    assert not length[weights[:, list(TRUNK)].sum(1) <= 0.5].any()
    trunk = weights[:, list(TRUNK)].sum(1) > 0.9
    rough = np.linalg.norm(laplacian @ resting, axis=1)[trunk].mean()
    smooth = np.linalg.norm(laplacian @ (resting + offsets), axis=1)[trunk].mean()
    assert smooth < rough


def test_sleeves_tell_whether_a_garment_is_loose(mesh):
    _, weights, _ = mesh
    limbs = vertex_limbs(weights)
    arms = np.isin(limbs, (Limb.LEFT_ARM, Limb.RIGHT_ARM))
    height = np.where(arms, 0.02, 0.05)
    assert sleeve_looseness(height, arms, limbs) == pytest.approx(0.02)
    assert sleeve_looseness(height, ~arms, limbs) == 0, "bare arms tell nothing"


def hung(resting, mesh, *, looseness, down_to=-0.55):
    """Let a garment that ends at some height hang around the body; heights and places."""
    faces, weights, _ = mesh
    is_cloth = resting[:, 1] > down_to
    heights = hang_heights(resting, weights, is_cloth, looseness)
    return heights, resting + heights[:, None] * vertex_normals(resting, faces)


def test_a_loose_garment_falls_from_the_chest_instead_of_following_the_waist(resting, mesh):
    heights, moved = hung(resting, mesh, looseness=0.02)
    trunk = mesh[1][:, list(TRUNK)].sum(1) > 0.9
    assert heights.max() <= MAX_HANG
    assert not heights[mesh[1][:, list(TRUNK)].sum(1) <= 0.5].any()

    def width(points, level):
        here = trunk & (np.abs(resting[:, 1] - level) < 0.02)
        return np.ptp(points[here, 0])

    levels = np.arange(-0.3, -0.12, 0.02)
    waist = levels[np.argmin([width(resting, level) for level in levels])]
    assert width(moved, waist) > width(resting, waist) + 0.04


def test_a_tight_garment_stays_on_the_skin(resting, mesh):
    assert not hung(resting, mesh, looseness=0.005)[0].any()


def test_a_garment_hangs_no_lower_than_its_hem(resting, mesh):
    heights, _ = hung(resting, mesh, looseness=0.02, down_to=-0.2)
    assert heights[resting[:, 1] > -0.18].max() > 0.01
    assert not heights[resting[:, 1] < -0.3].any()


def filled_share(vertices, faces):
    """Share of the hull's front 7 cm that triangles fill, seen from above at 1 mm a pixel."""
    flat = (1000 * vertices[faces][..., [0, 2]]).round().astype(np.int32)
    flat -= flat.min((0, 1))
    drawn = np.zeros(flat.max((0, 1))[::-1] + 1, np.uint8)
    hull = np.zeros_like(drawn)
    cv2.fillConvexPoly(hull, cv2.convexHull(flat.reshape(-1, 2)), 1)
    for triangle in flat:
        cv2.fillConvexPoly(drawn, triangle, 1)
    return drawn[-70:].sum() / hull[-70:].sum()


def foot(weights, ankle, toes):
    return weights[:, [ankle, toes]].sum(1) > 0.5


@pytest.mark.parametrize(("side", "ankle", "toes"), [(0, 7, 10), (1, 8, 11)], ids=["left", "right"])
def test_a_shoe_melts_the_toes_and_keeps_the_foots_length(resting, mesh, side, ankle, toes):
    faces, weights, laplacian = mesh
    shod = (side == 0, side == 1)
    offsets = shoe_offsets(resting, faces, weights, laplacian, shod)
    worn = resting + offsets
    mine = foot(weights, ankle, toes)
    before, after = np.ptp(resting[mine, 2]), np.ptp(worn[mine, 2])
    assert after == pytest.approx(before + 2 * SHOE_THICKNESS, abs=0.006)
    # Toes have gaps between them, a shoe has none: from above it fills its outline.
    skin = faces[mine[faces].all(1)]
    assert filled_share(resting, skin) < 0.93, "these toes have gaps"
    assert filled_share(worn, skin) > 0.98
    other = (8, 11) if side == 0 else (7, 10)
    assert not offsets[foot(weights, *other)].any()
    assert not offsets[weights[:, [ankle, toes]].sum(1) == 0].any()


def test_bare_feet_stay_bare(resting, mesh):
    faces, weights, laplacian = mesh
    assert not shoe_offsets(resting, faces, weights, laplacian, (False, False)).any()


def test_shoes_and_cloth_are_read_from_the_part_labels(body, drawn):
    weights = body.weights.numpy()
    pixels = drawn.camera.project(drawn.vertices)[0].numpy()
    parts = drawn.observation.parts.numpy()
    assert wears_shoes(pixels, parts, weights) == (True, True)
    assert covered_share(pixels, parts, weights, TRUNK) > 0.9
    bare = np.where(np.isin(parts, (Part.SHOES, Part.UPPER, Part.LOWER)), int(Part.SKIN), parts)
    assert wears_shoes(pixels, bare, weights) == (False, False)
    assert covered_share(pixels, bare, weights, TRUNK) < 0.1
    # Only what lies left in the picture loses its shoe: the person's right foot.
    middle = parts.shape[1] // 2
    half = parts.copy()
    half[:, :middle] = bare[:, :middle]
    assert wears_shoes(pixels, half, weights) == (True, False)


def test_feet_outside_the_picture_wear_nothing(body, drawn):
    pixels = drawn.camera.project(drawn.vertices)[0].numpy()
    nothing = np.zeros((10, 10), int)
    assert wears_shoes(pixels, nothing, body.weights.numpy()) == (False, False)
    assert covered_share(pixels, nothing, body.weights.numpy(), TRUNK) == 0.0


def test_freedom_is_the_limbs_own_and_blends_where_limbs_meet(body):
    weights = body.weights.numpy().astype(np.float64)
    limits = freedom(weights)
    limb = vertex_limbs(weights)
    by_limb = np.stack([weights[:, int(i) == LIMB_OF_JOINT].sum(1) for i in Limb], 1)
    pure = by_limb.max(1) > 0.999
    expected = np.array([OUTWARD[Limb(i)] for i in limb[pure]])
    np.testing.assert_allclose(limits.outward[pure], expected, atol=2e-4)
    assert limits.outward.min() >= min(OUTWARD.values()) - 1e-9
    assert limits.outward.max() <= max(OUTWARD.values()) + 1e-6
    assert (limits.inward > 0).all()
    hand = pure & (limb == Limb.LEFT_HAND)
    assert limits.trust[hand].max() < 0.25
    assert limits.trust[pure & (limb == Limb.TORSO)].min() > 0.99


def test_every_joint_belongs_to_one_limb_and_limbs_mirror():
    assert set(LIMB_OF_JOINT) == {int(limb) for limb in Limb} - {int(Limb.SKIRT)}
    assert all(MIRROR[MIRROR[limb]] is limb for limb in Limb)


@pytest.mark.parametrize("limb", list(Limb), ids=lambda limb: limb.name.lower())
def test_mirrored_points_lie_at_the_same_place_along_mirrored_limbs(limb):
    points = np.random.default_rng(0).normal(size=(50, 3))
    mirrored = points * [-1, 1, 1]
    np.testing.assert_array_equal(along(limb, points), along(MIRROR[limb], mirrored))
    if MIRROR[limb] is not limb:
        np.testing.assert_array_equal(
            front_plane(limb, points), front_plane(MIRROR[limb], mirrored)
        )


def test_the_laplacian_is_blind_to_shifts_and_knows_flat_from_bent(sheet):
    flat, _, laplacian = sheet
    np.testing.assert_allclose(laplacian @ np.ones(len(flat)), 0, atol=1e-12)
    np.testing.assert_allclose(laplacian.diagonal(), 1)
    inside = (np.abs(flat[:, :2]) < 0.15).all(1)
    np.testing.assert_allclose((laplacian @ flat)[inside], 0, atol=1e-9)


def test_normals_of_the_dressed_body_still_point_outward(dressed):
    """Clothes must not turn the surface inside out: almost every normal keeps its side."""
    faces = dressed.faces.numpy()
    worn = vertex_normals(dressed.rest_vertices.double().numpy(), faces)
    naked = vertex_normals(dressed.naked_rest.double().numpy(), faces)
    limbs = dressed.limbs
    covered = ~np.isin(limbs, (Limb.LEFT_FOOT, Limb.RIGHT_FOOT, Limb.LEFT_HAND, Limb.RIGHT_HAND))
    assert ((worn * naked).sum(1)[covered] > 0).mean() > 0.97


def test_the_dressed_body_fills_the_mask_and_stands_before_the_camera(dressed, view):
    assert dressed.iou > 0.94
    assert dressed.front.shape == view.mask.shape
    near = dressed.front[torch.isfinite(dressed.front)]
    assert 3.5 < float(near.min()) < float(near.max()) < 4.5


def test_skinning_the_dressed_rest_body_gives_the_dressed_body(dressed):
    """The photo's expression is neutral, so what it adds are the pose correctives alone."""
    T = torch.einsum("vj,jab->vab", dressed.weights, dressed.bones)
    rest = dressed.rest_vertices + dressed.expression
    posed = (T[:, :3, :3] @ rest[..., None])[..., 0] + T[:, :3, 3]
    torch.testing.assert_close(posed, dressed.vertices, atol=1e-4, rtol=0)
