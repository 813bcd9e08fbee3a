"""Posing: shapes, laws, gradients and speed of `SmplxBody.forward`."""

import math
import time
from dataclasses import replace

import pytest
import torch

from persona.body import load_body
from persona.body.correctives import pose_correctives
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES, PARENTS, joint_limits, mirror_pose
from persona.body.skinning import (
    bone_transforms,
    chain_by_doubling,
    skin_covariances,
    skin_points,
)
from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import rest_params

FEW = torch.arange(0, 13_000, 97)


@pytest.fixture(scope="module")
def body():
    return load_body()


def random_params(*batch, scale=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rest = rest_params(*batch)
    return replace(
        rest.with_full_pose(torch.randn(*batch, 55, 3, generator=generator) * scale),
        betas=torch.randn(*batch, 10, generator=generator),
        expression=torch.randn(*batch, 10, generator=generator) * 0.5,
        transl=torch.randn(*batch, 3, generator=generator),
    )


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3)])
def test_leading_axes_are_those_of_the_parameters(body, batch):
    posed = body.forward(random_params(*batch))
    assert posed.vertices.shape == (*batch, body.vertex_count, 3)
    assert posed.joints.shape == posed.rest_joints.shape == (*batch, 55, 3)
    assert posed.T_posed_rest.shape == (*batch, 55, 4, 4)


def test_one_shape_broadcasts_over_many_poses(body):
    many = random_params(4)
    one = replace(many, betas=many.betas[:1].expand(4, -1))
    offsets = torch.randn(55, 3, generator=torch.Generator().manual_seed(1)) * 0.01
    together = body.forward(one, joint_offsets=offsets)
    alone = body.forward(one.frame(2), joint_offsets=offsets)
    assert torch.allclose(together.vertices[2], alone.vertices, atol=2e-6)


def test_rest_pose_is_the_template(body):
    posed = body.forward(rest_params())
    assert (posed.vertices - body.v_template).abs().max() < 1e-6
    assert (posed.joints - body.joints_template).abs().max() < 1e-6


def test_turning_the_root_turns_everything_about_the_pelvis(body):
    params = random_params()
    turn = torch.tensor([0.3, -1.0, 0.5])
    base = body.forward(replace(params, global_orient=torch.zeros(3), transl=torch.zeros(3)))
    turned = body.forward(replace(params, global_orient=turn, transl=torch.zeros(3)))
    pelvis = base.joints[0]
    expected = (base.vertices - pelvis) @ axis_angle_to_matrix(turn).T + pelvis
    assert (turned.vertices - expected).abs().max() < 1e-5


def test_mirror_image_of_a_pose_is_the_mirrored_body(body):
    params = replace(random_params(), transl=torch.zeros(3), expression=torch.zeros(10))
    mirrored = params.with_full_pose(mirror_pose(params.full_pose))
    flip = torch.tensor([-1.0, 1.0, 1.0])
    here, there = body.forward(params).vertices, body.forward(mirrored).vertices
    assert (here[body.mirror_vertices] * flip - there).abs().max() < 2e-4


def test_transforms_carry_rest_points_to_the_posed_body(body):
    params = random_params(2)
    posed = body.forward(params)
    bent = posed.rest_vertices + posed.pose_correctives
    assert (skin_points(bent, posed.T_posed_rest, body.weights) - posed.vertices).abs().max() < 1e-5


def test_covariances_turn_with_a_rigid_body(body):
    turn = torch.tensor([0.4, 0.2, -0.9])
    bones = body.forward(replace(rest_params(), global_orient=turn)).T_posed_rest
    shapes = torch.diag(torch.tensor([1.0, 4.0, 9.0])).expand(5, 3, 3)
    rotation = axis_angle_to_matrix(turn)
    carried = skin_covariances(shapes, bones, body.weights[:5])
    assert torch.allclose(carried, rotation @ shapes @ rotation.T, atol=1e-5)


def test_subset_equals_the_whole(body):
    params = random_params(2)
    offsets = body.joint_offsets_from_bone_scales(torch.full((7,), 0.1), params.betas)
    whole = body.forward(params, joint_offsets=offsets)
    part = body.subset(FEW).forward(params, joint_offsets=offsets)
    assert (whole.vertices[:, FEW] - part.vertices).abs().max() < 1e-6
    assert (whole.joints - part.joints).abs().max() < 1e-6


def test_bone_scales_stretch_their_bones_and_no_others(body):
    scales = torch.zeros(7)
    scales[0] = math.log(1.2)  # thighs
    offsets = body.joint_offsets_from_bone_scales(scales)
    joints = body.joints_template + offsets

    def length(at, name):
        joint = JOINT_IDS[name]
        return float((at[joint] - at[PARENTS[joint]]).norm())

    for name in JOINT_NAMES[1:]:
        factor = 1.2 if name.endswith("knee") else 1.0
        assert length(joints, name) == pytest.approx(
            factor * length(body.joints_template, name), rel=1e-4
        )
    posed = body.forward(rest_params(), joint_offsets=offsets)
    drop = posed.vertices[:, 1].min() - body.v_template[:, 1].min()
    thigh = float(
        body.joints_template[JOINT_IDS["left_hip"], 1]
        - body.joints_template[JOINT_IDS["left_knee"], 1]
    )
    assert float(drop) == pytest.approx(-0.2 * thigh, abs=5e-3)


def test_more_coefficients_than_the_file_has_are_refused(body):
    with pytest.raises(InputError, match="betas"):
        body.forward(replace(rest_params(), betas=torch.zeros(11)))
    fewer = replace(rest_params(), betas=torch.zeros(3))
    assert body.forward(fewer).vertices.shape == body.v_template.shape


@pytest.mark.parametrize("angle", [0.0, -1e-8, 1e-4, math.pi, -math.pi])
def test_gradients_are_finite(body, angle):
    few = body.subset(FEW)
    pose = torch.full(
        (55, 3), angle / math.sqrt(3) if abs(angle) > 1 else angle, requires_grad=True
    )
    params = rest_params().with_full_pose(pose)
    params.betas.requires_grad_()
    posed = few.forward(params, vertex_offsets=torch.zeros(len(FEW), 3, requires_grad=True))
    (posed.vertices.square().sum() + posed.joints.sum()).backward()
    assert pose.grad is not None
    assert torch.isfinite(pose.grad).all()
    assert pose.grad.abs().max() > 0
    assert params.betas.grad is not None
    assert torch.isfinite(params.betas.grad).all()


def test_gradient_agrees_with_finite_differences(body):
    wide = body.subset(FEW[:20]).to(torch.float64)
    params = random_params(seed=3)
    pose = params.full_pose.double().requires_grad_()

    def evaluate(full_pose):
        doubled = {k: getattr(params, k).double() for k in ("betas", "expression", "transl")}
        return wide.forward(replace(params.with_full_pose(full_pose), **doubled)).vertices

    assert torch.autograd.gradcheck(evaluate, (pose,), eps=1e-6, atol=1e-6, fast_mode=True)


def test_the_short_way_that_a_gpu_takes_is_the_same(body):
    g = torch.Generator().manual_seed(4)
    rotations = axis_angle_to_matrix(0.5 * torch.randn(3, 55, 3, generator=g))
    joints = body.joints_template.expand(3, -1, -1)
    chained = chain_by_doubling(rotations, joints)
    torch.testing.assert_close(chained, bone_transforms(rotations, joints), rtol=0, atol=2e-6)
    bulges = (rotations - torch.eye(3)).flatten(1) @ body._dense_correctives
    expected = pose_correctives(body.correctives, rotations, body.vertex_count)
    torch.testing.assert_close(bulges.reshape(expected.shape), expected, rtol=0, atol=1e-6)


def test_limits_are_mirror_images_and_hold_the_rest_pose():
    low, high = joint_limits()
    assert (low <= 0).all()
    assert (high >= 0).all()
    assert torch.allclose(mirror_pose(low)[:, 0], low[:, 0])


def test_forward_is_fast(body):
    """One pose in well under a video frame, even on a shared machine without type checks off."""
    params = random_params()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        body.forward(params)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.040
