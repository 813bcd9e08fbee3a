"""A turned face: its far half shows what the near one does, even where the fit is off."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from persona.core.seeds import Seeds
from persona.geometry.cameras import photo_camera
from persona.kernels import rasterize_mesh
from persona.optimization.clothing import dress
from persona.optimization.head import find_ears
from persona.optimization.limbs import Limb
from persona.optimization.population import populate
from persona.optimization.stage import OptimizeAvatar
from persona.optimization.trainer import TrainConfig, train_on_photo
from persona.optimization.turned_face import distrust_far_half, mirrored_colors
from persona.optimization.view import extend_edges, working_view
from persona.optimization.visibility import see

NECK, HEAD = 11, 14
"""Rows of a body pose."""
TURN = 0.55
"""How far the face is turned away [rad] ..."""
MISSED = 0.06
"""... and by how much the fit turns it too little: a pixel or two at the nose."""
COUNT = 9000


def turned_pose(arms_down, angle):
    pose = arms_down()
    pose[NECK, 1] = pose[HEAD, 1] = angle / 2
    return pose


def face_paint(rest):
    """A face that is its own mirror image: dark eyes and a red mouth on skin."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    colors = np.tile([0.8, 0.6, 0.5], (len(rest), 1))
    eye = (np.hypot(x - 0.03, y - 0.285) < 0.013) & (z > 0.05)
    mouth = (np.hypot(x / 2, y - 0.215) < 0.008) & (z > 0.05)
    colors[eye], colors[mouth] = [0.1, 0.15, 0.2], [0.7, 0.15, 0.2]
    return colors


@pytest.fixture(scope="module")
def painted(body, draw, arms_down):
    """A drawn person with a turned, painted face, and a fit that turns it a little less."""
    truth = draw(turned_pose(arms_down, TURN))
    pixels, depth = truth.camera.project(truth.vertices)
    size = {"width": truth.camera.width, "height": truth.camera.height}
    ids, shares, _ = rasterize_mesh(pixels, depth, body.faces, **size)
    corners = body.faces[ids.clamp(min=0)]
    rest = body.v_template.double()
    place = (rest[corners] * shares.double()[..., None]).sum(-2)
    shape = place.shape[:2]
    paint = torch.from_numpy(face_paint(place.reshape(-1, 3).numpy())).float().reshape(*shape, 3)
    bare = (ids >= 0) & (truth.observation.parts == 1)
    photo = replace(truth.photo, rgb=torch.where(bare[..., None], paint, truth.photo.rgb))
    fit = replace(
        truth.fit,
        params=replace(truth.fit.params, body_pose=turned_pose(arms_down, TURN - MISSED)),
    )
    return photo, truth.observation, fit


@pytest.fixture(scope="module")
def scene(body, painted):
    photo, observation, fit = painted
    view = working_view(photo, observation, fit, person_height=400)
    dressed = dress(body, fit, view)
    cloud = populate(dressed, view, count=COUNT, seed=Seeds(0).integer("face"))
    return view, dressed, cloud, see(cloud, view, dressed.front)


def believed(body, scene):
    _, dressed, cloud, visibility = scene
    eyes = OptimizeAvatar(body=body)._eyes(dressed)
    ears = find_ears(dressed.naked_rest.numpy())
    return distrust_far_half(visibility, cloud, dressed.far_side, ears, eyes)


def asymmetry(cloud, colors, ears, side):
    """Mean difference of colour between the far half of a face and its twins [sRGB]."""
    rest = cloud.rest_body.double().numpy()
    skin = (cloud.limb == Limb.HEAD).numpy() & (cloud.is_hair < 0.5).numpy()
    skin &= ~cloud.inner.numpy() & ears.in_face(rest) & (np.abs(rest[:, 0]) > 0.012)
    far, near = (np.where(skin & (rest[:, 0] * sign > 0))[0] for sign in (side, -side))
    away, twin = cKDTree(rest[near]).query(rest[far] * [-1, 1, 1])
    close = away < 0.006
    assert close.sum() > 100
    return np.abs(colors[far[close]] - colors[near[twin[close]]]).mean()


def trained(body, scene, visibility):
    view, dressed, cloud, _ = scene
    colors, _ = OptimizeAvatar(body=body)._paint(cloud, visibility, view, dressed, ())
    return train_on_photo(
        cloud,
        colors,
        visibility,
        target=extend_edges(view, inset=2),
        mask=view.mask,
        camera=view.camera,
        config=TrainConfig(steps=60),
        threads=1,
    ).colors.numpy()


def test_a_symmetric_face_that_is_turned_comes_out_symmetric(body, scene):
    _, dressed, cloud, everything = scene
    assert dressed.far_side == 1
    ears = find_ears(dressed.naked_rest.numpy())
    with_twins = asymmetry(cloud, trained(body, scene, believed(body, scene)), ears, 1)
    without = asymmetry(cloud, trained(body, scene, everything), ears, 1)
    assert with_twins < 0.055
    assert with_twins < 0.7 * without


def test_an_eye_is_believed_as_a_whole_or_not_at_all(body, scene):
    _, dressed, cloud, _ = scene
    visibility = believed(body, scene)
    eye = OptimizeAvatar(body=body)._eyes(dressed)[0]
    rest = cloud.rest_body.double().numpy()
    near = np.linalg.norm(rest[:, :2] - eye[:2], axis=1) < 0.015
    near &= (cloud.limb == Limb.HEAD).numpy() & (cloud.is_hair < 0.5).numpy() & (rest[:, 2] > 0.05)
    assert visibility.mirrored.numpy()[near].all()
    assert not (visibility.seen & visibility.mirrored).any()
    assert not (visibility.believed & visibility.mirrored).any()


def test_a_straight_face_is_believed_on_both_sides(scene, body):
    _, dressed, cloud, visibility = scene
    eyes = OptimizeAvatar(body=body)._eyes(dressed)
    ears = find_ears(dressed.naked_rest.numpy())
    same = distrust_far_half(visibility, cloud, 0, ears, eyes)
    assert same is visibility


def test_a_mirrored_place_reads_the_pixel_between_its_neighbors():
    """On a plane seen straight on, the pixel of a mirrored place is known exactly."""
    y, x = np.meshgrid(np.arange(-0.05, 0.05, 0.004), np.arange(0.001, 0.08, 0.004))
    near = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1)
    far = (near[:200] + np.array([0.0017, 0.0011, 0])) * [-1, 1, 1]
    rest = np.concatenate([near, far])
    camera = photo_camera(100, 100, 500.0)
    pixels = np.stack([50 + 500 * rest[:, 0], 50 - 500 * rest[:, 1]], 1)
    columns = (torch.arange(camera.width) + 0.5).expand(camera.height, -1) / camera.width
    image = columns[..., None].expand(-1, -1, 3).contiguous()
    known, wanted = np.arange(len(near)), np.arange(len(near), len(rest))
    colors = mirrored_colors(rest, pixels, image, wanted=wanted, known=known)
    assert np.isnan(colors[known]).all()
    inside = np.abs(rest[wanted, 0]) < 0.07
    expected = (50 - 500 * rest[wanted, 0]) / camera.width
    np.testing.assert_allclose(colors[wanted][inside, 0], expected[inside], atol=2e-3)


def test_nothing_is_mirrored_from_a_half_that_is_not_seen():
    rest = np.stack([np.linspace(-0.1, 0.1, 40), np.zeros(40), np.zeros(40)], 1)
    none = mirrored_colors(
        rest,
        np.zeros((40, 2)),
        torch.zeros(4, 4, 3),
        wanted=np.arange(20),
        known=np.arange(0),
    )
    assert np.isnan(none).all()
