"""Hand poses to everybody who looks: the latest wins, and nobody is more than two behind."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

from persona.serving.schema import SentPose, pack_pose
from persona.serving.smoothing import PoseSmoother

MOST_UNACKNOWLEDGED: Final = 2
"""Messages on their way to one client; a slow viewer is late by these and no more."""
MOST_CLIENTS: Final = 64
"""Viewers at once."""


@runtime_checkable
class Socket(Protocol):
    """What a client is reached by."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        ...

    async def send_text(self, data: str) -> None:
        """Send a text."""
        ...


class Client:
    """One viewer: what waits for them, and what they have not acknowledged yet."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._latest: tuple[int, bytes] | None = None
        self._going: deque[bytes] = deque()
        self._unacknowledged: set[int] = set()
        self._changed = asyncio.Event()
        self.wants_poses = True
        """Whether it draws poses itself; other pages get pictures."""
        self.skipped = 0
        """Messages that a later one replaced before they could be sent."""
        self.sent = 0
        """Messages sent."""

    def offer(self, sequence: int, data: bytes) -> None:
        """Send a message if there is room, or let it wait in the one place there is."""
        self.skipped += self._latest is not None
        self._latest = (sequence, data)
        self._go_on()

    @property
    def behind(self) -> int:
        """Messages that wait or that are not acknowledged."""
        return len(self._unacknowledged) + (self._latest is not None)

    def acknowledge(self, sequence: int) -> None:
        """Note that a message has been shown; a number never sent is ignored."""
        self._unacknowledged.discard(sequence)
        self._go_on()

    def _go_on(self) -> None:
        # At once, and not when the pump comes to it: two poses in one breath are no reason to skip.
        if self._latest is not None and len(self._unacknowledged) < MOST_UNACKNOWLEDGED:
            (sequence, data), self._latest = self._latest, None
            self._unacknowledged.add(sequence)
            self._going.append(data)
            self._changed.set()

    async def say(self, text: str) -> None:
        """Tell the viewer something in words."""
        await self._socket.send_text(json.dumps({"say": text}))

    async def pump(self) -> None:
        """Send what comes, for as long as the viewer stays."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._going:
                self.sent += 1
                await self._socket.send_bytes(self._going.popleft())


class Hub:
    """All viewers, and what all of them see. Lives in one event loop."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.smoother = PoseSmoother()
        """What poses pass through; its strength is set by pages."""
        self.also: list[Callable[[SentPose], None]] = []
        """Told of every pose, smoothed: VMC out, drawing on the server."""
        self.notice = ""
        """What was last said to everybody; who comes later hears it too."""
        self._sequence = 0

    def publish(self, pose: SentPose) -> None:
        """Show a pose to everybody."""
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        shown = replace(self.smoother(pose), sequence=self._sequence)
        data = pack_pose(shown)
        for client in self.clients:
            if client.wants_poses:
                client.offer(self._sequence, data)
        for listener in self.also:
            listener(shown)

    async def tell(self, text: str) -> None:
        """Say something to everybody, now and when they come; who has just left misses it."""
        self.notice = text
        sends: list[Awaitable[None]] = [client.say(text) for client in self.clients]
        await asyncio.gather(*sends, return_exceptions=True)
