"""Growing a body to an outline: it gets there, and within its bounds."""

import cv2
import numpy as np
import pytest
import torch

from persona.geometry.cameras import photo_camera
from persona.optimization.clothing import uniform_laplacian
from persona.optimization.dress import INWARD, freedom, vertex_limbs
from persona.optimization.limbs import Limb
from persona.optimization.silhouette import (
    Freedom,
    draw_mask,
    fit_silhouette,
    project,
    vertex_normals,
)

SLACK_M = 0.004 + 1e-9
"""What bending may add to the bounds."""


@pytest.fixture(scope="module")
def naked(body, drawn):
    """Body and camera of the drawn person, camera frame."""
    return drawn.camera.to_camera(drawn.vertices).numpy().astype(np.float64), body.faces.numpy()


@pytest.fixture(scope="module")
def bounds(body):
    """Every vertex may leave by 6 cm: the outline alone decides."""
    count = body.vertex_count
    return Freedom(
        outward=np.full(count, 0.06), inward=np.full(count, INWARD), trust=np.ones(count)
    )


@pytest.fixture(scope="module")
def grown(naked, drawn, body, bounds):
    vertices, faces = naked
    shape = (drawn.camera.height, drawn.camera.width)
    covered = draw_mask(vertices, faces, drawn.camera, shape)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    wanted = cv2.dilate(covered.astype(np.uint8), window) > 0
    fit = fit_silhouette(
        vertices,
        faces,
        camera=drawn.camera,
        mask=wanted,
        freedom=bounds,
        laplacian=uniform_laplacian(faces, body.vertex_count),
    )
    return covered, wanted, fit


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_body_grows_into_a_wider_outline(grown):
    covered, wanted, fit = grown
    assert overlap(covered, wanted) < 0.85, "the test asks for real growth"
    assert fit.iou >= 0.97
    assert fit.iou == pytest.approx(overlap(fit.mask, wanted))


def test_the_reported_mask_is_what_the_moved_mesh_covers(grown, naked, drawn):
    _, wanted, fit = grown
    vertices, faces = naked
    again = draw_mask(vertices + fit.offsets, faces, drawn.camera, wanted.shape)
    assert np.array_equal(again, fit.mask)


def test_growth_is_depth_as_well_as_width(grown, naked, body):
    """A limb is inflated all around: its back moves back by a like amount."""
    _, _, fit = grown
    vertices, faces = naked
    normals = vertex_normals(vertices, faces)
    leg = vertex_limbs(body.weights.numpy()) == Limb.LEFT_LEG
    outward = (fit.offsets * normals).sum(1)
    side = leg & (np.abs(normals[:, 0]) > 0.9)
    back = leg & (normals[:, 2] > 0.9)
    assert np.median(outward[side]) > 0.005
    assert np.median(outward[back]) > 0.5 * np.median(outward[side])


def test_no_vertex_leaves_its_bounds(grown, bounds):
    _, _, fit = grown
    assert np.linalg.norm(fit.offsets, axis=1).max() <= bounds.outward.max() + SLACK_M


def test_tight_bounds_are_kept_although_the_outline_pulls(naked, drawn, body):
    """A mask two centimetres wider than the person cannot swell head and hands."""
    vertices, faces = naked
    limits = freedom(body.weights.numpy().astype(np.float64))
    shape = (drawn.camera.height, drawn.camera.width)
    wanted = cv2.dilate(
        draw_mask(vertices, faces, drawn.camera, shape).astype(np.uint8), np.ones((9, 9))
    )
    fit = fit_silhouette(
        vertices,
        faces,
        camera=drawn.camera,
        mask=wanted > 0,
        freedom=limits,
        laplacian=uniform_laplacian(faces, body.vertex_count),
        inflate_rounds=2,
        bend_rounds=2,
    )
    length = np.linalg.norm(fit.offsets, axis=1)
    assert (length <= np.maximum(limits.outward, limits.inward) + SLACK_M).all()
    limb = vertex_limbs(body.weights.numpy())
    assert length[limb == Limb.LEFT_HAND].max() < 0.03
    assert np.percentile(length[limb == Limb.TORSO], 95) > 0.01


def test_a_body_that_fits_already_stays(naked, drawn, body, bounds):
    vertices, faces = naked
    covered = draw_mask(vertices, faces, drawn.camera, (drawn.camera.height, drawn.camera.width))
    fit = fit_silhouette(
        vertices,
        faces,
        camera=drawn.camera,
        mask=covered,
        freedom=bounds,
        laplacian=uniform_laplacian(faces, body.vertex_count),
        inflate_rounds=2,
        bend_rounds=2,
    )
    assert fit.iou > 0.97
    # The outline runs half a pixel (2.5 mm) inside the edge, and matches are good to a pixel.
    length = np.linalg.norm(fit.offsets, axis=1)
    assert np.median(length) < 0.004
    assert np.percentile(length, 95) < 0.012


def test_normals_at_a_cubes_corners_are_its_diagonals():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    # Both diagonals of every side, so that no corner is favoured.
    faces = np.array(
        [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d), (a, b, d), (b, c, d))]
    )
    normals = vertex_normals(corners, faces)
    np.testing.assert_allclose(normals, corners / np.sqrt(3), atol=1e-9)


def test_projection_is_the_cameras(drawn):
    in_camera = drawn.camera.to_camera(drawn.vertices)
    pixels, _ = drawn.camera.project(drawn.vertices)
    ours = project(in_camera.double().numpy(), drawn.camera)
    np.testing.assert_allclose(ours, pixels.numpy(), atol=1e-2)


def test_one_triangle_covers_its_half_of_a_square():
    camera = photo_camera(20, 20, 20.0)
    corners = camera.unproject(
        torch.tensor([[2.0, 2.0], [18.0, 2.0], [2.0, 18.0]]), torch.full((3,), 1.0)
    )
    drawn = draw_mask(
        camera.to_camera(corners).numpy().astype(np.float64),
        np.array([[0, 1, 2]]),
        camera,
        (20, 20),
    )
    assert drawn.sum() == pytest.approx(16 * 16 / 2, abs=8)
    assert drawn[4, 4]
    assert not drawn[16, 16]
