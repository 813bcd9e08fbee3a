"""Draw a track over the film it came from: the body, its bones, and where feet stand."""

from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.body import SmplxBody
from persona.body.skeleton import BODY_JOINTS, JOINT_NAMES, PARENTS
from persona.geometry.cameras import Camera
from persona.images.clips import Frame
from persona.rendering.body_maps import draw_body_maps
from persona.tracking.track import Track

LIGHT: Final = (-0.35, -0.5, -0.8)
"""Direction towards the lamp, camera frame: from the viewer's upper left."""
CLAY: Final = (0.62, 0.72, 0.90)
"""Colour of the body, sRGB."""
COVER: Final = 0.45
"""Opacity of the body."""
LEFT, RIGHT, MIDDLE = (255, 90, 90), (90, 150, 255), (90, 220, 90)
"""Colours of bones."""
SIDE: Final = 960
"""Longest side of the overlay [px]."""
STANDING: Final = (255, 230, 60)
"""Colour of joints of feet that stand."""


def draw_overlay(
    body: SmplxBody, track: Track, frames: Iterable[Frame]
) -> Iterator[Float[Tensor, "h w 3"]]:
    """Draw the body over every frame, at the track's rate; frames before and after stay bare.

    Args:
        body: The body file.
        track: What was found.
        frames: The clip once more.
    """
    count, shown = track.own.frame_count, 0
    for frame in frames:
        small = _shrunk(frame.picture)
        if frame.time < float(track.times[0]) - 1e-6 or shown == count:
            yield torch.from_numpy(small).float() / 255
            continue
        # Of several track frames between two pictures the last is drawn on the later picture.
        while shown < count - 1 and float(track.times[shown + 1]) <= frame.time + 1e-6:
            shown += 1
        yield torch.from_numpy(_drawn(body, track, shown, small)).float() / 255
        shown += shown == count - 1


def _shrunk(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "sh sw 3"]:
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (2 * round(width * scale / 2), 2 * round(height * scale / 2))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _drawn(
    body: SmplxBody, track: Track, index: int, picture: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    height, width = picture.shape[:2]
    scale = width / track.size[0]
    camera = Camera(
        width=width,
        height=height,
        focal_px=track.focal_px * scale,
        center_px=(width / 2, height / 2),
        T_camera_world=track.T_camera_world[index],
    )
    posed = body.forward(
        track.own.params.frame(index),
        joint_offsets=track.identity.joint_offsets,
        vertex_offsets=track.identity.vertex_offsets,
        with_pose_correctives=False,
    )
    maps = draw_body_maps(posed.vertices, body.faces, camera)
    light = torch.nn.functional.normalize(torch.tensor(LIGHT), dim=0)
    shade = 0.45 + 0.55 * (maps.normal @ light).clamp(min=0)
    clay = (255 * shade[..., None] * torch.tensor(CLAY)).numpy()
    cover = (COVER * maps.mask.float())[..., None].numpy()
    drawn = (picture * (1 - cover) + clay * cover).astype(np.uint8)
    pixels, depth = camera.project(posed.joints[list(BODY_JOINTS)])
    if float(depth.min()) > 0:
        _draw_bones(drawn, pixels.numpy(), track.standing[index].any(-1).tolist())
    return drawn


def _draw_bones(
    picture: UInt8[np.ndarray, "h w 3"], pixels: Float[np.ndarray, "j 2"], stands: list[bool]
) -> None:
    thick = max(1, round(max(picture.shape[:2]) / 400))
    limit = 8 * max(picture.shape[:2])
    places = [tuple(int(v) for v in place.clip(-limit, limit)) for place in pixels]
    for joint in BODY_JOINTS[1:]:
        name = JOINT_NAMES[joint]
        color = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
        cv2.line(picture, places[PARENTS[joint]], places[joint], color, thick, cv2.LINE_AA)
    for side, standing in zip(("left", "right"), stands, strict=True):
        if standing:
            place = places[JOINT_NAMES.index(f"{side}_foot")]
            cv2.circle(picture, place, 3 * thick, STANDING, -1, cv2.LINE_AA)
