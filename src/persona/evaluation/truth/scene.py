"""Photograph generated people: where cameras stand, and what they see."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from persona.body import BodyPose
from persona.body.skeleton import JOINT_IDS
from persona.core.seeds import Seeds
from persona.core.types import Image, Mask
from persona.evaluation.truth.actor import Actor
from persona.evaluation.truth.fabrics import paint_fabric
from persona.evaluation.truth.fields import shell_field, tight_field
from persona.evaluation.truth.people import Shell, Tube
from persona.geometry.cameras import Camera, look_at
from persona.synthesis.sample.light import SoftBox, backdrop, grain, to_srgb
from persona.synthesis.sample.mesh import Mesh
from persona.synthesis.sample.paint import painted
from persona.synthesis.sample.person import SUPERSAMPLING, averaged
from persona.synthesis.sample.photograph import floor_points, photograph

ASPECT: Final = 0.75
"""Width over height of every picture."""
PHOTO_FILL: Final = 0.86
"""Share of the photo's height that the person takes."""
EYE_SHARE: Final = 0.68
"""Height of the photo's camera, of the person's: held before the chest [-]."""
FRAME_SPAN: Final = 2.35
"""What a frame shows at the person's distance, from top to bottom [m]."""
PHOTO_RAYS: Final = 4
"""How many times more rays the photo's lamps have than a frame's."""
TURNS: Final = 1.0
"""How often the camera goes around the person in all frames."""
LIFT_DEG: Final = (4.0, 12.0)
"""Middle and swing of the camera's height above the pelvis [deg]."""
LIT_EVERY: Final = {
    "skin": 5,
    "shoes": 12,
    "soles": 4,
    "hair": 6,
    "strands": 40,
    "top": 7,
    "bottom": 7,
}
"""One vertex in so many is asked for its light."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """One picture of a generated person."""

    color: Image
    """The person's colour, sRGB; grey where nobody is."""
    mask: Mask
    """Coverage."""
    albedo: Image
    """Colour in plain white light, sRGB; 0 where nobody is."""
    normal: Float[Tensor, "h w 3"]
    """Unit, world frame, towards the camera; 0 where nobody is."""


def photo_camera_of(actor: Actor, *, height: int) -> Camera:
    """Stand before the person as somebody who takes their picture."""
    tall = float(actor.form.vertices[:, 1].max() - actor.form.vertices[:, 1].min()) + 0.04
    distance = actor.person.distance
    eye = torch.tensor([0.0, EYE_SHARE * tall, distance])
    width = round(height * ASPECT)
    return Camera(
        width=width,
        height=height,
        focal_px=PHOTO_FILL * height / tall * distance,
        center_px=(width / 2, height / 2),
        T_camera_world=look_at(eye, torch.tensor([0.0, 0.5 * tall, 0.0])),
    )


def orbit(
    pelvis: Float[Tensor, "t 3"], *, distance: float, height: int, fps: float, seed: int
) -> list[Camera]:
    """Go around a person once while they move, up and down, the pelvis in the middle."""
    count = len(pelvis)
    start = float(Seeds(seed).numpy("orbit").uniform(-0.5, 0.5))
    half = max(1, round(0.35 * fps))
    padded = torch.cat([pelvis[:1].expand(half, 3), pelvis, pelvis[-1:].expand(half, 3)])
    middle = padded.unfold(0, 2 * half + 1, 1).mean(-1)
    width = round(height * ASPECT)
    cameras = []
    for k in range(count):
        yaw = start + 2 * math.pi * TURNS * k / count
        lift = math.radians(LIFT_DEG[0] + LIFT_DEG[1] * math.sin(4.4 * math.pi * k / count + seed))
        way = torch.tensor(
            [math.sin(yaw) * math.cos(lift), math.sin(lift), math.cos(yaw) * math.cos(lift)]
        )
        cameras.append(
            Camera(
                width=width,
                height=height,
                focal_px=height / FRAME_SPAN * distance,
                center_px=(width / 2, height / 2),
                T_camera_world=look_at(middle[k] + distance * way, middle[k]),
            )
        )
    return cameras


def take(
    actor: Actor,
    posed: BodyPose,
    cloth: Float[ndarray, "v 3"],
    camera: Camera,
    *,
    boxes: tuple[SoftBox, ...] | None = None,
) -> Seen:
    """Photograph a moment without its background; None takes the person's own lamps."""
    fine = camera.scaled(SUPERSAMPLING)
    meshes = actor.meshes(posed, cloth, camera.position.numpy())
    solid = _solid(meshes)
    seen = photograph(
        meshes,
        solid,
        fine,
        Seeds(actor.person.look.seed).numpy("lamps"),
        paint=_painter(actor, meshes),
        head=posed.joints[JOINT_IDS["head"]].numpy() + np.array([0.0, 0.07, 0.0], np.float32),
        boxes=boxes or actor.person.light,
        lit_every=LIT_EVERY,
    )
    cover = averaged(seen.cover[..., None].astype(np.float32))
    share = np.maximum(cover, 1e-6)
    # As `sample.person` mixes: nearly linear light, without harsh edges.
    color = np.sqrt(averaged(to_srgb(seen.linear) ** 2.0) / share)
    albedo = averaged(seen.albedo) / share
    normal = averaged(seen.normal) / share
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    here = cover > 0

    def tensor(values: ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    return Seen(
        color=tensor(np.where(here, np.clip(color, 0, 1), 0.5)),
        mask=tensor(cover[..., 0]),
        albedo=tensor(np.where(here, np.clip(albedo, 0, 1), 0)),
        normal=tensor(np.where(here, normal, 0)),
    )


def take_photo(
    actor: Actor, posed: BodyPose, cloth: Float[ndarray, "v 3"], camera: Camera
) -> tuple[Image, Seen]:
    """Photograph a moment as a person would take it: before a wall, with shadow and grain."""
    boxes = tuple(replace(box, rays=PHOTO_RAYS * box.rays) for box in actor.person.light)
    seen = take(actor, posed, cloth, camera, boxes=boxes)
    rng = Seeds(actor.person.look.seed).numpy("photo")
    floor, on_floor = floor_points(camera)
    wall = backdrop(
        camera.width,
        camera.height,
        floor=floor,
        on_floor=on_floor,
        blockers=_solid(actor.meshes(posed, cloth, camera.position.numpy())),
        rng=rng,
        boxes=boxes,
        tint=actor.person.wall,
    )
    mask, color = seen.mask[..., None].numpy(), seen.color.numpy()
    whole = mask * color + (1 - mask) * to_srgb(wall) + grain(camera.height, camera.width, rng)
    return torch.from_numpy(np.clip(whole, 0, 1).astype(np.float32)), seen


def _solid(meshes: list[Mesh]) -> Float[ndarray, "m 3"]:
    return np.concatenate([m.vertices for m in meshes if m.material != "strands"])


def _painter(actor: Actor, meshes: list[Mesh]):
    """Give what colours places of the actor's meshes; garments come last among them."""
    person, form, figure = actor.person, actor.form, actor.figure
    first = len(meshes) - len(person.cuts)
    shoulder = float(form.joint("left_shoulder")[0])

    def paint(index: int, rest: ndarray, points: ndarray, free: ndarray) -> ndarray:
        seed = person.look.seed + 7 * index
        if index >= first:
            cut = person.cuts[index - first]
            inside = _inside(actor, cut, rest)
            return paint_fabric(cut.fabric, rest, inside, shoulder=shoulder, seed=seed)
        material = meshes[index].material
        if material in ("shoes", "soles"):
            points = rest - np.array([0.0, figure.rest_floor, 0.0])
        colors = painted(material, figure, person.look, rest, points, free)
        if material == "skin":
            for number, tight in enumerate(person.tights):
                inside = tight_field(form, tight, rest)
                here = inside > 0
                colors[here] = paint_fabric(
                    tight.fabric,
                    rest[here],
                    inside[here],
                    shoulder=shoulder,
                    seed=seed + number,
                )
        return colors

    return paint


def _inside(actor: Actor, cut: Shell | Tube, rest: ndarray) -> Float[ndarray, " p"]:
    if isinstance(cut, Shell):
        return shell_field(actor.form, cut, rest)
    return rest[:, 1] - actor.form.leg_height(cut.hem)
