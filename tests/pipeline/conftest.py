"""Stages that make a small ready avatar at once, and count how often they were asked."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from persona.avatar import Avatar
from persona.avatar.binding import bind_to_triangles
from persona.avatar.initialize import surfel_axes
from persona.avatar.posing import CanonicalGaussians
from persona.body import load_body
from persona.geometry.meshes import points_on_faces, sample_surface
from persona.pipeline.stages import Measured, Stages
from persona.records.body_fit import BodyFit, Identity
from persona.records.body_params import rest_params
from persona.records.observation import Observation, Part
from persona.records.photo import Photo

COUNT = 3_000
SKIN = torch.tensor([0.8, 0.6, 0.5])
CLOTH = torch.tensor([0.2, 0.3, 0.6])


@pytest.fixture(scope="session")
def plain_avatar() -> Avatar:
    """Skin on head and hands, one cloth elsewhere; the photo saw what faces +z."""
    body = load_body()
    rest = body.forward(rest_params(), with_pose_correctives=False).rest_vertices
    generator = torch.Generator().manual_seed(0)
    face_ids, barycentric = sample_surface(rest, body.faces, COUNT, generator=generator)
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
            opacities=torch.ones(COUNT),
            colors=torch.where(bare[:, None], SKIN, CLOTH),
        ),
        binding=binding,
        seen=normals[:, 2] > 0.1,
        parts=torch.where(bare, int(Part.SKIN), int(Part.UPPER)),
        photo_params=replace(params, transl=torch.tensor([0.0, 0.4, -4.0])),
        photo_focal_px=900.0,
        photo_size=(480, 640),
    )


class CountingStages:
    """Stages that answer from memory and count their calls; ``fail_at`` names one that breaks."""

    def __init__(self, avatar: Avatar) -> None:
        self.avatar, self.calls, self.fail_at, self.error = avatar, Counter(), "", RuntimeError
        camera = avatar.photo_camera
        drawn = avatar.render(avatar.photo_params, camera, background=torch.ones(3))
        self.photo = Photo(rgb=drawn.color.clamp(0, 1), name="secret-name")
        rows = torch.nonzero(drawn.alpha.amax(1) > 0.5)[:, 0]
        columns = torch.nonzero(drawn.alpha.amax(0) > 0.5)[:, 0]
        self.observation = Observation(
            mask=drawn.alpha.clamp(0, 1),
            mask_source="alpha",
            box=tuple(float(x) for x in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)),
            body=torch.full((33, 2), 100.0),
            body_confidence=torch.ones(33),
            body_world=torch.zeros(33, 3),
            parts=(drawn.alpha > 0.5).long(),
        )
        self.fit = BodyFit(
            identity=avatar.identity,
            params=avatar.photo_params,
            focal_px=avatar.photo_focal_px,
            image_size=avatar.photo_size,
            keypoint_error_px=1.5,
            body_iou=0.9,
            lean_m=0.01,
            standing=True,
            left_hand_seen=True,
            right_hand_seen=False,
        )

    def stages(self) -> Stages:
        return Stages(
            perceive=lambda photo: self._answer("perceive", self.observation),
            fit=lambda observation, *, focal_px=None: self._answer("fit", self.fit),
            optimize=self._optimize,
            measure=lambda avatar, photo, observation: self._answer(
                "measure", Measured(numbers={"psnr_db": 31.5, "iou": 0.5})
            ),
        )

    def _optimize(self, photo, observation, fit, *, seed, tick):
        for step in range(1, 4):
            tick(step)
        return self._answer("optimize", self.avatar)

    def _answer(self, name, value):
        self.calls[name] += 1
        if name == self.fail_at:
            raise self.error
        return value


@pytest.fixture
def counting(plain_avatar) -> CountingStages:
    return CountingStages(plain_avatar)
