"""Surfaces beside the body: hair is round and covers the scalp, webs never join two limbs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

from persona.geometry.cameras import photo_camera
from persona.kernels import rasterize_mesh
from persona.optimization.dress import vertex_limbs
from persona.optimization.hair_shell import HANGS, hair_shell
from persona.optimization.hats import Hat
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.shells import BodyLayers, grow_depth, harmonic, inscribed_balls
from persona.optimization.silhouette import draw_mask, project
from persona.optimization.webs import WEB_GROUP, known_of_its_leg, web_shells

DEPTH = 2.0
CAMERA = photo_camera(120, 120, 200.0)
ARM, TRUNK_AND_LEGS = {1, 2}, {0}
"""Values of `WEB_GROUP`."""


def nothing_drawn(shape=(120, 120)) -> BodyLayers:
    """Layers of a picture without a body."""
    no, far = np.zeros(shape, bool), np.full(shape, np.inf)
    return BodyLayers(
        covered=no,
        front=far,
        on_head=no,
        on_trunk=no,
        hidden_hand=far,
        head_back=-far,
        head_points=np.array([[0.0, 0.0, DEPTH]]),
        far_side=0,
        averted_cheek=np.zeros(1, bool),
        bare_cheek=np.zeros(1, bool),
        nape=np.array([0.0, -1.0, 0.0, 10.0]),
    )


def disc(radius, center=(60, 60)):
    rows, columns = np.mgrid[:120, :120] + 0.5
    return (rows - center[1]) ** 2 + (columns - center[0]) ** 2 < radius**2


def blow_up(hair, layers=None, mask=None, hat=None):
    return hair_shell(
        hair if mask is None else mask,
        hair,
        layers or nothing_drawn(),
        camera=CAMERA,
        head_depth=DEPTH,
        chin_row=110.0,
        shoulder_row=118.0,
        hat=hat,
    )


def test_a_disc_of_hair_becomes_a_ball():
    """Its half thickness is sqrt(r^2 - d^2)."""
    radius = 40
    shell = blow_up(disc(radius))
    pixel = DEPTH / CAMERA.focal_px
    distance = np.linalg.norm(project(shell.vertices, CAMERA) - 60, axis=1)
    inside = distance < 0.8 * radius
    expected = pixel * np.sqrt(radius**2 - distance[inside] ** 2)
    found = np.abs(shell.vertices[inside, 2] - DEPTH)
    np.testing.assert_allclose(found, expected, atol=1.8 * pixel)
    toward = shell.vertices[:, 2] < DEPTH
    assert toward.sum() == pytest.approx((~toward).sum(), rel=0.1), "as much behind as in front"


def test_a_shells_triangles_face_outward():
    shell = blow_up(disc(40))
    a, b, c = (shell.vertices[shell.faces[:, i]] for i in range(3))
    outward = (a + b + c) / 3 - [0, 0, DEPTH]
    assert ((np.cross(b - a, c - a) * outward).sum(1) > 0).mean() > 0.98


def test_a_bald_head_has_no_shell():
    head = disc(40)
    front = np.where(head, 1.95, np.inf)
    layers = replace(nothing_drawn(), covered=head, on_head=head, front=front)
    assert blow_up(disc(8, center=(60, 28)), layers, mask=head) is None


def test_hair_lies_before_the_skin_it_covers_but_is_no_shelf():
    """A fringe on a face that comes far forward follows the face."""
    head = disc(40)
    layers = replace(nothing_drawn(), covered=head, on_head=head, front=np.where(head, 1.5, np.inf))
    shell = blow_up(disc(30), layers, mask=head)
    front = shell.vertices[shell.vertices[:, 2] < 1.8]
    inner = np.linalg.norm(project(front, CAMERA) - 60, axis=1) < 25
    assert (front[inner, 2] < 1.5).all()
    assert (front[inner, 2] > 1.5 - 0.03).all()


def test_a_face_that_is_turned_away_stays_free():
    """Hair beside the head would hang before the cheek that is nearest to it."""
    cheek, back = [0.3, 0.0, DEPTH], [-0.3, 0.0, DEPTH]
    layers = replace(
        nothing_drawn(),
        head_points=np.array([cheek, back]),
        averted_cheek=np.array([True, False]),
        bare_cheek=np.zeros(2, bool),
    )
    shell = blow_up(disc(40), layers)
    assert len(shell.faces) > 1000
    assert shell.vertices[shell.faces, 0].max() < 0.02


SKULL_PX, HAIR_PX = 30, 6
PIXEL = DEPTH / CAMERA.focal_px


def skull(radius=SKULL_PX, squeeze=0.8):
    """Layers of an egg of a head, less deep than wide: what its picture alone does not tell."""
    rows, columns = np.mgrid[:120, :120] + 0.5
    head = disc(radius)
    away = np.clip(radius**2 - (rows - 60) ** 2 - (columns - 60) ** 2, 0, None)
    half = squeeze * PIXEL * np.sqrt(away)
    return replace(
        nothing_drawn(),
        covered=head,
        on_head=head,
        front=np.where(head, DEPTH - half, np.inf),
        head_back=np.where(head, DEPTH + half, -np.inf),
    )


def test_hair_behind_is_as_thick_as_its_outline_and_no_thicker():
    layers = skull()
    shell = blow_up(disc(SKULL_PX + HAIR_PX), layers, mask=disc(SKULL_PX + HAIR_PX))
    at = project(shell.vertices, CAMERA)
    middle = np.linalg.norm(at - 60, axis=1) < 6
    back = shell.vertices[middle, 2].max()
    assert back - layers.head_back.max() == pytest.approx(HAIR_PX * PIXEL, abs=1.5 * PIXEL)


def test_a_shell_is_closed_between_front_and_back():
    """Every edge has two triangles: no light falls in at the crown, however the outline steps."""
    shell = blow_up(disc(37, center=(58.3, 61.1)))
    edges = np.sort(shell.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).all()


def test_short_hair_ends_at_the_nape_and_long_hair_covers_it():
    """The plane lies 10 px below the middle of the head; up is minus y."""
    low = 10 * PIXEL
    layers = replace(skull(), nape=np.array([0.0, -1.0, 0.0, low]))
    rows = np.mgrid[:120, :120][0] + 0.5
    mask = disc(SKULL_PX + HAIR_PX)
    reach = int(2 * HANGS / PIXEL) + 2
    for hair, covers in ((mask & (rows < 70), False), (mask & (rows < 70 + 2 * reach), True)):
        shell = hair_shell(
            mask,
            hair,
            layers,
            camera=CAMERA,
            head_depth=DEPTH,
            chin_row=110.0,
            shoulder_row=118.0,
        )
        behind = shell.vertices[np.unique(shell.faces)]
        behind = behind[behind[:, 2] > DEPTH + 0.05]
        assert (behind[:, 1].max() > low + 2 * PIXEL) is np.bool_(covers)


def test_a_lock_on_an_averted_cheek_that_is_bare_on_the_other_is_no_hair():
    layers = skull()
    columns = np.mgrid[:120, :120][1] + 0.5
    row, column = np.where(layers.on_head)
    depth = layers.front[row, column]
    flat = (np.stack([column, row], 1) + 0.5 - 60) * depth[:, None] / CAMERA.focal_px
    points = np.concatenate([flat, depth[:, None]], 1)
    bare = column < 50
    layers = replace(layers, head_points=points, averted_cheek=bare, bare_cheek=bare)
    mask = disc(SKULL_PX)
    shell = blow_up(mask & (columns < 66), layers, mask=mask)
    front = shell.vertices[np.unique(shell.faces)]
    front = front[front[:, 2] < DEPTH - 0.1]
    assert len(front) > 100
    on_cheek = project(front, CAMERA)[:, 0] < 45
    assert not on_cheek.any()


def test_balls_in_a_disc_make_a_ball_and_in_a_bar_a_cylinder():
    rows, columns = np.mgrid[:120, :120] + 0.5
    found = inscribed_balls(disc(40))
    away = (rows - 60) ** 2 + (columns - 60) ** 2
    inside = away < 32**2
    np.testing.assert_allclose(found[inside], np.sqrt(40**2 - away[inside]), atol=2.0)
    bar = (np.abs(rows - 60) < 10) & (np.abs(columns - 60) < 50)
    assert inscribed_balls(bar)[55:65, 30:90].max() == pytest.approx(10, abs=0.6)


def test_a_harmonic_function_is_linear_between_lines_and_never_leaves_its_bounds():
    region = np.zeros((20, 40), bool)
    region[2:-2, 2:-2] = True
    known = region.copy()
    known[:, 3:-3] = False
    known[:, 2], known[:, -3] = region[:, 2], region[:, -3]
    columns = np.mgrid[:20, :40][1].astype(float)
    found = harmonic(np.where(known, columns, 0), known, region)
    np.testing.assert_allclose(found[region], columns[region], atol=1e-6)
    assert not harmonic(columns, np.zeros_like(known), region).any()


def test_a_ball_grown_by_a_ball_is_a_larger_ball():
    rows, columns = np.mgrid[:120, :120] + 0.5
    away = (rows - 60) ** 2 + (columns - 60) ** 2
    depth = np.where(disc(25), np.sqrt(np.maximum(25.0**2 - away, 0)), np.nan)
    grown = grow_depth(depth, np.full((120, 120), 6.0), disc(25), 1.0)
    inside = away < 28**2
    np.testing.assert_allclose(grown[inside], np.sqrt(31.0**2 - away[inside]), atol=0.7)
    assert np.isneginf(grown[away > 32**2]).all()


def test_a_hat_is_as_deep_as_it_is_wide():
    brim = np.zeros((120, 120), bool)
    brim[50:60, 20:100] = True
    crown = disc(25, center=(60, 45))
    shape = crown | brim
    rows = np.where(shape.any(1))[0]
    radius, center = np.zeros(120), np.zeros(120)
    for row in rows:
        here = np.where(shape[row])[0]
        radius[row], center[row] = (np.ptp(here) + 1) / 2, (here.min() + here.max() + 1) / 2
    shell = blow_up(shape, hat=Hat(mask=shape, radius=radius, center=center))
    row = project(shell.vertices, CAMERA)[:, 1]
    on_brim = (row > 52) & (row < 58)
    depth = np.ptp(shell.vertices[on_brim, 2])
    width = np.ptp(shell.vertices[on_brim, 0])
    assert depth == pytest.approx(width, rel=0.15)
    without = blow_up(shape).vertices
    assert np.ptp(without[:, 2]) < 0.8 * depth


def test_shares_of_a_shell_sum_to_one(dressed):
    for shell in dressed.shells:
        np.testing.assert_allclose(shell.weights.sum(1), 1, atol=1e-6)
        assert (shell.weights >= 0).all()


def test_hair_covers_the_back_of_the_drawn_persons_head(dressed, view):
    """No skin looks out where, seen from behind, the shell covers the head."""
    (hair,) = [shell for shell in dressed.shells if shell.is_hair]
    in_camera = view.camera.to_camera(dressed.vertices).double().numpy()
    scalp = in_camera[dressed.limbs == Limb.HEAD]
    top, chin = scalp[:, 1].min(), scalp[:, 1].max()
    scalp = scalp[(scalp[:, 2] > np.median(scalp[:, 2])) & (scalp[:, 1] < (top + chin) / 2)]
    # The farthest sheet at each pixel: drawn with depths mirrored.
    _, _, nearness = rasterize_mesh(
        torch.from_numpy(project(hair.vertices, view.camera)).float(),
        torch.from_numpy(10.0 - hair.vertices[:, 2]).float(),
        torch.from_numpy(hair.faces.copy()),
        width=view.camera.width,
        height=view.camera.height,
    )
    column, row = project(scalp, view.camera).astype(int).T
    back = 10.0 - nearness.numpy()[row, column]
    assert (back > scalp[:, 2]).mean() > 0.95


@pytest.fixture(scope="module")
def standing(body, drawn):
    """The naked body in camera frame, its shares, and what it covers."""
    vertices = drawn.camera.to_camera(drawn.vertices).double().numpy()
    faces = body.faces.numpy()
    shape = (drawn.camera.height, drawn.camera.width)
    ids, _, depth = rasterize_mesh(
        torch.from_numpy(project(vertices, drawn.camera)).float(),
        torch.from_numpy(vertices[:, 2].copy()).float(),
        body.faces,
        width=shape[1],
        height=shape[0],
    )
    covered = ids.numpy() >= 0
    front = np.where(covered, depth.numpy(), np.inf)
    layers = replace(nothing_drawn(shape), covered=covered, front=front)
    return vertices, faces, body.weights.double().numpy(), layers


def webs_over(standing, camera, patch, *, skin=None, skirted=False, **changes):
    """Make the webs of a person whose outline also holds a patch."""
    vertices, _, weights, layers = standing
    layers = replace(layers, **changes)
    return web_shells(
        layers.covered | patch,
        layers.covered,
        layers,
        camera=camera,
        vertices=vertices,
        vertex_weights=weights,
        skin=np.zeros_like(patch) if skin is None else skin,
        skirted=skirted,
    )


def between(standing, camera, first, second):
    """Fill the background between two limbs: what a skirt or a wide sleeve would cover."""
    vertices, _, weights, layers = standing
    limbs = vertex_limbs(weights)
    drawn = np.zeros(layers.covered.shape, np.uint8)
    pixels = project(vertices[np.isin(limbs, (first, second))], camera)
    hull = cv2.convexHull(pixels.astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(drawn, hull, 1)
    # Not the hollows on the far sides of both.
    ends = [project(vertices[limbs == limb], camera)[:, 0].mean() for limb in (first, second)]
    columns = np.arange(drawn.shape[1])
    return (drawn > 0) & ~layers.covered & (columns > min(ends)) & (columns < max(ends))


def groups_of(shell, *, above=1e-6):
    """Which of the groups that may share a web carry its points, with more than some share."""
    by_joint = WEB_GROUP[LIMB_OF_JOINT]
    shares = np.stack([shell.weights[:, by_joint == g].sum(1) for g in range(4)], 1)
    return set(np.where(shares.max(0) > above)[0])


def test_a_skirt_closes_the_gap_between_the_legs(standing, drawn):
    skirt = between(standing, drawn.camera, Limb.LEFT_LEG, Limb.RIGHT_LEG)
    webs = webs_over(standing, drawn.camera, skirt)
    filled = standing[3].covered.copy()
    for web in webs:
        assert not web.is_hair
        filled |= draw_mask(web.vertices, web.faces, drawn.camera, filled.shape)
    assert filled[skirt].mean() > 0.97
    largest = max(webs, key=lambda web: len(web.vertices))
    legs = largest.weights[:, [1, 4]].sum(1), largest.weights[:, [2, 5]].sum(1)
    middle = np.abs(largest.vertices[:, 0]) < 0.01
    for leg in legs:
        assert leg[middle].mean() > 0.2, "the middle of a skirt follows both legs"
    assert groups_of(largest) <= TRUNK_AND_LEGS


def test_a_gap_between_shanks_is_parted_and_never_spans_the_legs(standing, drawn):
    """Crossed trouser legs leave a gap at the shins: cloth of either leg, not a skirt."""
    vertices, _, weights, _ = standing
    gap = between(standing, drawn.camera, Limb.LEFT_LEG, Limb.RIGHT_LEG)
    knees = project(vertices[weights[:, [4, 5]].sum(1) > 0.9], drawn.camera)[:, 1]
    rows = np.arange(len(gap))[:, None]
    gap &= (rows > np.median(knees)) & (rows < knees.max())
    webs = webs_over(standing, drawn.camera, gap)
    assert webs
    for web in webs:
        left = web.weights[:, [1, 4, 7, 10]].sum()
        right = web.weights[:, [2, 5, 8, 11]].sum()
        assert min(left, right) == pytest.approx(0, abs=1e-6)
        assert max(left, right) > 0


@pytest.mark.parametrize("bare", [False, True])
def test_under_a_skirt_of_its_own_and_on_skin_nothing_joins_both_legs(standing, drawn, bare):
    gap = between(standing, drawn.camera, Limb.LEFT_LEG, Limb.RIGHT_LEG)
    skin = np.ones_like(gap) if bare else None
    webs = webs_over(standing, drawn.camera, gap, skin=skin, skirted=not bare)
    assert webs
    for web in webs:
        left, right = (web.weights[:, rows].sum(1) for rows in ([1, 4, 7, 10], [2, 5, 8, 11]))
        assert np.minimum(left, right).mean() < 0.02


def test_the_depth_of_the_other_leg_is_left_out_half_a_step_behind(standing, drawn):
    vertices, faces, weights, _ = standing
    camera, shape = drawn.camera, standing[3].covered.shape
    left, right = (weights[:, rows].sum(1) > 0.9 for rows in ([4, 7, 10], [5, 8, 11]))
    ahead = vertices - np.array([0.0, 0.0, 0.5]) * left[:, None]
    left_mask, right_mask = (
        draw_mask(ahead, faces[rows[faces].all(1)], camera, shape) for rows in (left, right)
    )
    front = np.where(left_mask, ahead[left, 2].mean(), np.inf)
    front[right_mask] = ahead[right, 2].mean()
    patch = ndimage.binary_dilation(left_mask, iterations=3) & ~left_mask & ~right_mask
    known = left_mask | right_mask
    kept = known_of_its_leg(patch, known, front, camera, ahead, weights)
    assert kept[left_mask].mean() > 0.99
    assert not kept[right_mask].any()
    both = patch | (ndimage.binary_dilation(right_mask, iterations=3) & ~known)
    assert np.array_equal(known_of_its_leg(both, known, front, camera, ahead, weights), known)


def test_what_shows_beside_a_hand_follows_it_only_if_it_is_skin(standing, drawn):
    """The detector puts hands a few pixels off: beside one lies what it hid, and what it is."""
    vertices, _, weights, layers = standing
    hand = project(vertices[vertex_limbs(weights) == Limb.LEFT_HAND], drawn.camera)
    rows, columns = np.mgrid[: layers.covered.shape[0], : layers.covered.shape[1]]
    column, row = hand.mean(0)
    near = (np.abs(rows - row) < 16) & (np.abs(columns - column) < 16) & ~layers.covered
    upper = rows < row
    webs = webs_over(standing, drawn.camera, near, skin=upper)
    wrist = [(web.weights[:, 20].mean(), project(web.vertices, drawn.camera)[:, 1]) for web in webs]
    assert any(share > 0.5 for share, _ in wrist)
    assert any(share < 0.5 for share, _ in wrist)
    for share, height in wrist:
        assert (share > 0.5) == (height.mean() < row)


@pytest.mark.parametrize("arm", [Limb.LEFT_ARM, Limb.RIGHT_ARM], ids=["left", "right"])
def test_a_gap_under_an_arm_is_parted_between_sleeve_and_trunk(standing, drawn, arm):
    """Cloth of both: with the arm alone it would fly like a wing when the arm is raised."""
    vertices, _, weights, _ = standing
    gap = between(standing, drawn.camera, arm, Limb.TORSO)
    sleeve = project(vertices[vertex_limbs(weights) == arm], drawn.camera)
    spots = np.stack(np.nonzero(gap)[::-1], 1) + 0.5
    near = cKDTree(sleeve).query(spots)[0] < 28
    gap = np.zeros_like(gap)
    gap[spots[near, 1].astype(int), spots[near, 0].astype(int)] = True
    webs = webs_over(standing, drawn.camera, gap)
    sleeves = [web for web in webs if _share(web, ARM) > 0.5]
    trunks = [web for web in webs if _share(web, TRUNK_AND_LEGS) > 0.5]
    assert sleeves
    assert trunks
    reach = cKDTree(vertices[vertex_limbs(weights) == arm])
    for web in trunks:
        assert _share(web, TRUNK_AND_LEGS) > 0.9
    farthest = [reach.query(web.vertices)[0].mean() for web in (*sleeves, *trunks)]
    assert max(farthest[: len(sleeves)]) < max(farthest[len(sleeves) :])


def _share(web, groups):
    """How much of a web the joints of some groups carry."""
    return float(web.weights[:, np.isin(WEB_GROUP[LIMB_OF_JOINT], list(groups))].sum(1).mean())


def test_a_wide_sleeve_follows_the_arm_and_never_the_torso(standing, drawn):
    vertices, _, weights, layers = standing
    forearm = weights[:, 18] > 0.9
    column, row = project(vertices[forearm], drawn.camera).mean(0)
    rows, columns = np.mgrid[: layers.covered.shape[0], : layers.covered.shape[1]]
    below = (np.abs(rows - row - 6) < 16) & (np.abs(columns - column) < 16)
    webs = webs_over(standing, drawn.camera, below & ~layers.covered)
    assert webs
    for web in webs:
        assert len(groups_of(web) & ARM) == 1
        assert not groups_of(web) & TRUNK_AND_LEGS


@pytest.mark.parametrize("arm", [Limb.LEFT_ARM, Limb.RIGHT_ARM], ids=["left", "right"])
def test_no_web_ties_an_arm_to_the_trunk(standing, drawn, arm):
    """An arm against the trunk: the patch between goes with one of them, whichever it is."""
    webs = webs_over(standing, drawn.camera, between(standing, drawn.camera, arm, Limb.TORSO))
    assert webs
    # Near the shoulder an arm's own skin is shared with the trunk; more than half never is.
    assert all(len(groups_of(web, above=0.5)) == 1 for web in webs)


def test_fingers_carry_no_cloth(standing, drawn):
    vertices, _, weights, layers = standing
    fingers = project(vertices[weights[:, 25:40].sum(1) > 0.9], drawn.camera)
    cloth = np.zeros(layers.covered.shape, np.uint8)
    cv2.circle(cloth, fingers.mean(0).astype(int).tolist(), 20, 1, -1)
    webs = webs_over(standing, drawn.camera, (cloth > 0) & ~layers.covered)
    assert webs
    for web in webs:
        assert not web.weights[:, 25:].any()
        np.testing.assert_allclose(web.weights.sum(1), 1, atol=1e-6)


def test_a_covered_person_has_no_webs(standing, drawn):
    assert webs_over(standing, drawn.camera, np.zeros_like(standing[3].covered)) == []


def test_a_speck_is_left_to_the_outline(standing, drawn):
    speck = np.zeros_like(standing[3].covered)
    speck[5:8, 5:8] = True
    assert webs_over(standing, drawn.camera, speck) == []
