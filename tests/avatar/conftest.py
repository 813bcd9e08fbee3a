"""Small people made of Gaussians: on the skin, and a shell of hair."""

from dataclasses import replace

import pytest
import torch

from persona.avatar import Avatar
from persona.avatar.avatar import neutral_vertices
from persona.avatar.binding import BONES_KEPT, Binding, bind_to_triangles, join_bindings
from persona.avatar.initialize import sample_surface, surfel_axes
from persona.avatar.posing import CanonicalGaussians
from persona.body import load_body
from persona.body.skeleton import JOINT_IDS
from persona.geometry.meshes import vertex_normals
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params

ON_SKIN, ON_HEAD = 900, 101


@pytest.fixture(scope="session")
def body():
    return load_body()


@pytest.fixture(scope="session")
def somebody(body):
    g = torch.Generator().manual_seed(5)
    betas = torch.randn(10, generator=g)
    scales = 0.05 * torch.randn(7, generator=g)
    return Identity(
        betas=betas,
        joint_offsets=body.joint_offsets_from_bone_scales(scales, betas),
        vertex_offsets=0.003 * torch.randn(body.vertex_count, 3, generator=g),
        body_digest=body.digest,
    )


@pytest.fixture(scope="session")
def avatar(body, somebody):
    rest = neutral_vertices(body, somebody)
    samples = sample_surface(rest, body.faces, torch.ones(len(body.faces)), ON_SKIN, seed=0)
    corners, place = body.faces[samples.face_ids], samples.barycentric[..., None]
    skin = (rest[corners] * place).sum(1)
    normals = (vertex_normals(rest, body.faces)[corners] * place).sum(1)
    g = torch.Generator().manual_seed(6)
    around = torch.nn.functional.normalize(torch.randn(ON_HEAD, 3, generator=g), dim=1)
    head = body.joints_template[JOINT_IDS["head"]] + torch.tensor([0.0, 0.08, 0.0])
    points = torch.cat([skin, head + 0.14 * around])
    normals = torch.nn.functional.normalize(torch.cat([normals, around]), dim=1)
    quats, log_scales = surfel_axes(points, normals)
    whole = torch.zeros(ON_HEAD, BONES_KEPT)
    whole[:, 0] = 1.0
    on_head = Binding(
        face_ids=torch.full((ON_HEAD,), -1),
        barycentric=torch.zeros(ON_HEAD, 3),
        bone_ids=torch.full((ON_HEAD, BONES_KEPT), JOINT_IDS["head"]),
        bone_weights=whole,
        weight_gradients=torch.zeros(ON_HEAD, BONES_KEPT, 3),
    )
    return Avatar(
        identity=somebody,
        canonical=CanonicalGaussians(
            means=points,
            quats_wxyz=quats,
            log_scales=log_scales,
            opacities=torch.full((len(points),), 0.95),
            colors=torch.rand(len(points), 3, generator=g),
        ),
        binding=join_bindings(
            bind_to_triangles(
                samples.face_ids,
                samples.barycentric,
                faces=body.faces,
                rest_vertices=rest,
                vertex_weights=body.weights,
            ),
            on_head,
        ),
        seen=normals[:, 2] > 0,
        parts=torch.ones(len(points), dtype=torch.int64),
        photo_params=replace(random_pose(1), transl=torch.tensor([0.0, 0.3, -3.0])),
        photo_focal_px=150.0,
        photo_size=(80, 120),
        numbers={"psnr_db": 31.5},
        warnings=("the back was invented",),
    )


def random_pose(seed):
    g = torch.Generator().manual_seed(seed)
    return replace(
        rest_params().with_full_pose(0.3 * torch.randn(55, 3, generator=g)),
        expression=torch.randn(10, generator=g),
        transl=torch.randn(3, generator=g),
    )


@pytest.fixture(scope="session")
def make_pose():
    return random_pose
