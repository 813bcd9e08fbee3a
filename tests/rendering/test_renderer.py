"""Rendering: what a ball must look like, gradients, backgrounds and refusals."""

from dataclasses import fields, replace

import pytest
import torch
from jaxtyping import TypeCheckError

from persona.core.errors import InputError
from persona.kernels import Backend
from persona.records.gaussians import Gaussians
from persona.rendering import render
from persona.rendering.camera_paths import fit_camera


@pytest.fixture(scope="module")
def camera(ball):
    return fit_camera(ball.means, width=60, height=80)


def test_a_ball_faces_the_camera_in_its_middle(ball, camera):
    drawn = render(ball, camera)
    distance = float(camera.position.norm())
    assert drawn.color.shape == (80, 60, 3)
    assert drawn.alpha.shape == (80, 60)
    assert drawn.alpha[40, 30] > 0.99
    assert drawn.alpha[2, 2] == 0
    assert drawn.depth is not None
    assert drawn.depth[40, 30].item() == pytest.approx(distance - 0.5, abs=0.03)
    assert drawn.depth[2, 2] == 0
    assert drawn.normal is not None
    # Camera frame: towards the camera is -z, the ball's top points to -y.
    assert drawn.normal[40, 30, 2] < -0.95
    assert drawn.normal[20, 30, 1] < -0.3
    assert drawn.normal.norm(dim=-1).max() <= 1 + 1e-5
    torch.testing.assert_close(
        drawn.color[40, 30], torch.tensor([0.5, 0.5, 1.0]), atol=0.04, rtol=0
    )
    assert drawn.extra is None


def test_the_maps_change_no_color_and_extras_ride_along(ball, camera):
    full = render(ball, camera, extra_features=ball.means)
    bare = render(ball, camera, maps=False)
    assert bare.depth is None
    assert bare.normal is None
    assert torch.equal(full.color, bare.color)
    assert torch.equal(full.alpha, bare.alpha)
    assert full.extra is not None
    assert full.extra.shape == (80, 60, 3)
    assert full.extra[40, 30, 2].item() == pytest.approx(0.5, abs=0.03)


def test_backgrounds_shine_through_by_what_alpha_leaves(ball, camera):
    plain = render(ball, camera)
    blue = torch.tensor([0.1, 0.2, 0.9])
    picture = torch.rand(80, 60, 3, generator=torch.Generator().manual_seed(0))
    over_blue = render(ball, camera, background=blue)
    over_picture = render(ball, camera, background=picture)
    assert torch.equal(over_blue.color[0, 0], blue)
    assert torch.equal(over_picture.color[0, 0], picture[0, 0])
    rest = (1 - plain.alpha)[..., None]
    torch.testing.assert_close(over_picture.color, plain.color + rest * picture)
    # In tests the annotation is the check; in production the door's own.
    with pytest.raises((InputError, TypeCheckError), match="background"):
        render(ball, camera, background=picture[:-1])


def test_a_cropped_camera_draws_its_window(ball, camera):
    whole = render(ball, camera)
    part = render(ball, camera.cropped(13, 21, 30, 40))
    torch.testing.assert_close(part.color, whole.color[21:61, 13:43], atol=2e-5, rtol=0)
    torch.testing.assert_close(part.alpha, whole.alpha[21:61, 13:43], atol=2e-5, rtol=0)


def test_gradients_reach_every_part_of_the_cloud_and_match_the_reference(ball, camera):
    camera = camera.scaled(0.25)

    def gradients(dtype, backend):
        leaves = {
            field.name: getattr(ball, field.name)[::4].to(dtype).requires_grad_()
            for field in fields(ball)
        }
        drawn = render(Gaussians(**leaves), camera, backend=backend, background=torch.ones(3))
        assert drawn.depth is not None
        assert drawn.normal is not None
        loss = drawn.color.square().sum() + drawn.alpha.sum() + drawn.depth.sum()
        loss = loss + (drawn.normal * drawn.normal.detach().roll(1, 0)).sum()
        return torch.autograd.grad(loss, list(leaves.values()))

    got = gradients(torch.float32, Backend.NATIVE)
    expected = gradients(torch.float64, Backend.REFERENCE)
    for value, wanted in zip(got, expected, strict=True):
        assert wanted.norm() > 0
        cosine = torch.nn.functional.cosine_similarity(
            value.double().flatten(), wanted.flatten(), 0
        )
        # Not closer: in float32 a pixel here and there falls on the other side of a cut-off.
        assert cosine > 0.999


def test_an_empty_cloud_is_an_empty_picture(ball, camera):
    nobody = Gaussians(**{field.name: getattr(ball, field.name)[:0] for field in fields(ball)})
    drawn = render(nobody, camera, background=torch.ones(3))
    assert (drawn.color == 1).all()
    assert (drawn.alpha == 0).all()


def test_too_many_extras_are_refused(ball, camera):
    with pytest.raises(InputError, match="36 channels"):
        render(ball, camera, extra_features=torch.zeros(ball.count, 29))


def test_a_spoilt_cloud_is_named(ball, camera):
    means = ball.means.clone()
    means[5, 0] = float("nan")
    with pytest.raises(InputError, match="means holds 1 entries"):
        render(replace(ball, means=means), camera)
