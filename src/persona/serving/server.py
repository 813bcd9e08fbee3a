"""Run the live page on this machine: address, token, and uvicorn behind the door."""

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from persona.core.errors import InputError
from persona.serving.app import Rooms, make_app
from persona.serving.door import Door
from persona.serving.schema import MOST_BYTES

HOST: Final = "127.0.0.1"
TOKEN_BYTES: Final = 24
MOST_REQUESTS: Final = 200
"""Connections at once; a page needs two."""


class PageServer:
    """A bound address and the server behind it."""

    def __init__(self, rooms: Rooms, *, port: int) -> None:
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        door = Door(make_app(rooms), self.token, self.port)
        config = uvicorn.Config(
            door,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            ws="websockets-sansio",
            ws_max_size=MOST_BYTES,
            ws_per_message_deflate=False,
            limit_concurrency=MOST_REQUESTS,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)

    @property
    def link(self) -> str:
        """What to open; it holds the token."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def run(self, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until Ctrl-C; ``ready`` is called once everything answers."""

        async def serving() -> None:
            task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
            while not self._server.started and not task.done():
                await asyncio.sleep(0.01)
            if self._server.started:
                ready()
            await task

        asyncio.run(serving())

    def stop(self) -> None:
        """Ask `run` to end, from any thread."""
        self._server.should_exit = True


def _bound(port: int) -> socket.socket:
    """Take the port, or say who has it.

    Raises:
        InputError: It is taken, or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        raise InputError(
            f"port {port} cannot be used: {error}",
            why="another program listens there" if taken else "the system does not allow it",
            fix="choose another with --port, or --port 0 for any that is free",
        ) from error
    listener.listen(128)
    return listener
