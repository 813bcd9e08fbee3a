"""A drawn person in known clothes before a known camera, and the stages of becoming an avatar."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch

from persona.avatar.binding import bind_to_bones
from persona.avatar.initialize import surfel_axes
from persona.body import SmplxBody, load_body
from persona.geometry.cameras import Camera, photo_camera
from persona.kernels import rasterize_mesh
from persona.optimization.clothing import DressedBody, dress
from persona.optimization.cloud import PhotoCloud
from persona.optimization.dress import vertex_limbs
from persona.optimization.limbs import Limb
from persona.optimization.population import populate
from persona.optimization.view import WorkingView, working_view
from persona.optimization.visibility import Visibility, see
from persona.records.body_fit import BodyFit, Identity
from persona.records.body_params import rest_params
from persona.records.observation import Observation, Part
from persona.records.photo import Photo

WIDTH, HEIGHT, FOCAL = 300, 400, 780.0
PERSON_HEIGHT = 200
CLOTH_PX = 3
"""How far hair and clothes stand off the body in the photo [px]; 5 mm each."""
COLORS = {
    Part.BACKGROUND: (0.9, 0.9, 0.85),
    Part.SKIN: (0.8, 0.6, 0.5),
    Part.HAIR: (0.25, 0.15, 0.1),
    Part.UPPER: (0.2, 0.3, 0.7),
    Part.LOWER: (0.3, 0.5, 0.25),
    Part.SHOES: (0.15, 0.15, 0.15),
}
HAIRLINE_M = 0.08
"""Hair begins this far below the top of the head."""
HEM_M = 0.1
"""The top ends this far above the lowest point of the trunk."""


@dataclass(frozen=True)
class Drawn:
    """A photo of the open body in clothes, with everything a perfect perception would say."""

    photo: Photo
    observation: Observation
    fit: BodyFit
    camera: Camera
    vertices: torch.Tensor


def lowered_arms() -> torch.Tensor:
    """Body pose with both arms hanging [rad], clear of the trunk."""
    pose = rest_params().body_pose.clone()
    pose[15, 2], pose[16, 2] = -1.1, 1.1
    return pose


def fit_of(body: SmplxBody, body_pose: torch.Tensor) -> BodyFit:
    """The mean person in a pose, four metres away."""
    params = replace(rest_params(), body_pose=body_pose, transl=torch.tensor([0.0, 0.42, -4.0]))
    return BodyFit(
        identity=Identity(
            betas=params.betas,
            joint_offsets=torch.zeros(55, 3),
            vertex_offsets=torch.zeros(body.vertex_count, 3),
        ),
        params=params,
        focal_px=FOCAL,
        image_size=(WIDTH, HEIGHT),
        keypoint_error_px=0.0,
        body_iou=1.0,
        lean_m=0.0,
        standing=True,
        left_hand_seen=True,
        right_hand_seen=True,
    )


def vertex_parts(body: SmplxBody, rest: torch.Tensor) -> np.ndarray:
    """Say what each vertex wears."""
    limb = vertex_limbs(body.weights.numpy())
    part = np.full(len(limb), int(Part.SKIN))
    part[np.isin(limb, (Limb.TORSO, Limb.LEFT_ARM, Limb.RIGHT_ARM))] = Part.UPPER
    hem = rest[torch.from_numpy(limb == Limb.TORSO), 1].min() + HEM_M
    legs = np.isin(limb, (Limb.LEFT_LEG, Limb.RIGHT_LEG))
    part[legs | ((limb == Limb.TORSO) & (rest[:, 1] < hem).numpy())] = Part.LOWER
    part[np.isin(limb, (Limb.LEFT_FOOT, Limb.RIGHT_FOOT))] = Part.SHOES
    top = rest[:, 1].max() - HAIRLINE_M
    part[(limb == Limb.HEAD) & (rest[:, 1] > top).numpy()] = Part.HAIR
    return part


def draw_person(body: SmplxBody, body_pose: torch.Tensor) -> Drawn:
    """Draw the body, colour every part, and let hair and cloth stand off the skin."""
    fit = fit_of(body, body_pose)
    camera = photo_camera(WIDTH, HEIGHT, FOCAL)
    posed = body.forward(fit.params)
    pixels, depth = camera.project(posed.vertices)
    ids, _, _ = rasterize_mesh(pixels, depth, body.faces, width=WIDTH, height=HEIGHT)
    naked = ids.numpy() >= 0
    by_face = vertex_parts(body, posed.rest_vertices)[body.faces[:, 0].numpy()]
    parts = np.where(naked, by_face[ids.numpy().clip(0)], 0).astype(np.uint8)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CLOTH_PX + 1,) * 2)
    # Where two parts meet in the margin the higher label wins; a rim of three pixels may.
    worn = cv2.dilate(np.where(parts == Part.SKIN, 0, parts).astype(np.uint8), window)
    parts = np.where(naked, parts, worn)
    mask = parts > 0
    palette = np.array([COLORS[part] for part in Part], np.float32)
    rgb = palette[parts]
    rows, columns = np.where(mask)
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    observation = Observation(
        mask=torch.from_numpy(mask).float(),
        mask_source="alpha",
        box=tuple(float(edge) for edge in edges),
        body=torch.zeros(33, 2),
        body_confidence=torch.ones(33),
        body_world=torch.zeros(33, 3),
        parts=torch.from_numpy(parts.astype(np.int64)),
    )
    return Drawn(Photo(rgb=torch.from_numpy(rgb)), observation, fit, camera, posed.vertices)


@pytest.fixture(scope="session")
def body() -> SmplxBody:
    return load_body()


@pytest.fixture(scope="session")
def drawn(body) -> Drawn:
    return draw_person(body, lowered_arms())


@pytest.fixture(scope="session")
def draw(body):
    """Draw the person in another pose: ``draw(body_pose)``."""
    return lambda body_pose: draw_person(body, body_pose)


@pytest.fixture(scope="session")
def arms_down():
    """Give a fresh body pose with hanging arms."""
    return lowered_arms


@pytest.fixture(scope="session")
def view(drawn) -> WorkingView:
    return working_view(drawn.photo, drawn.observation, drawn.fit, person_height=PERSON_HEIGHT)


@pytest.fixture(scope="session")
def dressed(body, drawn, view) -> DressedBody:
    return dress(body, drawn.fit, view)


@pytest.fixture(scope="session")
def cloud(dressed, view) -> PhotoCloud:
    return populate(dressed, view, count=6000, seed=0)


@pytest.fixture(scope="session")
def visibility(cloud, view, dressed) -> Visibility:
    return see(cloud, view, dressed.front)


@pytest.fixture(scope="session")
def flat_camera() -> Camera:
    """A small camera at the origin: at 2 m, a pixel is 2 cm wide."""
    return photo_camera(80, 60, 100.0)


def picture(image, mask, *, parts=None, own_alpha=False, camera=None) -> WorkingView:
    """A working view with chosen pixels; the person wears one top unless ``parts`` says more."""
    height, width = mask.shape
    return WorkingView(
        image=image,
        mask=mask,
        parts=(mask > 0.5).long() * int(Part.UPPER) if parts is None else parts,
        camera=camera or photo_camera(width, height, 1.5 * height),
        own_alpha=own_alpha,
        scale=1.0,
        origin=(0.0, 0.0),
    )


@pytest.fixture(scope="session")
def make_view():
    return picture


@pytest.fixture(scope="session")
def blank_view(flat_camera) -> WorkingView:
    """A grey person who fills all but the margin of a bright picture."""
    mask = torch.zeros(60, 80)
    mask[6:54, 8:72] = 1
    image = torch.where(mask[..., None] > 0, 0.5, 0.9).expand(60, 80, 3).clone()
    return picture(image, mask, own_alpha=True, camera=flat_camera)


@pytest.fixture(scope="session")
def wall(flat_camera):
    """Hang one Gaussian on each pixel of a window: ``wall(rows, columns, depth, limb)``."""

    def hang(rows: range, columns: range, *, depth: float, limb: Limb, joint: int) -> PhotoCloud:
        y, x = np.meshgrid(rows, columns, indexing="ij")
        pixels = torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1) + 0.5).float()
        means = flat_camera.unproject(pixels, torch.full((len(pixels),), depth))
        normals = torch.tensor([0.0, 0.0, 1.0]).expand(len(means), 3).clone()
        quats, log_scales = surfel_axes(means, normals)
        return PhotoCloud(
            means=means,
            normals=normals,
            quats_wxyz=quats,
            log_scales=log_scales,
            rest_means=means,
            rest_body=means,
            binding=bind_to_bones(torch.eye(55)[torch.full((len(means),), joint)]),
            limb=torch.full((len(means),), int(limb)),
            is_hair=torch.zeros(len(means)),
            under=torch.zeros(len(means)),
            inner=torch.zeros(len(means), dtype=torch.bool),
        )

    return hang
