"""Worn Gaussians follow simulated cloth exactly, and nothing else moves."""

import pytest
import torch

from persona.avatar.binding import bind_to_bones
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
    still = torch.eye(4).expand(55, 4, 4)
    assert float(worn_offsets(worn, shirt.rest_vertices, still).abs().max()) < 1e-5
    # Holders beside a Gaussian bend a little otherwise than itself.
    skinned = skin_points(shirt.rest_vertices, bent.T_posed_rest, shirt.body_weights)
    offsets = worn_offsets(worn, skinned, bent.T_posed_rest)
    assert float(offsets.norm(dim=1).median()) < 0.002


def test_cloth_takes_its_gaussians_along_in_any_pose(avatar, worn, shirt, bent):
    away = torch.tensor([0.05, -0.02, 0.03])
    skinned = skin_points(shirt.rest_vertices, bent.T_posed_rest, shirt.body_weights)
    before, after = (
        worn_offsets(worn, cloth, bent.T_posed_rest) for cloth in (skinned, skinned + away)
    )
    moved = posed(avatar, bent, after) - posed(avatar, bent, before)
    whole = worn.goes > 0.999
    assert int(whole.sum()) > 50
    torch.testing.assert_close(
        moved[worn.gaussian_ids[whole]], away.expand(int(whole.sum()), 3), atol=1e-5, rtol=0
    )
    others = torch.ones(avatar.count, dtype=torch.bool)
    others[worn.gaussian_ids] = False
    assert float(moved[others].abs().max()) == 0


def test_one_tube_stays_one_whichever_legs_its_gaussians_hang_on(body):
    """Two Gaussians at the middle of a skirt, one on each leg: the cloth keeps them together."""
    binding = bind_to_bones(torch.eye(55)[[1, 2]])
    means = torch.tensor([[0.004, -0.6, 0.1], [-0.004, -0.6, 0.1]])
    columns = torch.linspace(-0.1, 0.1, 9)
    front = torch.stack([columns, torch.full((9,), -0.6), torch.full((9,), 0.1)], 1)
    rest = torch.cat([front, front + torch.tensor([0.0, -0.02, 0.0])])
    faces = torch.tensor([[i, i + 9, i + 1] for i in range(8)])
    skirt = Garment(
        name="skirt",
        rest_vertices=rest,
        faces=faces,
        body_weights=torch.eye(55)[torch.zeros(18, dtype=torch.int64)],
        attachment=torch.zeros(18),
        thickness_m=0.003,
        is_tube=True,
    )
    worn = wear(means, binding, torch.ones(2, dtype=torch.bool), [skirt])
    bones = torch.eye(4).repeat(55, 1, 1)
    bones[1, 0, 3], bones[2, 0, 3] = 0.2, -0.2
    offsets = worn_offsets(worn, rest, bones)
    apart = means + offsets + torch.tensor([[0.2, 0.0, 0.0], [-0.2, 0.0, 0.0]])
    torch.testing.assert_close(apart, means, atol=1e-5, rtol=0)


def test_a_leg_never_goes_with_the_tube_around_it(avatar, shirt):
    from dataclasses import replace

    everything = torch.ones(avatar.count, dtype=torch.bool)
    rest = avatar.canonical.means[::7]
    legs = (avatar.binding.face_ids >= 0) & torch.isin(
        avatar.binding.bone_ids[:, 0], torch.tensor([1, 2, 4, 5, 7, 8, 10, 11])
    )
    assert int(legs.sum()) > 10
    cloth = replace(
        shirt,
        rest_vertices=rest,
        faces=torch.tensor([[0, 1, 2]]),
        body_weights=torch.eye(55)[torch.zeros(len(rest), dtype=torch.int64)],
        attachment=torch.zeros(len(rest)),
    )
    for is_tube, goes in ((True, False), (False, True)):
        garment = replace(cloth, is_tube=is_tube)
        worn = wear(avatar.canonical.means, avatar.binding, everything, [garment])
        assert bool(legs[worn.gaussian_ids].any()) is goes
        assert bool((~legs[worn.gaussian_ids]).any())


def test_what_stands_off_goes_less_and_what_is_far_not_at_all(avatar, worn, shirt):
    means = avatar.canonical.means
    distance = torch.cdist(means, shirt.rest_vertices).min(1).values
    share = torch.zeros(avatar.count)
    share[worn.gaussian_ids] = worn.goes
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


def test_two_garments_are_counted_through(avatar, shirt):
    everything = torch.ones(avatar.count, dtype=torch.bool)
    both = wear(avatar.canonical.means, avatar.binding, everything, [shirt, shirt])
    twice = torch.cat([shirt.rest_vertices, shirt.rest_vertices])
    still = torch.eye(4).expand(55, 4, 4)
    assert float(worn_offsets(both, twice, still).abs().max()) < 1e-5


def test_no_garments_and_other_cloth_are_refused(avatar, worn, shirt, bent):
    everything = torch.ones(avatar.count, dtype=torch.bool)
    with pytest.raises(InputError, match="no garments to wear"):
        wear(avatar.canonical.means, avatar.binding, everything, [])
    with pytest.raises(InputError, match="the garments"):
        worn_offsets(worn, shirt.rest_vertices[:-1], bent.T_posed_rest)
