"""Posing an avatar: its Gaussians go where the body's skin goes."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.avatar import neutral_vertices
from persona.avatar.binding import Binding, bind_to_triangles
from persona.avatar.posing import CanonicalGaussians, rig_of, skinning_maps
from persona.body.skeleton import JOINT_IDS
from persona.geometry.rotations import axis_angle_to_matrix, quaternion_to_matrix
from persona.kernels import Backend, pose_gaussians
from persona.kernels.projection_reference import covariance_matrices
from persona.records.body_params import rest_params


def forward(body, identity, params):
    return body.forward(
        replace(params, betas=identity.betas.expand(*params.transl.shape[:-1], -1)),
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets,
    )


def test_at_rest_the_gaussians_are_the_canonical_ones(avatar):
    cloud = avatar.pose(rest_params())
    assert (cloud.means - avatar.canonical.means).abs().max() < 2e-6
    axes = quaternion_to_matrix(avatar.canonical.quats_wxyz)
    torch.testing.assert_close(cloud.normals, axes[..., 2], rtol=0, atol=1e-4)
    factors = axes * avatar.canonical.log_scales.exp()[:, None]
    size = cloud.covariances.abs().amax(1)[:, None, None]
    error = (covariance_matrices(cloud.covariances) - factors @ factors.mT).abs() / size
    assert error.max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_gaussians_at_vertices_follow_the_skin(body, somebody, make_pose, seed):
    # Vertices of at most six bones lose none of their shares.
    few = (body.weights > 0).sum(1) <= 6
    face_ids = few[body.faces[:, 0]].nonzero()[::13, 0]
    binding = bind_to_triangles(
        face_ids,
        torch.tensor([1.0, 0.0, 0.0]).expand(len(face_ids), 3).contiguous(),
        faces=body.faces,
        rest_vertices=neutral_vertices(body, somebody),
        vertex_weights=body.weights,
    )
    at = body.faces[face_ids, 0]
    canonical = CanonicalGaussians(
        means=neutral_vertices(body, somebody)[at],
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(len(at), 1),
        log_scales=torch.full((len(at), 3), -5.0),
        opacities=torch.ones(len(at)),
        colors=torch.ones(len(at), 3),
    )
    params = make_pose(seed)
    bent = body.articulate(
        replace(params, betas=somebody.betas), joint_offsets=somebody.joint_offsets
    )
    means, _, _ = pose_gaussians(rig_of(canonical, binding, body), bent.flesh, bent.T_posed_rest)
    expected = forward(body, somebody, params).vertices[at]
    assert (means - expected).abs().max() < 1e-5


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_articulating_gives_the_bones_and_the_flesh_of_the_whole_forward_pass(
    body, somebody, make_pose, batch
):
    params = make_pose(0)
    many = replace(
        rest_params(*batch).with_full_pose(params.full_pose.expand(*batch, -1, -1)),
        expression=params.expression.expand(*batch, -1),
        transl=params.transl.expand(*batch, -1),
        betas=somebody.betas.expand(*batch, -1),
    )
    bent = body.articulate(many, joint_offsets=somebody.joint_offsets)
    whole = forward(body, somebody, many)
    assert bent.T_posed_rest.shape == (*batch, 55, 4, 4)
    torch.testing.assert_close(bent.T_posed_rest, whole.T_posed_rest)
    moved = whole.rest_vertices - neutral_vertices(body, somebody) + whole.pose_correctives
    assert bent.flesh.shape == (*batch, body.vertex_count, 3)
    assert (bent.flesh - moved).abs().max() < 2e-6


def test_turning_and_carrying_the_person_moves_the_cloud_rigidly(avatar, make_pose):
    params = make_pose(2)
    still = replace(params, global_orient=torch.zeros(3), transl=torch.zeros(3))
    turn, shift = torch.tensor([0.3, 1.1, -0.4]), torch.tensor([0.5, -1.0, 2.0])
    before = avatar.pose(still)
    after = avatar.pose(replace(still, global_orient=turn, transl=shift))
    R = axis_angle_to_matrix(turn)
    pelvis = avatar.body.articulate(
        replace(still, betas=avatar.identity.betas), joint_offsets=avatar.identity.joint_offsets
    )
    assert torch.equal(pelvis.T_posed_rest[0], torch.eye(4))
    torch.testing.assert_close(
        torch.pdist(after.means[:200]), torch.pdist(before.means[:200]), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(after.normals, before.normals @ R.T, rtol=0, atol=2e-3)
    turned = R @ covariance_matrices(before.covariances) @ R.T
    error = (covariance_matrices(after.covariances) - turned).abs().amax((1, 2))
    assert (error / before.covariances.abs().amax(1)).max() < 2e-3


def test_a_person_keeps_their_own_shape_whatever_the_parameters_say(avatar, make_pose):
    params = make_pose(3)
    other = replace(params, betas=torch.full((10,), 2.0))
    assert torch.equal(avatar.pose(params).means, avatar.pose(other).means)


def test_expressions_move_faces_and_no_shell(avatar):
    smiling = replace(rest_params(), expression=torch.full((10,), 1.5))
    moved = (avatar.pose(smiling).means - avatar.pose(rest_params()).means).norm(dim=1)
    shell = avatar.binding.face_ids < 0
    # The head's joint itself may follow the expression by a hair.
    assert moved[shell].max() < 1e-3
    assert moved[~shell].max() > 1e-3


def test_a_corrective_that_is_far_from_a_shell_does_not_reach_it_through_corner_zero(avatar):
    rig = avatar.rig
    flesh = torch.full((rig.vertex_count, 3), 0.1)
    for backend in (Backend.REFERENCE, Backend.NATIVE):
        means, _, _ = pose_gaussians(rig, flesh, torch.eye(4).repeat(55, 1, 1), backend=backend)
        moved = (means - rig.means).norm(dim=1)
        assert moved[avatar.binding.face_ids < 0].max() < 1e-6
        assert moved[avatar.binding.face_ids >= 0].min() > 0.1


def test_the_deformation_gradient_is_the_derivative_of_the_posed_surface(make_pose, body):
    g = torch.Generator().manual_seed(0)
    count, slots = 12, 3
    weights = torch.rand(count, slots, generator=g).double() + 0.2
    weights = weights / weights.sum(1, keepdim=True)
    gradients = torch.randn(count, slots, 3, generator=g).double()
    gradients = gradients - gradients.mean(1, keepdim=True)
    bones = body.articulate(make_pose(5)).T_posed_rest.double()

    def at(step):
        return Binding(
            face_ids=torch.full((count,), -1),
            barycentric=torch.zeros(count, 3).double(),
            bone_ids=torch.randint(55, (count, slots), generator=torch.Generator().manual_seed(1)),
            bone_weights=weights + gradients @ step,
            weight_gradients=gradients,
        )

    points = torch.randn(count, 3, generator=g).double()
    _, _, F = skinning_maps(points, at(torch.zeros(3).double()), bones)

    def posed(step):
        linear, shift, _ = skinning_maps(points + step, at(step), bones)
        return torch.einsum("nij,nj->ni", linear, points + step) + shift

    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = 1e-5
        difference = (posed(step) - posed(-step)) / 2e-5
        torch.testing.assert_close(F[..., axis], difference, rtol=1e-6, atol=1e-8)


def test_poses_can_be_optimised(avatar, make_pose):
    params = make_pose(6)
    pose = params.body_pose.clone().requires_grad_()
    face = params.expression.clone().requires_grad_()
    cloud = avatar.pose(replace(params, body_pose=pose, expression=face))
    native = avatar.pose(params)
    torch.testing.assert_close(cloud.means.detach(), native.means, rtol=0, atol=1e-5)
    (cloud.means.square().sum() + 1e4 * cloud.covariances.sum()).backward()
    assert torch.isfinite(pose.grad).all()
    assert pose.grad[JOINT_IDS["left_elbow"] - 1].abs().sum() > 0
    assert torch.isfinite(face.grad).all()
    assert face.grad.abs().sum() > 0
