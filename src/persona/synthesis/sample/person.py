"""Draw the sample person: body, clothes, hair, light, camera, and a picture at the end."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from persona.body import BodyPose, SmplxBody, load_body
from persona.body.skeleton import JOINT_IDS
from persona.core.errors import InputError
from persona.core.types import Image
from persona.geometry.meshes import subdivision_matrix
from persona.records.body_params import BodyParams, rest_params
from persona.synthesis.sample.clothes import dress
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.hair import grow_hair
from persona.synthesis.sample.light import backdrop, grain, to_srgb
from persona.synthesis.sample.look import LowerWear, SampleLook, choose_look
from persona.synthesis.sample.mesh import Mesh, plain_mesh, vertex_normals
from persona.synthesis.sample.paint import painted
from persona.synthesis.sample.photograph import floor_points, photograph, portrait_camera

DEFAULT_SEED = 11
"""The person of the demo: jumper, jeans, hair to the shoulders."""
PICTURE_HEIGHT = 1280
"""Default rows of the picture [px]; columns are three quarters."""
SUPERSAMPLING = 2
"""Rays a pixel in each direction."""
SUBDIVISIONS = 1
"""Times the body's triangles are split before clothes are cut from it."""


def draw_sample_person(
    *,
    seed: int = DEFAULT_SEED,
    height: int = PICTURE_HEIGHT,
    body: SmplxBody | None = None,
    lower: LowerWear = "trousers",
) -> Image:
    """Draw a person who does not exist, from head to feet, in front of a pale background.

    Everything is geometry, paint and light of our own, so that the picture may be shipped. The
    same seed and height give the same picture on one machine.

    Args:
        seed: Chooses body, skin, hair and clothes.
        height: Rows of the picture [px], 256 to 4096; columns are three quarters.
        body: The body to draw; None loads the open body.
        lower: What covers the legs.

    Returns:
        The picture, sRGB.

    Raises:
        InputError: The height is out of range.
    """
    if not 256 <= height <= 4096:
        raise InputError(
            f"a picture of {height} rows was asked for",
            why="the sample person is drawn between 256 and 4096 pixels tall",
            fix="leave --height alone, or choose one in that range",
        )
    look = replace(choose_look(seed), lower=lower)
    figure = stand(load_body() if body is None else body, look)
    return draw_figure(figure, look, height=height)


def draw_figure(figure: Figure, look: SampleLook, *, height: int) -> Image:
    """Dress, comb, light and photograph a figure."""
    rng = np.random.default_rng(look.seed + 71)
    garments, hidden = dress(figure, look)
    meshes = [*_bare(figure, hidden), *garments, *grow_hair(figure, look)]
    camera = portrait_camera(figure, height=height * SUPERSAMPLING)
    solid = np.concatenate([m.vertices for m in meshes if m.material != "strands"])

    def paint(mesh: int, rest: ndarray, points: ndarray, free: ndarray) -> ndarray:
        return painted(meshes[mesh].material, figure, look, rest, points, free)

    seen = photograph(meshes, solid, camera, rng, paint=paint, head=figure.face_center)
    floor, on_floor = floor_points(camera)
    small = (camera.height // SUPERSAMPLING, camera.width // SUPERSAMPLING)
    step = SUPERSAMPLING
    paper = backdrop(
        small[1],
        small[0],
        floor=floor[step // 2 :: step, step // 2 :: step],
        on_floor=on_floor[step // 2 :: step, step // 2 :: step],
        blockers=solid,
        rng=rng,
    )
    cover = averaged(seen.cover[..., None].astype(np.float32))
    color = averaged(to_srgb(seen.linear) ** 2.0) ** 0.5  # near-linear light, without harsh edges
    color = np.where(cover > 0, color / np.sqrt(np.maximum(cover, 1e-6)), 0)
    picture = cover * color + (1 - cover) * to_srgb(paper)
    picture = picture + grain(*small, rng)
    return torch.from_numpy(np.clip(picture, 0, 1).astype(np.float32))


def averaged(image: Float[ndarray, "h w c"]) -> Float[ndarray, "h2 w2 c"]:
    """Halve a picture: the mean of `SUPERSAMPLING` pixels each way."""
    h, w, c = image.shape
    s = SUPERSAMPLING
    return image.reshape(h // s, s, w // s, s, c).mean((1, 3))


def sample_pose(look: SampleLook, rest: BodyParams) -> BodyParams:
    """Stand at ease: arms a little away, fingers relaxed, weight a little to one side."""
    rng = np.random.default_rng(look.seed + 72)
    pose = torch.zeros(55, 3)
    degree = float(np.pi / 180)

    def turn(name: str, x: float, y: float, z: float) -> None:
        pose[JOINT_IDS[name]] = torch.tensor([x, y, z]) * degree

    sway = float(rng.uniform(-1.5, 1.5))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        drop = float(rng.uniform(58, 63))
        turn(f"{side}_collar", 0, 0, -sign * 4)
        turn(f"{side}_shoulder", 12, sign * 4, -sign * drop)
        turn(f"{side}_elbow", 0, -sign * float(rng.uniform(8, 16)), 0)
        turn(f"{side}_wrist", -28, 0, sign * 2)
        turn(f"{side}_hip", -1.5, sign * 6, -sign * 2.0)
        turn(f"{side}_knee", 3, 0, 0)
        turn(f"{side}_ankle", -1.5, sign * 6, sign * 2.0)
        for finger, bend in (("index", 9), ("middle", 12), ("ring", 15), ("pinky", 18)):
            for k in (1, 2, 3):
                turn(f"{side}_{finger}{k}", 0, 0, -sign * bend * (1.0 if k < 3 else 0.6))
    turn("spine2", 1.0, sway, 0)
    turn("neck", 2, -0.6 * sway, 0)
    turn("head", -2, -0.6 * sway, 0.7 * sway)
    return rest.with_full_pose(pose)


def stand(body: SmplxBody, look: SampleLook) -> Figure:
    """Pose the look's body and put its soles on the floor."""
    betas = torch.zeros(10)
    betas[: len(look.betas)] = torch.tensor(look.betas)
    shaped = replace(rest_params(), betas=betas)
    rest, posed = body.forward(shaped), body.forward(sample_pose(look, shaped))
    return assemble(body, rest, posed)


def _bare(figure: Figure, hidden: Bool[ndarray, " n"]) -> list[Mesh]:
    """Cut the body into skin, eyes and mouth; what clothes hide is not drawn."""
    skin = ~(figure.eyeballs | figure.mouth_inside | hidden)
    parts = {"skin": skin, "eyes": figure.eyeballs, "mouth": figure.mouth_inside}
    return [
        plain_mesh(
            material,
            figure.vertices,
            figure.rest,
            figure.faces[chosen[figure.faces].all(1)],
        )
        for material, chosen in parts.items()
    ]


def assemble(body: SmplxBody, rest: BodyPose, posed: BodyPose) -> Figure:
    """Refine the body's mesh and gather what the painters need, the floor at y = 0."""
    faces, finer = subdivision_matrix(body.faces, body.vertex_count, SUBDIVISIONS)
    vertices = finer @ posed.vertices.numpy()
    floor = np.array([0.0, vertices[:, 1].min(), 0.0])
    regions = body.regions

    def marked(*names: str) -> Bool[ndarray, " n"]:
        return finer @ regions.mask(*names).numpy().astype(np.float32) > 0.5

    vertices = (vertices - floor).astype(np.float32)
    return Figure(
        vertices=vertices,
        rest=(finer @ rest.vertices.numpy()).astype(np.float32),
        faces=faces.numpy(),
        normals=vertex_normals(vertices, faces.numpy()),
        weights=(finer @ body.weights.numpy()).astype(np.float32),
        joints=(posed.joints.numpy() - floor).astype(np.float32),
        rest_joints=rest.joints.numpy(),
        face_marks=body.landmarks.face51.on(rest.vertices).numpy(),
        eyeballs=marked("left_eye", "right_eye"),
        mouth_inside=marked("mouth_inner", "tongue", "teeth"),
        ears=marked("ears"),
    )
