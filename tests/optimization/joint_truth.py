"""A person with a pattern all over, whose pictures in any pose and from any side are known."""

from dataclasses import fields, replace

import torch

from persona.animation.wander import wander
from persona.avatar import Avatar
from persona.avatar.rates import at_rest, joint_rates
from persona.avatar.slopes import Moved
from persona.geometry.cameras import Camera, look_at, photo_camera
from persona.records.body_params import BodyParams
from persona.records.frame_set import PHOTO, Clip, Picture, picture_from
from persona.records.motion import Motion
from persona.rendering import render
from tests.plain_avatar import make_plain_avatar

MIDDLE = torch.tensor([0.0, 0.0, -4.0])
"""Where the person stands [m]."""
HEIGHT = 128
"""Rows of a picture [px]."""


def patterned(count: int = 3_000) -> Avatar:
    """Paint soft stripes of about 25 cm over the plain person."""
    plain = make_plain_avatar(count)
    means = plain.canonical.means
    waves = torch.sin(means * torch.tensor([25.0, 22.0, 25.0]) + torch.tensor([0.0, 1.0, 2.0]))
    colors = (plain.canonical.colors + 0.18 * waves).clamp(0.05, 0.95)
    return replace(plain, canonical=replace(plain.canonical, colors=colors))


def recolored(avatar: Avatar, colors: torch.Tensor) -> Avatar:
    """The same person in other colours."""
    return replace(avatar, canonical=replace(avatar.canonical, colors=colors))


def around(angle: float, *, height: int = HEIGHT) -> Camera:
    """A camera at four metres, turned about the person by an angle [rad]."""
    turned = torch.tensor([torch.tensor(angle).sin(), 0.05, torch.tensor(angle).cos()])
    camera = photo_camera(height, height, 1.7 * height)
    return replace(camera, T_camera_world=look_at(MIDDLE + 4.0 * turned, MIDDLE))


def shown(
    avatar: Avatar,
    params: BodyParams,
    camera: Camera,
    *,
    frame: int = 0,
    offsets: torch.Tensor | Moved | None = None,
    maps: bool = True,
    trust: float = 1.0,
) -> Picture:
    """What a perfect generator would have made of a pose."""
    posed = avatar.pose(params, gaussian_offsets=offsets)
    labels = torch.nn.functional.one_hot(avatar.parts.long(), 6)[:, 1:].float()
    drawn = render(posed, camera, extra_features=labels)
    straight = drawn.color / drawn.alpha.clamp(min=0.05)[..., None]
    solid = drawn.alpha > 0.5
    parts = torch.where(solid, drawn.extra.argmax(-1) + 1, 0)
    unit = torch.nn.functional.normalize(drawn.normal, dim=-1)
    return picture_from(
        frame,
        camera,
        straight,
        drawn.alpha,
        depth=torch.where(solid, drawn.depth, 0.0) if maps else None,
        normal=unit * solid[..., None] if maps else None,
        parts=parts if maps else None,
        trust=trust,
    )


def one_frame(params: BodyParams) -> Motion:
    batched = replace(params, **{f.name: getattr(params, f.name)[None] for f in fields(params)})
    return Motion(params=batched, fps=1.0)


def photo_of(avatar: Avatar, *, camera: Camera | None = None) -> Clip:
    """The photo: the person's own pose, from the front, without depth and normals."""
    picture = shown(avatar, avatar.photo_params, camera or around(0.0))
    picture = replace(picture, depth_m=None, normal_8=None)
    return Clip(
        source=PHOTO,
        motion=one_frame(avatar.photo_params),
        rates=at_rest(),
        pictures=(picture,),
    )


def moving(avatar: Avatar, seconds: float, *, fps: float, seed: int) -> Motion:
    """A motion on the spot, where the cameras look."""
    motion = wander(seconds, fps=fps, seed=seed)
    place = avatar.photo_params.transl.expand(motion.frame_count, 3)
    return replace(motion, params=replace(motion.params, transl=place))


def clip_of(avatar: Avatar, motion: Motion, pictures, **kwargs) -> Clip:
    return Clip(
        source="planted",
        motion=motion,
        rates=joint_rates(motion),
        pictures=tuple(pictures),
        **kwargs,
    )
