"""Draw the avatar for pages that cannot: every page has its own camera, and its own pace."""

import asyncio
import contextlib
import io
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import lru_cache
from typing import Final

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from persona.animation.player import draw_frame
from persona.avatar.avatar import Avatar
from persona.avatar.rates import RateTracker
from persona.geometry.cameras import Camera
from persona.records.body_params import BodyParams
from persona.serving.act import Act
from persona.serving.hub import MOST_UNACKNOWLEDGED, Client
from persona.serving.schema import pack_picture

FPS: Final = 30.0
"""Most pictures a second; two cores draw about twenty of 360 x 480."""
JPEG_QUALITY: Final = 85
MIDDLE, RIM = (0.45, 0.44, 0.45), (0.2, 0.19, 0.2)
"""sRGB of the background, as the page's studio has it."""


class Studio:
    """One thread that poses the avatar once and draws it for each page that has room for more."""

    def __init__(self, avatar: Avatar, motion: str) -> None:
        self.act = Act(avatar, motion)
        """What the person does."""
        self._avatar = avatar
        self._cameras: dict[Client, Camera] = {}
        self._changed = threading.Condition()
        self._over = False
        self._sequence = 0

    def look(self, client: Client, camera: Camera) -> None:
        """Draw for a page from now on, as seen by a camera that goes along with the person."""
        with self._changed:
            self._cameras[client] = camera
            self._changed.notify()

    def leave(self, client: Client) -> None:
        """Draw no more for a page."""
        with self._changed:
            self._cameras.pop(client, None)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Draw for as long as the context lasts."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._draw, args=(loop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._over = True
                self._changed.notify()
            await asyncio.to_thread(thread.join)

    def _draw(self, loop: asyncio.AbstractEventLoop) -> None:
        tracker, before = RateTracker(), time.monotonic()
        while (wanted := self._wanted()) is not None:
            now = time.monotonic()
            params = self.act.at(now)
            with torch.no_grad():
                rates = tracker.step(params, max(now - before, 1e-3))
                rates = rates if self._avatar.feels_motion else None
                posed = self._avatar.pose(params, rates=rates)
                for client, given in wanted:
                    camera = _beside(given, params)
                    back = _backdrop(camera.width, camera.height)
                    picture = draw_frame(posed, camera, background=back)
                    self._sequence = (self._sequence + 1) & 0xFFFFFFFF
                    data = pack_picture(self._sequence, now, _jpeg(picture))
                    loop.call_soon_threadsafe(client.offer, self._sequence, data)
            before = now
            time.sleep(max(0.0, now + 1 / FPS - time.monotonic()))

    def _wanted(self) -> list[tuple[Client, Camera]] | None:
        """Wait for pages with room; None when all is over."""
        with self._changed:
            while not self._over:
                found = [
                    (client, camera)
                    for client, camera in self._cameras.items()
                    if client.behind < MOST_UNACKNOWLEDGED
                ]
                if found:
                    return found
                # Acknowledgements do not notify: they come in the event loop, which never waits.
                self._changed.wait(0.5 / FPS)
        return None


def _beside(camera: Camera, params: BodyParams) -> Camera:
    """Let a camera go along with who walks."""
    T = camera.T_camera_world.clone()
    step = params.transl * params.transl.new_tensor([1.0, 0.0, 1.0])
    T[:3, 3] -= T[:3, :3] @ step
    return replace(camera, T_camera_world=T)


@lru_cache(maxsize=8)
def _backdrop(width: int, height: int) -> Float[Tensor, "height width 3"]:
    """Paint a background that darkens towards the rim."""
    x = torch.linspace(-1, 1, width)[None, :]
    y = torch.linspace(-1, 1, height)[:, None]
    share = ((x.square() + y.square()).sqrt() / 1.2).clamp(0, 1)[..., None]
    return torch.lerp(torch.tensor(MIDDLE), torch.tensor(RIM), share)


def _jpeg(picture: Float[Tensor, "h w 3"]) -> bytes:
    file = io.BytesIO()
    pixels = (picture * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
