"""A short film of a new avatar: seen from all sides at ease, then walking."""

from collections.abc import Iterator
from pathlib import Path

import torch

from persona.animation.clips import clip
from persona.animation.framing import View, frame_motion
from persona.animation.performance import perform
from persona.animation.player import draw
from persona.animation.resampling import loop_for
from persona.avatar import Avatar
from persona.core.types import Image
from persona.export.video import VideoConfig, write_mp4

FPS = 20.0
"""Frames a second: enough to judge by, and a third less to draw than 30."""
SCENES: tuple[tuple[str, View, float], ...] = (("idle", "turntable", 2.4), ("walk", "follow", 2.4))
"""Clip, camera and length [s]."""
HEIGHT_PX = 512
"""Rows of the film."""
WIDTH_PX = 384
"""Columns: a walking person with swinging arms."""


def write_preview(avatar: Avatar, path: Path) -> int:
    """Draw and write the film.

    Returns:
        Frames written.
    """
    count = sum(round(seconds * FPS) for _, _, seconds in SCENES)
    config = VideoConfig(fps=FPS, crf=20, preset="veryfast")
    return write_mp4(_frames(avatar), path, config=config, frame_count=count)


def _frames(avatar: Avatar) -> Iterator[Image]:
    for name, view, seconds in SCENES:
        motion = loop_for(perform(avatar, clip(name, fps=FPS)), seconds=seconds)
        cameras = frame_motion(avatar, motion, view, height=HEIGHT_PX, width=WIDTH_PX)
        yield from draw(avatar, motion, cameras, background=torch.ones(3))
