"""The pictures of a report: photo, mask, parts, fit, and the avatar from all sides."""

from typing import Final

import torch
from jaxtyping import Float, Int
from PIL import Image as Pillow
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.cloth import predict_clip
from persona.core.types import Image, Mask
from persona.evaluation.contact_sheet import (
    Tile,
    hand_tiles,
    head_tiles,
    pose_tiles,
    to_pillow,
    turntable_tiles,
)
from persona.evaluation.photo_metrics import photo_window
from persona.fitting.report import draw_fit
from persona.perception.wardrobe_picture import draw_wardrobe
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet
from persona.records.observation import Observation, Part
from persona.records.photo import Photo
from persona.records.wardrobe import Wardrobe
from persona.rendering.camera_paths import fit_camera
from persona.rendering.compositing import over

PART_COLORS: Final = {
    Part.BACKGROUND: (1.0, 1.0, 1.0),
    Part.SKIN: (0.93, 0.66, 0.52),
    Part.HAIR: (0.45, 0.28, 0.16),
    Part.UPPER: (0.27, 0.51, 0.71),
    Part.LOWER: (0.42, 0.56, 0.35),
    Part.SHOES: (0.55, 0.35, 0.60),
}
"""How parts are drawn."""
DIFFERENCE_GAIN: Final = 4.0
"""Differences are drawn this many times stronger."""
CLOTH_FRAMES: Final = 7
"""Moments in which moving clothes are compared."""
CLOTH_WIDTH: Final = 240
"""Columns of such a picture [px]."""
CLOTH_HEIGHT: Final = 330
"""Rows [px]."""
CLOTH_YAW: Final = 0.45
"""Where it is seen from, a little to the left of front [rad]."""


def photo_tiles(photo: Photo, observation: Observation, avatar: Avatar) -> list[Tile]:
    """Show what came in and what was seen in it: photo, cut-out, parts."""
    picture, mask, _ = photo_window(photo, observation, avatar.photo_camera)
    parts = _window_parts(observation, mask)
    cut = picture * mask[..., None] + (1 - mask[..., None])
    return [
        Tile(label="photo", image=picture),
        Tile(label=f"person (mask from {observation.mask_source})", image=cut),
        Tile(label="parts", image=parts),
    ]


def comparison_tiles(photo: Photo, observation: Observation, avatar: Avatar) -> list[Tile]:
    """Show the avatar from the photo's camera, and where it differs."""
    picture, mask, camera = photo_window(photo, observation, avatar.photo_camera)
    drawn = avatar.render(avatar.photo_params, camera, background=torch.ones(3)).color
    person = picture * mask[..., None] + (1 - mask[..., None])
    difference = 1 - (DIFFERENCE_GAIN * (drawn - person).abs()).clamp(0, 1)
    return [
        Tile(label="person", image=person),
        Tile(label="avatar", image=drawn),
        Tile(label=f"difference, {DIFFERENCE_GAIN:.0f} times", image=difference),
    ]


def fit_tiles(photo: Photo, observation: Observation, fit: BodyFit, avatar: Avatar) -> list[Tile]:
    """Show the naked body over the photo with its misses, and turned to the side."""
    drawn = draw_fit(photo, observation, avatar.body, fit)
    label = "photo; the fitted body, landmarks and misses; turned by 45° and 90°"
    return [Tile(label=label, image=drawn)]


def garment_tiles(photo: Photo, observation: Observation, wardrobe: Wardrobe) -> list[Tile]:
    """Show hems, sleeve ends, waist, neckline and long hair as lines on the photo."""
    drawn = draw_wardrobe(photo, observation, wardrobe)
    label = "red: hems; blue: sleeves, top; yellow: waist; green: neckline; violet: hair"
    return [Tile(label=label, image=drawn)]


def around_tiles(avatar: Avatar) -> list[Tile]:
    """Show the photo's pose from eight sides."""
    return turntable_tiles(avatar, 8)


def motion_tiles(avatar: Avatar) -> list[Tile]:
    """Show T-pose, walk, squat and arms up, front and back."""
    return pose_tiles(avatar)


def cloth_tiles(avatar: Avatar, frames: FrameSet) -> list[Tile]:
    """Show the held-out motion at its liveliest: stiff, learned, baked and simulated, from the top.

    Empty where the avatar has learned nothing or no motion was held out.
    """
    clips = [clip for clip in frames.held_out if clip.offsets is not None]
    if avatar.cloth is None or not clips:
        return []
    clip = clips[0]
    assert clip.offsets is not None
    ways = {
        "stiff": torch.zeros_like(clip.offsets),
        "learned": predict_clip(avatar.cloth.deformation, clip),
        "baked": predict_clip(avatar.cloth.correctives, clip),
        "simulated": clip.offsets,
    }
    tiles = []
    for frame in _lively_frames(clip.offsets):
        params = clip.motion.params.frame(frame)
        camera = fit_camera(
            avatar.pose(params).means, width=CLOTH_WIDTH, height=CLOTH_HEIGHT, yaw=CLOTH_YAW
        )
        drawn = []
        for offsets in ways.values():
            moved = avatar.cloth.slopes.carry(offsets[frame])
            picture = avatar.draw(params, camera, gaussian_offsets=moved)
            drawn.append(over(picture.image.permute(1, 2, 0), picture.alpha, torch.ones(3)))
        tiles.append(Tile(label=", ".join(ways), image=torch.cat(drawn).clamp(0, 1)))
    return tiles


def _lively_frames(offsets: Float[Tensor, "t k 3"]) -> list[int]:
    """Pick the frame of each part of a clip in which cloth is farthest from the skin."""
    far = offsets.norm(dim=-1).mean(1)
    ids = torch.arange(len(far)).tensor_split(CLOTH_FRAMES)
    return [int(part[far[part].argmax()]) for part in ids if len(part)]


def near_tiles(avatar: Avatar) -> list[Tile]:
    """Show head, hands and shoes."""
    return [*head_tiles(avatar), *hand_tiles(avatar)]


def _window_parts(observation: Observation, mask: Mask) -> Image:
    """Colour the parts inside the same window as the photo's."""
    height, width = mask.shape
    parts: Int[Tensor, "h w"] = observation.parts
    palette = torch.tensor([PART_COLORS[part] for part in Part])
    colored = palette[parts.long()]
    left, top, right, bottom = observation.box
    margin = 0.06 * (bottom - top)
    box = (left - margin, top - margin, right + margin, bottom + margin)
    page = to_pillow(colored).transform(
        (width, height),
        Pillow.Transform.EXTENT,
        box,
        Pillow.Resampling.NEAREST,
        fillcolor=(255, 255, 255),
    )
    return (
        torch.frombuffer(bytearray(page.tobytes()), dtype=torch.uint8).reshape(height, width, 3)
        / 255
    )
