"""The fast points are the body's own points, and their derivative is the derivative."""

from dataclasses import replace

import pytest
import torch

from persona.fitting.kinematics import joint_offsets, pose_points
from persona.fitting.points import add_hand, add_pose, joint_points, pose_landmarks


@pytest.fixture(scope="module")
def points(body):
    return add_hand(add_pose(joint_points(body), body), body, "left")


def random_unknowns(points, starts, *, seed=0, size=0.4):
    layout = points.model.layout
    generator = torch.Generator().manual_seed(seed)
    unknowns = size * torch.randn(starts, layout.size, generator=generator)
    unknowns[:, layout.scales] *= 0.2
    return unknowns


def in_double(points):
    model = points.model
    wide = {
        name: value.double()
        for name, value in vars(model).items()
        if torch.is_tensor(value) and value.is_floating_point()
    }
    return replace(model, **wide)


def test_points_agree_with_the_body(body, points):
    unknowns = random_unknowns(points, 1)
    params = points.model.layout.to_params(unknowns[0])
    posed = body.forward(
        params,
        joint_offsets=joint_offsets(points.model, unknowns)[0],
        with_pose_correctives=False,
    )
    found = pose_points(points.model, unknowns).points[0]
    torch.testing.assert_close(found[:55], posed.joints, atol=2e-5, rtol=0)
    marks = pose_landmarks(body, posed)
    # Mixtures are skinned as one point here and corner by corner there.
    torch.testing.assert_close(found[points.rows["pose"]], marks, atol=1e-3, rtol=0)


def test_bone_scales_agree_with_the_body(body, points):
    unknowns = random_unknowns(points, 1)
    layout = points.model.layout
    unknowns[:, layout.expression] = 0
    offsets = joint_offsets(points.model, unknowns)[0]
    expected = body.joint_offsets_from_bone_scales(
        unknowns[0, layout.scales], unknowns[0, layout.betas]
    )
    torch.testing.assert_close(offsets, expected, atol=1e-5, rtol=0)


def test_derivative_is_exact(points):
    model = in_double(points)
    unknowns = random_unknowns(points, 2).double()
    found = pose_points(model, unknowns).jacobian

    def whole(x):
        return pose_points(model, x, derivatives=False).points

    expected = torch.autograd.functional.jacobian(whole, unknowns)
    expected = torch.stack([expected[b, :, :, b] for b in range(2)])
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("size", [0.0, 1e-8, 1e-3])
def test_derivative_is_finite_near_the_rest_pose(points, size):
    posed = pose_points(points.model, random_unknowns(points, 1, size=size))
    assert torch.isfinite(posed.jacobian).all()


def test_starts_do_not_touch_each_other(points):
    unknowns = random_unknowns(points, 3)
    together = pose_points(points.model, unknowns)
    alone = pose_points(points.model, unknowns[1:2])
    torch.testing.assert_close(together.points[1:2], alone.points, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.jacobian[1:2], alone.jacobian, atol=1e-5, rtol=1e-4)
