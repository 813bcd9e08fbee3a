"""What is drawn while the clock runs: surfels on an ellipsoid, and a body that swings its arms."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.binding import bind_to_triangles
from persona.avatar.posing import CanonicalGaussians
from persona.body import load_body
from persona.geometry.cameras import Camera, look_at
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams, rest_params

HALF_AXES = (0.25, 0.85, 0.15)
"""Of the ellipsoid [m]: a person's width, height and depth."""
SIGMA_PER_SPACING = 0.75
"""Overlap of neighbouring surfels, where nothing else is asked for."""
THICKNESS = 0.1
"""Standard deviation across a surface over that along it."""
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 15, 16, 0, 1
"""Rows of ``body_pose``."""
ARMS_DOWN = 1.2
"""Turn of the shoulders that lets the arms hang [rad]."""
SWING = 0.5
"""Most that arms and legs swing [rad]."""
SWING_FRAMES = 30
"""Frames until the swing repeats."""


def ellipsoid_surfels(
    count: int, channels: int, *, sigma: float = SIGMA_PER_SPACING
) -> list[Tensor]:
    """Cover an ellipsoid of a person's size, evenly.

    Returns:
        Means, quaternions, scales, opacities and features.
    """
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(count) + 0.5
    down = torch.acos(1 - 2 * place / count)
    around = math.pi * (1 + math.sqrt(5)) * place
    sphere = torch.stack(
        [torch.cos(around) * torch.sin(down), torch.cos(down), torch.sin(around) * torch.sin(down)],
        1,
    )
    axes = torch.tensor(HALF_AXES)
    normals = torch.nn.functional.normalize(sphere / axes, dim=1)
    area = (sphere / axes).norm(dim=1) * axes.prod() * 4 * math.pi / count
    across = sigma * area.sqrt()
    scales = torch.stack([across, across, THICKNESS * across], 1)
    scales = scales * torch.exp(0.15 * torch.randn(count, 3, generator=generator))
    opacities = 0.5 + 0.5 * torch.rand(count, generator=generator)
    features = torch.rand(count, channels, generator=generator)
    return [sphere * axes, quats_from_normals(normals), scales, opacities, features]


def ellipsoid_camera(size: int) -> Camera:
    """Give a camera of a square picture that sees the ellipsoid at full height."""
    return Camera(
        width=size,
        height=size,
        focal_px=1.5 * size,
        center_px=(size / 2, size / 2),
        T_camera_world=look_at(torch.tensor([0.5, 0.1, 2.8]), torch.zeros(3)),
    )


def quats_from_normals(normals: Float[Tensor, "n 3"]) -> Float[Tensor, "n 4"]:
    """Give the shortest turns from z to the normals, not of unit length."""
    turn = torch.linalg.cross(normals.new_tensor([0.0, 0.0, 1.0]).expand_as(normals), normals)
    return torch.cat([1 + normals[:, 2:], turn], 1) + 1e-6


def body_avatar(count: int, *, sigma: float = SIGMA_PER_SPACING) -> Avatar:
    """Cover the mean person with Gaussians, evenly by area."""
    body = load_body()
    rest, faces = body.v_template, body.faces
    a, b, c = (rest[faces[:, i]] for i in range(3))
    across_faces = torch.linalg.cross(b - a, c - a)
    area = across_faces.norm(dim=1) / 2
    generator = torch.Generator().manual_seed(0)
    place = (torch.arange(count) + torch.rand(count, generator=generator)) / count * area.sum()
    face_ids = torch.searchsorted(area.cumsum(0), place).clamp(max=len(faces) - 1)
    barycentric = _even_in_triangle(count, generator)
    corners = faces[face_ids]
    points = (rest[corners] * barycentric[..., None]).sum(1)
    normals = torch.nn.functional.normalize(across_faces[face_ids], dim=1)
    across = sigma * math.sqrt(float(area.sum()) / count)
    scales = torch.tensor([across, across, THICKNESS * across]).expand(count, 3)
    return Avatar(
        identity=Identity(
            betas=torch.zeros(10),
            joint_offsets=torch.zeros(55, 3),
            vertex_offsets=torch.zeros(body.vertex_count, 3),
            body_digest=body.digest,
        ),
        canonical=CanonicalGaussians(
            means=points,
            quats_wxyz=torch.nn.functional.normalize(quats_from_normals(normals), dim=1),
            log_scales=scales.log(),
            opacities=torch.full((count,), 0.95),
            colors=torch.rand(count, 3, generator=generator),
        ),
        binding=bind_to_triangles(
            face_ids, barycentric, faces=faces, rest_vertices=rest, vertex_weights=body.weights
        ),
        seen=torch.ones(count, dtype=torch.bool),
        parts=torch.ones(count, dtype=torch.int64),
        photo_params=swinging_params(0),
        photo_focal_px=1000.0,
        photo_size=(384, 512),
    )


def swinging_params(frame: int) -> BodyParams:
    """Give one frame of arms and legs that swing, on the spot."""
    params = rest_params()
    swing = SWING * math.sin(2 * math.pi * frame / SWING_FRAMES)
    pose = params.body_pose.clone()
    pose[LEFT_SHOULDER] = torch.tensor([swing, 0.0, -ARMS_DOWN])
    pose[RIGHT_SHOULDER] = torch.tensor([-swing, 0.0, ARMS_DOWN])
    pose[LEFT_HIP, 0], pose[RIGHT_HIP, 0] = -swing, swing
    return replace(params, body_pose=pose)


def _even_in_triangle(count: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
    """Give barycentric coordinates that fill a triangle evenly (Turk 1990)."""
    u, v = torch.rand(2, count, generator=generator)
    root = u.sqrt()
    return torch.stack([1 - root, root * (1 - v), root * v], 1)
