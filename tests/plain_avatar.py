"""A dressed person whose colours are known: skin on head and hands, one cloth elsewhere."""

from dataclasses import replace

import torch

from persona.avatar import Avatar
from persona.avatar.binding import bind_to_triangles
from persona.avatar.cloth import Cloth
from persona.avatar.correctives import Correctives
from persona.avatar.deformation import Deformation, Layer, Norm
from persona.avatar.initialize import surfel_axes
from persona.avatar.nodes import place_nodes
from persona.avatar.pose_features import POSE_COUNT, RATE_COUNT
from persona.avatar.posing import CanonicalGaussians
from persona.body import load_body
from persona.geometry.meshes import points_on_faces, sample_surface
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params
from persona.records.nodes import Nodes
from persona.records.observation import Part

SKIN = torch.tensor([0.8, 0.6, 0.5])
CLOTH = torch.tensor([0.2, 0.3, 0.6])


def make_plain_avatar(count: int) -> Avatar:
    """Cover the mean person evenly; the photo saw what faces +z."""
    body = load_body()
    rest = body.forward(rest_params(), with_pose_correctives=False).rest_vertices
    generator = torch.Generator().manual_seed(0)
    face_ids, barycentric = sample_surface(rest, body.faces, count, generator=generator)
    points = points_on_faces(rest, body.faces, face_ids, barycentric)
    a, b, c = rest[body.faces[face_ids]].unbind(1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)
    quats, log_scales = surfel_axes(points, normals)
    binding = bind_to_triangles(
        face_ids,
        barycentric,
        faces=body.faces,
        rest_vertices=rest,
        vertex_weights=body.weights,
    )
    bone = binding.bone_ids[:, 0]
    bare = (bone == 15) | (bone == 22) | (bone >= 25) | (bone == 20) | (bone == 21)
    params = rest_params()
    return Avatar(
        identity=Identity(
            betas=torch.zeros(10),
            joint_offsets=torch.zeros(55, 3),
            vertex_offsets=torch.zeros(body.vertex_count, 3),
        ),
        canonical=CanonicalGaussians(
            means=points,
            quats_wxyz=quats,
            log_scales=log_scales,
            opacities=torch.ones(count),
            colors=torch.where(bare[:, None], SKIN, CLOTH),
        ),
        binding=binding,
        seen=normals[:, 2] > 0.1,
        parts=torch.where(bare, int(Part.SKIN), int(Part.UPPER)),
        photo_params=replace(params, transl=torch.tensor([0.0, 0.4, -4.0])),
        photo_focal_px=900.0,
        photo_size=(480, 640),
    )


def repeated(avatar: Avatar, count: int) -> Avatar:
    """The same Gaussians again and again, as many as a standard avatar has."""
    rows = torch.arange(count) % avatar.count

    def pick(record):
        values = {name: value[rows] for name, value in vars(record).items()}
        return replace(record, **values)

    return replace(
        avatar,
        canonical=pick(avatar.canonical),
        binding=pick(avatar.binding),
        seen=avatar.seen[rows],
        parts=avatar.parts[rows],
    )


def dressed(avatar: Avatar, *, nodes: int, exactly: bool = False) -> Avatar:
    """With cloth that has learned shapes at random, some millimetres each."""
    generator = torch.Generator().manual_seed(0)
    moves = torch.ones(avatar.count, dtype=torch.bool)
    placed = place_nodes(avatar.canonical.means, avatar.binding, moves, count=nodes)
    if exactly:
        rows = torch.arange(nodes) % placed.count
        placed = Nodes(
            points=placed.points[rows],
            joints=placed.joints[rows],
            holder_ids=placed.holder_ids,
            shares=placed.shares,
        )
    features, width, k = POSE_COUNT + RATE_COUNT, 8, placed.count
    shapes = 0.004 * torch.randn(64, k, 3, generator=generator)
    network = Deformation(
        joints=placed.joints,
        node_share=torch.zeros(k, width),
        pose_weight=torch.zeros(width, features),
        norms=(Norm(gain=torch.ones(width), shift=torch.zeros(width)),),
        layers=(Layer(weight=torch.zeros(3, width), bias=torch.zeros(3)),),
        anchor=torch.zeros(k, 3),
    )
    baked = Correctives(
        shapes=shapes,
        weights=0.1 * torch.randn(64, features, generator=generator),
        anchor=torch.zeros(64),
    )
    return replace(avatar, cloth=Cloth(nodes=placed, deformation=network, correctives=baked))
