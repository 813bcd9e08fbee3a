"""Poses that the server plays by itself: a motion file, a video, a camera of this machine."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import torch

from persona.animation.choice import motion_from
from persona.animation.performance import perform
from persona.avatar.avatar import Avatar
from persona.core.errors import PersonaError
from persona.core.progress import current
from persona.images.clips import camera_frames, is_clip, open_clip
from persona.serving.hub import Hub
from persona.serving.schema import SentPose
from persona.serving.webcam import sent_pose
from persona.tracking.live import live_poses, paced

FPS = 30.0
"""Poses a second of a motion."""


def poses_of(source: str, avatar: Avatar) -> Iterator[SentPose]:
    """Give poses at their own pace: a motion again and again, a video or camera until its end.

    Args:
        source: Name of a built-in motion, path of a motion file or a video, number of a camera.
        avatar: Who does it.

    Raises:
        InputError: It is none of these, or nobody is seen.
    """
    if source.isdigit() or is_clip(source):
        frames = (
            camera_frames(int(source))
            if source.isdigit()
            else paced(open_clip(Path(source)).frames())
        )
        for pose in live_poses(frames, body=avatar.body, identity=avatar.identity):
            if pose.seen:
                yield sent_pose(pose, avatar)
        return
    with torch.no_grad():
        motion = perform(avatar, motion_from(source, fps=FPS))
    pose = motion.params.full_pose.numpy().astype(np.float32)
    transl = motion.params.transl.numpy().astype(np.float32)
    face = motion.params.expression.numpy().astype(np.float32)
    begin, shown = time.monotonic(), 0
    while True:
        ahead = begin + shown / FPS - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        k = shown % motion.frame_count
        yield SentPose(
            sequence=0, time=shown / FPS, rotations=pose[k], transl=transl[k], expression=face[k]
        )
        shown += 1


@contextlib.asynccontextmanager
async def play_source(source: str, avatar: Avatar, hub: Hub) -> AsyncIterator[None]:
    """Publish `poses_of` from a thread for as long as the context lasts."""
    loop = asyncio.get_running_loop()
    over = threading.Event()
    voice = current()

    def play() -> None:
        try:
            for pose in poses_of(source, avatar):
                if over.is_set():
                    return
                loop.call_soon_threadsafe(hub.publish, pose)
        except PersonaError as error:
            voice.warn(str(error))
            said = f"{source} gives no poses: {error.what}: {error.why}. {error.fix}."
            asyncio.run_coroutine_threadsafe(hub.tell(said), loop)

    threading.Thread(target=play, daemon=True).start()
    try:
        yield
    finally:
        over.set()
