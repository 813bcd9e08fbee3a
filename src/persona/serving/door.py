"""Who may come in: this machine's own page, by its address, its token and its origin."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: itself."""
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)
"""On every answer."""
_POLICY_VIOLATION: Final = 1008


@dataclass(frozen=True)
class Door:
    """Let a request through to the app, or answer it with a refusal.

    A page of a stranger can make a browser call this machine under another name (the Host tells),
    or from its own origin (the Origin tells); what it cannot know is the token, which is the first
    part of every path.
    """

    app: App
    """Sees paths without the token."""
    token: str
    """Printed in the link."""
    port: int
    """Where the server listens."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open one WebSocket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = self._why_not(scope)
        if refused is not None:
            await _refuse(scope, receive, send, *refused)
            return
        prefix = f"/{self.token}"
        inner = {**scope, "path": scope["path"].removeprefix(prefix), "root_path": ""}
        inner.pop("raw_path", None)
        await self.app(inner, receive, _with_headers(send))

    def _why_not(self, scope: Scope) -> tuple[int, str] | None:
        hosts = [value for key, value in scope["headers"] if key == b"host"]
        names = {f"{name}:{self.port}".encode() for name in ("127.0.0.1", "localhost")}
        if len(hosts) != 1 or hosts[0] not in names:
            return 421, "This server answers to 127.0.0.1 and localhost only."
        origins = [value for key, value in scope["headers"] if key == b"origin"]
        if origins and origins != [b"http://" + hosts[0]]:
            return 403, "Pages of other origins have no business here."
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        if not hmac.compare_digest(first.encode(), self.token.encode()):
            return 403, "Open the link that `persona serve` printed: its token is missing here."
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": text[:100]})
        return
    body = text.encode() + b"\n"
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    answering = _with_headers(send)
    await answering({"type": "http.response.start", "status": status, "headers": head})
    await answering({"type": "http.response.body", "body": body})
