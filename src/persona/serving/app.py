"""The server's answers: the page, the avatar, motions, and the two WebSockets."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from persona.core.errors import InputError, PersonaError
from persona.export.page_files import PAGE_FILES, page_file
from persona.serving.hub import MOST_CLIENTS, Client, Hub
from persona.serving.schema import (
    Kind,
    kind_of,
    unpack_ack,
    unpack_camera,
    unpack_pose,
    unpack_settings,
    unpack_view,
)
from persona.serving.show import MOST_FILE_BYTES, Show
from persona.serving.studio import Studio
from persona.serving.webcam import Webcam

log = logging.getLogger(__name__)

BINARY: Final = "application/octet-stream"
MALFORMED: Final = 1007
"""WebSocket's code for a message that is not what it should be."""
TRY_LATER: Final = 1013


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """What the answers are made from."""

    show: Show
    hub: Hub
    webcam: Webcam | None = None
    """Follows pictures of a page's camera; None where the server does not."""
    vmc_port: int | None = None
    """Where VMC is heard."""
    studio: Studio | None = None
    """Draws for pages; None where they draw themselves."""
    background: tuple[Callable[[], contextlib.AbstractAsyncContextManager[None]], ...] = ()
    """Sources that run as long as the server does."""


def make_app(rooms: Rooms) -> Starlette:
    """Give the application, which `door.Door` stands in front of."""
    pages = {name: page_file(name) for name in PAGE_FILES}

    async def page(request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        return Response(pages[name], media_type=PAGE_FILES[name])

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for source in rooms.background:
                await stack.enter_async_context(source())
            yield

    answers = _Answers(rooms)
    app = Starlette(
        routes=[
            Route("/", page),
            *(Route(f"/{name}", _fixed(page, name)) for name in PAGE_FILES),
            Route("/start.json", answers.start),
            Route("/avatar.safetensors", answers.asset),
            Route("/photo", answers.photo),
            Route("/motion/{name}", answers.motion),
            Route("/motion", answers.send_motion, methods=["POST"]),
            WebSocketRoute("/live", answers.live),
            WebSocketRoute("/pose", answers.pose),
        ],
        exception_handlers={PersonaError: _refusal},
        lifespan=lifespan,
    )
    # A path is a file of the page or nothing; none is another's with a slash.
    app.router.redirect_slashes = False
    return app


def _fixed(page, name: str):
    async def answer(request: Request) -> Response:
        request.scope["path_params"] = {"name": name}
        return await page(request)

    return answer


async def _refusal(_: Request, error: Exception) -> Response:
    """Answer with what happened, why it is refused, and what to do now."""
    assert isinstance(error, PersonaError)
    return JSONResponse({"what": error.what, "why": error.why, "fix": error.fix}, status_code=422)


class _Answers:
    """One method for each route."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def start(self, _: Request) -> Response:
        rooms = self._rooms
        here = {
            "vmc": rooms.vmc_port,
            "webcam": rooms.webcam is not None,
            "render": "browser" if rooms.studio is None else "server",
        }
        return JSONResponse(rooms.show.start() | here)

    async def asset(self, _: Request) -> Response:
        return Response(self._rooms.show.asset, media_type=BINARY)

    async def photo(self, _: Request) -> Response:
        if self._rooms.show.photo is None:
            return Response("This avatar was served without its photo.", status_code=404)
        return Response(self._rooms.show.photo, media_type="image/jpeg")

    async def motion(self, request: Request) -> Response:
        name = request.path_params["name"]
        data = await asyncio.to_thread(self._rooms.show.motion, name)
        return Response(data, media_type=BINARY)

    async def send_motion(self, request: Request) -> Response:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > MOST_FILE_BYTES:
                raise InputError(
                    "the motion file is too large",
                    why=f"a page may send {MOST_FILE_BYTES >> 20} MB",
                    fix="convert it first: persona motion convert",
                )
        name = request.query_params.get("name", "")
        read = self._rooms.show.read_motion
        packed = await asyncio.to_thread(read, name, bytes(data))
        return Response(packed, media_type=BINARY)

    async def live(self, socket: WebSocket) -> None:
        """Show poses to a page, and take its acknowledgements, settings and camera."""
        hub = self._rooms.hub
        await socket.accept()
        if len(hub.clients) >= MOST_CLIENTS:
            await socket.close(TRY_LATER, f"{MOST_CLIENTS} viewers are here already")
            return
        client = Client(socket)
        hub.clients.add(client)
        pumping = asyncio.create_task(client.pump())
        try:
            if hub.notice:
                await client.say(hub.notice)
            await self._listen(socket, client)
        finally:
            hub.clients.discard(client)
            pumping.cancel()
            # Whoever left in the middle of a message has nothing to be told.
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await pumping
            if self._rooms.webcam is not None:
                self._rooms.webcam.release(client)
            if self._rooms.studio is not None:
                self._rooms.studio.leave(client)

    async def _listen(self, socket: WebSocket, client: Client) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self._take(client, message.get("bytes"), message.get("text"))
            except InputError as error:
                log.debug("a client was sent away: %s", error.what)
                await socket.close(MALFORMED, error.what[:100])
                return

    async def _take(self, client: Client, data: bytes | None, text: str | None) -> None:
        webcam = self._rooms.webcam
        if data is None:
            await self._set(client, unpack_settings(text or ""))
            return
        kind = kind_of(data)
        if kind is Kind.ACK:
            client.acknowledge(unpack_ack(data))
        elif kind is Kind.CAMERA and webcam is not None:
            time, jpeg = unpack_camera(data)
            webcam.show(client, time, jpeg)
        else:
            raise InputError(
                f"a page sent a message of kind {kind.name}",
                why="pages acknowledge, set, and send pictures of their camera",
                fix="send poses to /pose",
            )

    async def _set(self, client: Client, told: dict[str, Any]) -> None:
        webcam, studio = self._rooms.webcam, self._rooms.studio
        if "smoothing" in told:
            self._rooms.hub.smoother.strength = float(told["smoothing"])
        if webcam is not None and "webcam" in told:
            (webcam.claim if told["webcam"] else webcam.release)(client)
        if studio is not None and "motion" in told:
            await asyncio.to_thread(studio.act.play, told["motion"])
        if studio is not None and "view" in told:
            client.wants_poses = False
            studio.look(client, unpack_view(told["view"]))

    async def pose(self, socket: WebSocket) -> None:
        """Take poses from a program."""
        await socket.accept()
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._rooms.hub.publish(unpack_pose(message.get("bytes") or b""))
            except InputError as error:
                await socket.close(MALFORMED, error.what[:100])
                return
