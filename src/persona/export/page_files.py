"""The built page that ships with persona: its files, and the sources it was built from."""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Final

from persona.core.errors import MissingPartError

PAGE_FILES: Final = {
    "index.html": "text/html; charset=utf-8",
    "player.css": "text/css; charset=utf-8",
    "player.js": "text/javascript; charset=utf-8",
    "sorter.js": "text/javascript; charset=utf-8",
}
"""Name and type of every file of the page; nothing else is ever read."""
STAMP: Final = "sources.sha256"
"""Digest of the sources, written by the build."""
_SOURCES: Final = (
    *("index.html", "package.json", "package-lock.json", "tsconfig.json"),
    *("vite.config.ts", "stamp.mjs"),
)


def page_file(name: str) -> bytes:
    """Read a file of the page.

    Raises:
        MissingPartError: The page was not built into this copy of persona.
    """
    try:
        return (resources.files("persona.export") / "page" / name).read_bytes()
    except FileNotFoundError as error:
        raise MissingPartError(
            f"the page's {name} is missing",
            why="this copy of persona was packed without its built page",
            fix="install persona again, or build the page: cd web && npm ci && npm run build",
        ) from error


def digest_of_sources(web: Path) -> str:
    """Give the digest that the build writes for the sources in a ``web`` folder."""
    scripts = (f"src/{path.name}" for path in (web / "src").iterdir())
    digest = hashlib.sha256()
    for name in sorted([*_SOURCES, *scripts]):
        digest.update(name.encode() + b"\0" + (web / name).read_bytes() + b"\0")
    return digest.hexdigest()
