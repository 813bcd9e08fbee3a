"""A synthetic person: the open body in a known pose, seen by a known camera."""

from dataclasses import dataclass, replace

import pytest
import torch

from persona.body import BodyPose, SmplxBody, load_body
from persona.body.skeleton import JOINT_IDS
from persona.fitting.points import pose_landmarks
from persona.geometry.cameras import Camera, photo_camera
from persona.records.body_params import BodyParams, rest_params
from persona.records.observation import Observation, Part
from persona.rendering.body_maps import draw_body_maps

WIDTH, HEIGHT, FOCAL = 480, 640, 960.0


@dataclass(frozen=True)
class Person:
    """What was drawn."""

    params: BodyParams
    joint_offsets: torch.Tensor
    posed: BodyPose
    camera: Camera
    observation: Observation


def turned(params: BodyParams, **degrees: tuple[float, float, float]) -> BodyParams:
    """Turn joints by name [deg]."""
    pose = params.full_pose.clone()
    for name, angles in degrees.items():
        pose[JOINT_IDS[name]] = torch.deg2rad(torch.tensor(angles))
    return params.with_full_pose(pose)


def standing_pose() -> BodyParams:
    """Arms hanging, legs straight, three metres away."""
    params = turned(
        rest_params(),
        left_shoulder=(0, 0, -62),
        right_shoulder=(0, 0, 62),
        left_elbow=(0, -15, 0),
        right_elbow=(0, 15, 0),
    )
    return replace(params, transl=torch.tensor([0.05, 0.42, -3.2]))


def squatting_pose() -> BodyParams:
    """Thighs near level, trunk forward, arms out, seen from the front right."""
    return replace(
        turned(
            rest_params(),
            pelvis=(25, 40, 0),
            left_hip=(-100, 0, 12),
            right_hip=(-100, 0, -12),
            left_knee=(105, 0, 0),
            right_knee=(105, 0, 0),
            left_ankle=(-28, 0, 0),
            right_ankle=(-28, 0, 0),
            left_shoulder=(0, -70, -20),
            right_shoulder=(0, 70, 20),
        ),
        transl=torch.tensor([0.0, 0.25, -3.0]),
    )


def observe(body: SmplxBody, params: BodyParams, *, bone_scales=None, noise_px=0.0) -> Person:
    """Draw the body and write down what a perfect (or noisy) detector would see."""
    scales = torch.zeros(7) if bone_scales is None else bone_scales
    offsets = body.joint_offsets_from_bone_scales(scales, params.betas)
    posed = body.forward(params, joint_offsets=offsets)
    camera = photo_camera(WIDTH, HEIGHT, FOCAL)
    marks = pose_landmarks(body, posed)
    pixels, _ = camera.project(marks)
    pixels = pixels + noise_px * torch.randn(33, 2, generator=torch.Generator().manual_seed(0))
    mask = draw_body_maps(posed.vertices, body.faces, camera).mask
    rows, columns = mask.nonzero(as_tuple=True)
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    observation = Observation(
        mask=mask.float(),
        mask_source="segmenter",
        box=tuple(float(edge) for edge in edges),
        body=pixels,
        body_confidence=torch.ones(33),
        body_world=marks - marks[[23, 24]].mean(0),
        parts=torch.where(mask, int(Part.SKIN), int(Part.BACKGROUND)),
    )
    return Person(params, offsets, posed, camera, observation)


@pytest.fixture(scope="session")
def body() -> SmplxBody:
    return load_body()


@pytest.fixture(scope="session")
def standing(body) -> Person:
    return observe(body, standing_pose())


@pytest.fixture(scope="session")
def squatting(body) -> Person:
    return observe(body, squatting_pose())
