"""A person made of four thousand Gaussians, so that motions have somebody to play them."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.avatar import Avatar
from persona.avatar.binding import bind_to_triangles
from persona.avatar.initialize import sample_surface, surfel_axes
from persona.avatar.posing import CanonicalGaussians
from persona.body import SmplxBody, load_body
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params

COUNT = 4000


@pytest.fixture(scope="session")
def body() -> SmplxBody:
    return load_body()


def identity_of(body: SmplxBody, seed: int | None) -> Identity:
    """The mean person, or somebody else."""
    generator = torch.Generator().manual_seed(seed or 0)
    size = 0.0 if seed is None else 1.0
    betas = size * torch.randn(10, generator=generator)
    scales = size * 0.06 * torch.randn(7, generator=generator)
    return Identity(
        betas=betas,
        joint_offsets=body.joint_offsets_from_bone_scales(scales, betas),
        vertex_offsets=torch.zeros(body.vertex_count, 3),
        body_digest=body.digest,
    )


@pytest.fixture(scope="session")
def people(body: SmplxBody) -> dict[str, Identity]:
    return {
        "mean": identity_of(body, None),
        "one": identity_of(body, 1),
        "two": identity_of(body, 2),
    }


@pytest.fixture(scope="session")
def avatar(body: SmplxBody, people: dict[str, Identity]) -> Avatar:
    identity = people["mean"]
    rest = body.forward(rest_params(), with_pose_correctives=False).rest_vertices
    samples = sample_surface(rest, body.faces, torch.ones(len(body.faces)), COUNT, seed=0)
    corners = rest[body.faces[samples.face_ids]]
    points = (corners * samples.barycentric[..., None]).sum(1)
    a, b, c = corners.unbind(1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)
    quats, log_scales = surfel_axes(points, normals)
    arms_down = rest_params().body_pose
    arms_down[15, 2], arms_down[16, 2] = -1.2, 1.2
    face = torch.zeros(10)
    face[0] = 0.5
    return Avatar(
        identity=identity,
        canonical=CanonicalGaussians(
            means=points,
            quats_wxyz=quats,
            log_scales=log_scales,
            opacities=torch.full((COUNT,), 0.95),
            colors=torch.tensor([0.8, 0.3, 0.2]).expand(COUNT, 3).clone(),
        ),
        binding=bind_to_triangles(
            samples.face_ids,
            samples.barycentric,
            faces=body.faces,
            rest_vertices=rest,
            vertex_weights=body.weights,
        ),
        seen=normals[:, 2] > 0,
        parts=torch.ones(COUNT, dtype=torch.int64),
        photo_params=replace(
            rest_params(),
            body_pose=arms_down,
            expression=face,
            transl=torch.tensor([0.1, 0.35, -3.0]),
        ),
        photo_focal_px=260.0,
        photo_size=(140, 200),
    )


@pytest.fixture(scope="session")
def avatar_folder(avatar: Avatar, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("avatars") / "ada.persona"
    avatar.save(folder)
    return folder
