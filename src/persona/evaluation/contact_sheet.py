"""One picture that shows an avatar from everywhere: the instrument for judging by eye."""

import base64
import io
import math
import textwrap
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from persona.avatar import Avatar
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES
from persona.core.types import Image
from persona.evaluation.photo_metrics import photo_window
from persona.evaluation.poses import all_test_poses, standing, with_expression_of
from persona.geometry.cameras import Camera
from persona.records.gaussians import Gaussians
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.rendering import render
from persona.rendering.camera_paths import fit_camera, turntable

TILE_WIDTH: Final = 330
"""Columns of one picture on the sheet [px]."""
TILE_HEIGHT: Final = 470
"""Rows of one picture [px]: figures are a little over 400 tall."""
LABEL_HEIGHT: Final = 26
"""Rows under each picture for its words [px]."""
YAW_COUNT: Final = 8
"""Sides from which the photo's pose is shown."""
POSE_YAWS: Final = (20.0, 160.0)
"""From where each test pose is shown: front and back, both a little from the side [deg]."""
HEAD_YAWS: Final = {
    "front": 0.0,
    "40° left": 40.0,
    "40° right": -40.0,
    "profile": 90.0,
    "back": 180.0,
}
"""From where the head is shown [deg]."""
LABEL_SIZE: Final = 18
"""Height of letters [px]."""
JPEG_QUALITY: Final = 88
"""Of the pictures inside the page."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture of the sheet."""

    label: str
    """Words under it."""
    image: Image
    """Any size; it is fitted into the tile."""


def avatar_rows(
    avatar: Avatar, photo: Photo | None = None, observation: Observation | None = None
) -> list[list[Tile]]:
    """Draw everything there is to look at, in three rows: around, in motion, near.

    Args:
        avatar: Whom to look at.
        photo: Shown first where it is at hand, beside the avatar from the same camera.
        observation: Needed with ``photo``, to cut the person out of it.
    """
    around = []
    if photo is not None and observation is not None:
        picture, _, camera = photo_window(photo, observation, avatar.photo_camera)
        again = avatar.render(avatar.photo_params, camera, background=torch.ones(3)).color
        around = [Tile(label="photo", image=picture), Tile(label="avatar, same view", image=again)]
    around += turntable_tiles(avatar, YAW_COUNT)
    return [around, pose_tiles(avatar), [*head_tiles(avatar), *hand_tiles(avatar)]]


def turntable_tiles(avatar: Avatar, count: int) -> list[Tile]:
    """Show the photo's pose from ``count`` sides."""
    cloud = avatar.pose(avatar.photo_params)
    cameras = turntable(cloud.means, count, width=TILE_WIDTH, height=TILE_HEIGHT)
    step = 360 / count
    return [
        Tile(label=f"{k * step:.0f}°", image=_drawn(cloud, camera))
        for k, camera in enumerate(cameras)
    ]


def pose_tiles(avatar: Avatar, *, yaws: tuple[float, ...] = POSE_YAWS) -> list[Tile]:
    """Show the test poses."""
    tiles = []
    for name, params in all_test_poses().items():
        cloud = avatar.pose(with_expression_of(params, avatar.photo_params))
        for yaw in yaws:
            camera = _framed(cloud, yaw)
            side = "" if abs(yaw) < 90 else ", back"
            tiles.append(Tile(label=f"{name}{side}", image=_drawn(cloud, camera)))
    return tiles


def head_tiles(avatar: Avatar) -> list[Tile]:
    """Show the head near, from `HEAD_YAWS`."""
    cloud = avatar.pose(with_expression_of(standing(), avatar.photo_params))
    on_head = _carried_by(avatar, ("neck", "head", "jaw", "left_eye", "right_eye"))
    # A stray Gaussian must not push the camera away.
    return [
        Tile(label=f"head, {name}", image=_drawn(cloud, _near(cloud, on_head, yaw)))
        for name, yaw in HEAD_YAWS.items()
    ]


def hand_tiles(avatar: Avatar) -> list[Tile]:
    """Show both hands and the feet near."""
    cloud = avatar.pose(standing())
    tiles = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        fingers = tuple(n for n in JOINT_NAMES[25:] if n.startswith(side))
        hand = _carried_by(avatar, (f"{side}_wrist", *fingers))
        for name, yaw in (("front", 10.0), ("outside", 75.0)):
            camera = _near(cloud, hand, sign * yaw)
            tiles.append(Tile(label=f"{side} hand, {name}", image=_drawn(cloud, camera)))
    feet = _carried_by(avatar, ("left_ankle", "right_ankle", "left_foot", "right_foot"))
    tiles.append(Tile(label="shoes", image=_drawn(cloud, _near(cloud, feet, 30.0, pitch=12.0))))
    return tiles


def sheet(
    rows: list[list[Tile]], *, title: str, width: int = TILE_WIDTH, height: int = TILE_HEIGHT
) -> Pillow.Image:
    """Lay tiles out on white, row by row, each with its label."""
    columns = max(len(row) for row in rows)
    step = height + LABEL_HEIGHT
    # About two letters fit in the width of one letter's height.
    lines = textwrap.wrap(title, max(20, 2 * columns * width // LABEL_SIZE)) or [""]
    head = len(lines) * LABEL_HEIGHT + 8
    page = Pillow.new("RGB", (columns * width, len(rows) * step + head), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(LABEL_SIZE)
    for number, line in enumerate(lines):
        draw.text((8, 4 + number * LABEL_HEIGHT), line, fill="black", font=font)
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            picture = to_pillow(tile.image)
            factor = min(width / picture.width, height / picture.height)
            size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
            picture = picture.resize(size, Pillow.Resampling.LANCZOS)
            left, top = c * width, r * step + head
            page.paste(picture, (left + (width - size[0]) // 2, top + (height - size[1]) // 2))
            draw.text((left + 8, top + height + 2), tile.label, fill=(70, 70, 70), font=font)
    return page


def to_pillow(image: Image) -> Pillow.Image:
    """Give a picture as Pillow has them."""
    return Pillow.fromarray((image.detach().clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8))


def as_data_url(image: Image) -> str:
    """Give a picture as text that a page can hold, without any metadata."""
    data = io.BytesIO()
    to_pillow(image).save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _drawn(cloud: Gaussians, camera: Camera) -> Image:
    return render(cloud, camera, background=torch.ones(3), maps=False).color


def _framed(cloud: Gaussians, yaw_deg: float) -> Camera:
    yaw = math.radians(yaw_deg)
    return fit_camera(cloud.means, width=TILE_WIDTH, height=TILE_HEIGHT, yaw=yaw)


def _near(cloud: Gaussians, chosen: torch.Tensor, yaw_deg: float, *, pitch: float = 0.0) -> Camera:
    points = cloud.means[chosen]
    # The outermost hundredth may be stray; it must not push the camera away.
    low, high = points.quantile(0.01, dim=0), points.quantile(0.99, dim=0)
    return fit_camera(
        points.clamp(low, high),
        width=TILE_WIDTH,
        height=TILE_HEIGHT,
        yaw=math.radians(yaw_deg),
        pitch=math.radians(pitch),
        margin=0.10,
    )


def _carried_by(avatar: Avatar, joints: tuple[str, ...]) -> torch.Tensor:
    ids = torch.tensor([JOINT_IDS[name] for name in joints])
    return torch.isin(avatar.binding.bone_ids[:, 0], ids)
