"""A short film of a new avatar: a turn on the spot at ease, then a few steps."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from persona.animation.clips import clip
from persona.animation.grounding import ground_motion
from persona.avatar import Avatar
from persona.core.types import Image
from persona.export.video import VideoConfig, write_mp4
from persona.geometry.cameras import Camera
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians
from persona.records.motion import Motion
from persona.rendering import render
from persona.rendering.camera_paths import fit_camera

FPS = 24.0
"""Frames a second: enough to judge, a fifth less to draw than 30."""
TURN_SECONDS = 3.5
"""Of the turn around the person at ease."""
WALK_SECONDS = 3.0
"""Of walking, seen from the front and a little from the side."""
HEIGHT_PX = 512
"""Rows of the film."""
WIDTH_PX = 384
"""Columns."""
WALK_YAW = 0.55
"""From where the walk is seen [rad]."""


def write_preview(avatar: Avatar, path: Path) -> int:
    """Draw and write the film.

    Returns:
        Frames written.
    """
    turn, walk = round(TURN_SECONDS * FPS), round(WALK_SECONDS * FPS)
    return write_mp4(
        _frames(avatar, turn, walk), path, config=VideoConfig(fps=FPS), frame_count=turn + walk
    )


def _frames(avatar: Avatar, turn: int, walk: int) -> Iterator[Image]:
    idle = grounded(avatar, "idle")
    still = _posed(avatar, idle.params.frame(0))
    for k in range(turn):
        cloud = _posed(avatar, idle.params.frame(k % idle.frame_count))
        yield _drawn(cloud, _camera(still, 2 * math.pi * k / turn))
    steps = grounded(avatar, "walk")
    camera = _camera(still, WALK_YAW)
    for k in range(walk):
        params = steps.params.frame(k % steps.frame_count)
        # The camera goes along: the walk stays in the middle.
        on_the_spot = replace(params, transl=params.transl * torch.tensor([0.0, 1.0, 0.0]))
        yield _drawn(_posed(avatar, on_the_spot), camera)


def grounded(avatar: Avatar, name: str) -> Motion:
    """Give a built-in clip on the floor under this person."""
    return ground_motion(clip(name, fps=FPS), avatar.body, avatar.identity)


def _posed(avatar: Avatar, params: BodyParams) -> Gaussians:
    source = avatar.photo_params
    return avatar.pose(replace(params, expression=source.expression, jaw_pose=source.jaw_pose))


def _camera(cloud: Gaussians, yaw: float) -> Camera:
    # Framed once for all sides, with room for swinging arms.
    camera = fit_camera(cloud.means, width=WIDTH_PX, height=HEIGHT_PX, yaw=yaw, margin=0.09)
    return camera


def _drawn(cloud: Gaussians, camera: Camera) -> Image:
    return render(cloud, camera, background=torch.ones(3), maps=False).color.clamp(0, 1)
