"""A self-contained page: one HTML file with the avatar, some motions and the player in it."""

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from persona.avatar.avatar import Avatar
from persona.core.atomic import write_bytes
from persona.core.errors import InputError
from persona.export.page_files import page_file
from persona.export.web_asset import web_asset
from persona.export.web_motion import web_motion
from persona.records.motion import Motion
from persona.records.notice import Notice

_HEAD_PARTS: Final = re.compile(
    rb'\s*<(script|link)[^>]*(player\.js|player\.css)"?[^>]*>(</script>)?'
)
"""Where the page loads its script and style."""


def player_page(avatar: Avatar, motions: Sequence[Motion], *, name: str, notice: Notice) -> bytes:
    """Put the player, an avatar and motions into one HTML file that works offline.

    Its content-security policy names the digests of its own scripts and style and allows no
    connection at all. The notice stands on the page, in its head, and in the packed avatar.

    Args:
        avatar: Who.
        motions: Performed by this avatar (`animation.performance.perform`); the first plays.
        name: Whom the page shows.
        notice: Provenance and licences.

    Returns:
        The file's bytes.

    Raises:
        InputError: There is no motion.
    """
    if not motions:
        raise InputError(
            "a page without motions was asked for",
            why="somebody who opens it would see nobody move",
            fix="give at least one, idle for example",
        )
    script, style, sorter = (page_file(n) for n in ("player.js", "player.css", "sorter.js"))
    if b"</script" in script or b"</script" in sorter:
        raise InputError(
            "the built page holds an end of script",
            why="it would end the script that it is put into",
            fix="build the page again: cd web && npm run build",
        )
    start = {
        "name": name,
        "motions": [motion.name for motion in motions],
        "photo": False,
        "vmc": None,
        "webcam": False,
        "render": "browser",
        "notice": notice.lines(),
    }
    asset = web_asset(avatar, about={**notice.as_json(), "name": name})
    blocks = [
        _data("persona-start", _escaped(start)),
        _data("persona-asset", _packed(asset)),
        *(
            _data(f"persona-motion-{k}", _packed(web_motion(motion)))
            for k, motion in enumerate(motions)
        ),
        _data("persona-sorter", sorter),
        b'<script type="module">' + script + b"</script>\n",
    ]
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; worker-src blob:; "
        f"style-src '{_digest(style)}'; img-src data: blob:; media-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = (
        f'\n    <meta http-equiv="Content-Security-Policy" content="{policy}" />'.encode()
        + b"".join(_told(line) for line in notice.lines())
        + b"\n    <style>" + style + b"</style>"
    )  # fmt: skip
    page = _HEAD_PARTS.sub(b"", page_file("index.html"))
    page = page.replace(b'<meta charset="utf-8" />', b'<meta charset="utf-8" />' + head, 1)
    return page.replace(b"</body>", b"".join(blocks) + b"</body>", 1)


def write_player(
    path: Path, avatar: Avatar, motions: Sequence[Motion], *, name: str, notice: Notice
) -> None:
    """Write `player_page` to a file, whole or not at all."""
    write_bytes(path, player_page(avatar, motions, name=name, notice=notice))


def _told(line: str) -> bytes:
    return f'\n    <meta name="rights" content="{html.escape(line)}" />'.encode()


def _data(name: str, content: bytes) -> bytes:
    return f'<script type="text/plain" id="{name}">'.encode() + content + b"</script>\n"


def _escaped(value: object) -> bytes:
    """Write JSON in which nothing can end the script around it."""
    return json.dumps(value).replace("<", "\\u003c").encode()


def _packed(data: bytes) -> bytes:
    # Without the time, so that the same avatar gives the same file.
    return base64.b64encode(gzip.compress(data, mtime=0))


def _digest(text: bytes) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text).digest()).decode()
