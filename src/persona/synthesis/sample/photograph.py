"""Photograph the dressed figure: camera, visible surface, its light, linear colours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import cKDTree

from persona.geometry.cameras import Camera, look_at
from persona.kernels.mesh import rasterize_mesh
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.light import (
    STUDIO,
    SoftBox,
    Surface,
    fresnel,
    lamp_directions,
    shade,
    visibility,
)
from persona.synthesis.sample.mesh import Mesh, vertex_normals

DISTANCE = 5.2
"""From the camera to the person [m]: a short telephoto lens, as for portraits."""
FILL = 0.88
"""Share of the picture's height that the person takes."""
FLOOR_DEPTH = 2.2
"""How far behind the person the paper still shows a shadow [m]."""

LIT_EVERY = {"top": 5, "bottom": 5, "shoes": 3, "strands": 15}
"""One vertex in so many is asked for its light, where vertices are denser than shadows."""
LIT_NEAREST = 4
"""Asked vertices whose light is averaged."""

GLOSS = {
    "skin": (0.055, 28.0, 1.0),
    "eyes": (0.30, 220.0, 0.0),
    "mouth": (0.10, 40.0, 0.5),
    "top": (0.010, 8.0, 0.0),
    "bottom": (0.012, 10.0, 0.0),
    "shoes": (0.050, 20.0, 0.0),
    "soles": (0.030, 14.0, 0.0),
    "hair": (0.010, 20.0, 0.0),
    "strands": (0.0, 20.0, 0.0),
}
"""Strength and sharpness of the highlight, and translucency, of each material."""


def portrait_camera(figure: Figure, *, height: int) -> Camera:
    """Stand `DISTANCE` in front of the figure, at half its height, level."""
    low, high = figure.vertices.min(0), figure.vertices.max(0)
    tall = float(high[1] - low[1]) + 0.04  # soles and hair
    eye = torch.tensor([0.0, 0.5 * tall - 0.02, float(figure.joints[0, 2]) + DISTANCE])
    target = eye - torch.tensor([0.0, 0.0, DISTANCE])
    width = round(height * 0.75)
    return Camera(
        width=width,
        height=height,
        focal_px=FILL * height / tall * DISTANCE,
        center_px=(width / 2, height / 2),
        T_camera_world=look_at(eye, target),
    )


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the camera saw of the person."""

    linear: Float[ndarray, "h w 3"]
    """Radiance; 0 where nobody is."""
    cover: Bool[ndarray, "h w"]
    """Which pixels show the person."""
    albedo: Float[ndarray, "h w 3"]
    """Colour in plain white light, sRGB; 0 where nobody is."""
    normal: Float[ndarray, "h w 3"]
    """Unit, world frame, towards the camera's side; 0 where nobody is."""


Paint = Callable[
    [int, Float[ndarray, "p 3"], Float[ndarray, "p 3"], Float[ndarray, " p"]],
    Float[ndarray, "p 3"],
]
"""Colours places of a mesh, sRGB: which mesh, places in T-pose and posed [m], free numbers."""


def photograph(
    meshes: list[Mesh],
    solid: Float[ndarray, "m 3"],
    camera: Camera,
    rng: np.random.Generator,
    *,
    paint: Paint,
    head: Float[ndarray, " 3"],
    boxes: tuple[SoftBox, ...] = STUDIO,
    lit_every: Mapping[str, int] = LIT_EVERY,
) -> Picture:
    """Draw all meshes under a studio's light.

    Args:
        meshes: What is seen, every one of a material of `GLOSS`.
        solid: Points that throw shadows [m].
        camera: Who looks.
        rng: For the lamps.
        paint: Colours them.
        head: Middle of the head [m]: hairs are shaded like the head below them.
        boxes: The lamps.
        lit_every: Material -> one vertex in so many is asked for its light.
    """
    offsets = np.cumsum([0, *(len(m.vertices) for m in meshes)])
    vertices = np.concatenate([m.vertices for m in meshes])
    faces = np.concatenate([m.faces + o for m, o in zip(meshes, offsets, strict=False)])
    owner = np.repeat(np.arange(len(meshes)), [len(m.faces) for m in meshes])
    pixels, depth = camera.project(torch.from_numpy(vertices))
    nearest, barycentric, _ = rasterize_mesh(
        pixels, depth, torch.from_numpy(faces), width=camera.width, height=camera.height
    )
    cover = nearest.flatten().numpy() >= 0
    face_ids = nearest.flatten().numpy()[cover]
    corners, weights = faces[face_ids], barycentric.reshape(-1, 3).numpy()[cover]

    def at_pixels(values: Float[ndarray, "n c"]) -> Float[ndarray, "p c"]:
        return np.einsum("pk,pkc->pc", weights, values[corners])

    normals = np.concatenate([_shading_normals(m, head) for m in meshes])
    points = at_pixels(vertices)
    eye = camera.position.numpy()
    view = (eye - points) / np.linalg.norm(eye - points, axis=1, keepdims=True)
    facing = at_pixels(normals)
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    material = owner[face_ids]
    threads = np.array([m.material == "strands" for m in meshes])[material]
    inside = _seen_from_behind(pixels.numpy()[corners]) & ~threads
    facing = np.where(inside[:, None], -facing, facing)
    lit = _lit(meshes, vertices + 0.004 * normals, normals, solid, rng, boxes, lit_every)
    rest = at_pixels(np.concatenate([m.rest for m in meshes]))
    free = at_pixels(np.concatenate([m.shade for m in meshes])[:, None])[:, 0]
    albedo = np.zeros_like(points)
    optics = np.zeros((len(points), 3), np.float32)
    for k, mesh in enumerate(meshes):
        here = material == k
        albedo[here] = paint(k, rest[here], points[here], free[here])
        optics[here] = GLOSS[mesh.material]
    surface = Surface(
        albedo=albedo,
        normals=facing,
        tangents=at_pixels(np.concatenate([m.tangents for m in meshes])),
        view=view,
        lit=at_pixels(lit.astype(np.float32)),
        gloss=optics[:, 0] * (1 + 2 * fresnel(facing, view)),
        sharpness=optics[:, 1],
        translucency=optics[:, 2],
    )

    def as_image(values: Float[ndarray, "p 3"]) -> Float[ndarray, "h w 3"]:
        image = np.zeros((len(cover), 3), np.float32)
        image[cover] = values
        return image.reshape(camera.height, camera.width, 3)

    return Picture(
        linear=as_image(shade(surface, boxes)),
        cover=cover.reshape(camera.height, camera.width),
        albedo=as_image(albedo),
        normal=as_image(facing),
    )


def _seen_from_behind(corners: Float[ndarray, "p 3 2"]) -> Bool[ndarray, " p"]:
    """Tell which triangles turn their inner side to the camera: cloth seen through its hem."""
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    # Counter-clockwise from outside is clockwise where y points down.
    return ax * by - ay * bx > 0


def _lit(
    meshes: list[Mesh],
    points: Float[ndarray, "n 3"],
    normals: Float[ndarray, "n 3"],
    solid: Float[ndarray, "m 3"],
    rng: np.random.Generator,
    boxes: tuple[SoftBox, ...],
    lit_every: Mapping[str, int],
) -> Float[ndarray, "n k"]:
    """Say how much of each soft box every vertex sees.

    Shadows are soft: one vertex in a few is asked, the others take the mean of the nearest asked
    ones of their mesh.
    """
    starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
    steps = [lit_every.get(mesh.material, 1) for mesh in meshes]
    asked = [np.arange(a, b, k) for a, b, k in zip(starts, starts[1:], steps, strict=False)]
    chosen = np.concatenate(asked)
    lamps = [lamp_directions(box, rng) for box in boxes]
    seen = (points[chosen], solid)
    lit = np.stack([visibility(*seen, lamp, normals[chosen]) for lamp in lamps], 1)
    everywhere = []
    for ids, a, b in zip(asked, starts, starts[1:], strict=False):
        known, lit = lit[: len(ids)], lit[len(ids) :]
        if len(ids) < b - a:
            _, near = cKDTree(points[ids]).query(points[a:b], LIT_NEAREST)
            known = known[near].mean(1)
        everywhere.append(known)
    return np.concatenate(everywhere)


def _shading_normals(mesh: Mesh, head: Float[ndarray, " 3"]) -> Float[ndarray, "n 3"]:
    """Give normals to light by; hairs take the shape of the head below them."""
    if mesh.material != "strands":
        return vertex_normals(mesh.vertices, mesh.faces)
    away = mesh.vertices - head
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    along = np.einsum("ij,ij->i", away, mesh.tangents)[:, None]
    across = away - 0.7 * along * mesh.tangents
    return across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)


def floor_points(camera: Camera) -> tuple[Float[ndarray, "h w 3"], Bool[ndarray, "h w"]]:
    """Say where each pixel's ray meets the floor, and whether near enough to show a shadow."""
    y, x = torch.meshgrid(
        torch.arange(camera.height) + 0.5, torch.arange(camera.width) + 0.5, indexing="ij"
    )
    pixels = torch.stack([x, y], -1).reshape(-1, 2)
    ends = camera.unproject(pixels, torch.ones(len(pixels))).numpy()
    eye = camera.position.numpy()
    ways = ends - eye
    down = ways[:, 1] < -1e-4
    reach = np.where(down, -eye[1] / np.where(down, ways[:, 1], -1), 0)
    places = eye + reach[:, None] * ways
    near = down & (places[:, 2] > eye[2] - DISTANCE - FLOOR_DEPTH)
    size = (camera.height, camera.width)
    return places.reshape(*size, 3).astype(np.float32), near.reshape(size)
