"""Follow the person in a page's webcam: pictures in, poses out, nothing kept."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Final

import numpy as np

from persona.avatar.avatar import Avatar
from persona.core.errors import PersonaError
from persona.images.clips import Frame
from persona.images.files import decode_image
from persona.serving.hub import Client, Hub
from persona.serving.schema import SentPose
from persona.tracking.live import LivePose, live_poses

WAITING: Final = 2
"""Pictures that may wait; the oldest goes when more come."""


class Webcam:
    """At most one page is followed at a time, by a thread of its own."""

    def __init__(self, avatar: Avatar, hub: Hub) -> None:
        self._avatar, self._hub = avatar, hub
        self._owner: Client | None = None
        self._pictures: queue.Queue[tuple[float, bytes] | None] | None = None
        self._speaking: set[asyncio.Task[None]] = set()

    def claim(self, client: Client) -> None:
        """Begin to follow a page's pictures; another one is let go."""
        if self._owner is client:
            return
        if self._owner is not None:
            self.release(self._owner)
        self._owner, self._pictures = client, queue.Queue()
        loop = asyncio.get_running_loop()
        args = (self._pictures, client, loop)
        threading.Thread(target=self._follow, args=args, daemon=True).start()
        self._say(client, "Looking for you: stand still, seen from head to feet.")

    def release(self, client: Client) -> None:
        """Stop following a page, if it is the one."""
        if self._owner is not client:
            return
        if self._pictures is not None:
            self._pictures.put(None)
        self._owner = self._pictures = None

    def show(self, client: Client, time: float, jpeg: bytes) -> None:
        """Take a picture; a late one gives way."""
        if self._owner is not client or self._pictures is None:
            return
        # The follower may take it first.
        while self._pictures.qsize() >= WAITING:
            with contextlib.suppress(queue.Empty):
                self._pictures.get_nowait()
        self._pictures.put((time, jpeg))

    def _follow(
        self,
        pictures: "queue.Queue[tuple[float, bytes] | None]",
        client: Client,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        said = "The webcam is off."
        try:
            found = live_poses(
                _frames(pictures), body=self._avatar.body, identity=self._avatar.identity
            )
            seen = False
            for pose in found:
                if pose.seen != seen:
                    seen = pose.seen
                    text = "You are followed." if seen else "You are out of sight."
                    loop.call_soon_threadsafe(self._say, client, text)
                if pose.seen:
                    loop.call_soon_threadsafe(self._hub.publish, sent_pose(pose, self._avatar))
        except PersonaError as error:
            said = f"{error.what}: {error.why}. {error.fix}."
        loop.call_soon_threadsafe(self._say, client, said)

    def _say(self, client: Client, text: str) -> None:
        if client not in self._hub.clients:
            return
        task = asyncio.ensure_future(client.say(text))
        self._speaking.add(task)
        task.add_done_callback(self._speaking.discard)


def sent_pose(pose: LivePose, avatar: Avatar) -> SentPose:
    """Give a tracked pose as it is sent, on top of the face that the avatar keeps."""
    face = avatar.photo_params.expression
    expression = pose.expression.clone()
    width = min(len(face), len(expression))
    expression[:width] += face[:width]
    return SentPose(
        sequence=0,
        time=pose.time,
        rotations=pose.pose.numpy().astype(np.float32),
        transl=pose.transl.numpy().astype(np.float32),
        expression=expression.numpy().astype(np.float32),
    )


def _frames(pictures: "queue.Queue[tuple[float, bytes] | None]") -> Iterator[Frame]:
    last = -1.0
    while (taken := pictures.get()) is not None:
        time, jpeg = taken
        if time <= last:
            continue
        last = time
        rgb = decode_image(jpeg, "the webcam's picture").rgb
        yield Frame((rgb * 255).round().byte().numpy(), time)
