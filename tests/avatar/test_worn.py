"""Worn Gaussians follow simulated cloth exactly, and nothing else moves."""

import pytest
import torch

from persona.avatar.worn import LOOSE_M, REACH_M, wear, worn_offsets
from persona.body.skinning import skin_points
from persona.core.errors import InputError
from persona.records.body_params import rest_params
from persona.records.garment import Garment


@pytest.fixture(scope="module")
def bent(avatar):
    """Bones of a person who stands crooked."""
    params = rest_params()
    g = torch.Generator().manual_seed(0)
    pose = 0.4 * torch.randn(params.full_pose.shape, generator=g)
    params = params.with_full_pose(pose)
    return avatar.body.articulate(params, joint_offsets=avatar.identity.joint_offsets)


@pytest.fixture(scope="module")
def shirt(avatar, body):
    """The skin of the trunk, a centimetre farther out."""
    from persona.avatar.avatar import neutral_vertices
    from persona.geometry.meshes import vertex_normals

    rest = neutral_vertices(body, avatar.identity)
    rest = rest + 0.01 * vertex_normals(rest, body.faces)
    trunk = body.weights[:, [0, 3, 6, 9]].sum(1) > 0.5
    faces = body.faces[trunk[body.faces].all(1)]
    used, renamed = torch.unique(faces, return_inverse=True)
    return Garment(
        name="shirt",
        rest_vertices=rest[used],
        faces=renamed,
        body_weights=body.weights[used],
        attachment=torch.zeros(len(used)),
        thickness_m=0.003,
    )


@pytest.fixture(scope="module")
def worn(avatar, shirt):
    everything = torch.ones(avatar.count, dtype=torch.bool)
    return wear(avatar.canonical.means, avatar.binding, everything, [shirt])


def posed(avatar, bent, offsets):
    from dataclasses import replace

    from persona.kernels import pose_gaussians

    rig = replace(avatar.rig, means=avatar.rig.means + offsets)
    return pose_gaussians(rig, bent.flesh, bent.T_posed_rest)[0]


def test_cloth_that_stays_on_the_skin_moves_nothing(worn, shirt, bent):
    skinned = skin_points(shirt.rest_vertices, bent.T_posed_rest, shirt.body_weights)
    assert float(worn_offsets(worn, skinned, bent.T_posed_rest).abs().max()) < 1e-6


def test_cloth_takes_its_gaussians_along_in_any_pose(avatar, worn, shirt, bent):
    away = torch.tensor([0.05, -0.02, 0.03])
    skinned = skin_points(shirt.rest_vertices, bent.T_posed_rest, shirt.body_weights)
    offsets = worn_offsets(worn, skinned + away, bent.T_posed_rest)
    moved = posed(avatar, bent, offsets) - posed(avatar, bent, torch.zeros_like(offsets))
    whole = worn.shares.sum(1) > 0.999
    assert int(whole.sum()) > 50
    torch.testing.assert_close(
        moved[worn.gaussian_ids[whole]], away.expand(int(whole.sum()), 3), atol=1e-5, rtol=0
    )
    others = torch.ones(avatar.count, dtype=torch.bool)
    others[worn.gaussian_ids] = False
    assert float(moved[others].abs().max()) == 0


def test_what_stands_off_goes_less_and_what_is_far_not_at_all(avatar, worn, shirt):
    means = avatar.canonical.means
    distance = torch.cdist(means, shirt.rest_vertices).min(1).values
    share = torch.zeros(avatar.count)
    share[worn.gaussian_ids] = worn.shares.sum(1)
    torch.testing.assert_close(
        share[distance < REACH_M], torch.ones(int((distance < REACH_M).sum()))
    )
    assert (share[distance > LOOSE_M] == 0).all()
    between = (distance > REACH_M) & (distance < LOOSE_M)
    assert ((share[between] > 0) & (share[between] < 1)).all()


def test_skin_is_not_worn(avatar, shirt):
    is_cloth = torch.zeros(avatar.count, dtype=torch.bool)
    is_cloth[::2] = True
    worn = wear(avatar.canonical.means, avatar.binding, is_cloth, [shirt])
    assert (worn.gaussian_ids % 2 == 0).all()


def test_two_garments_are_counted_through(avatar, shirt, bent):
    everything = torch.ones(avatar.count, dtype=torch.bool)
    both = wear(avatar.canonical.means, avatar.binding, everything, [shirt, shirt])
    skinned = skin_points(both.rest_vertices, bent.T_posed_rest, both.body_weights)
    assert len(skinned) == 2 * shirt.vertex_count
    assert float(worn_offsets(both, skinned, bent.T_posed_rest).abs().max()) < 1e-6


def test_no_garments_and_other_cloth_are_refused(avatar, worn, shirt, bent):
    everything = torch.ones(avatar.count, dtype=torch.bool)
    with pytest.raises(InputError, match="no garments to wear"):
        wear(avatar.canonical.means, avatar.binding, everything, [])
    with pytest.raises(InputError, match="the garments"):
        worn_offsets(worn, shirt.rest_vertices[:-1], bent.T_posed_rest)
