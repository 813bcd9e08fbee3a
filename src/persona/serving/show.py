"""What a running server shows: the packed avatar, its motions, its photo."""

import io
import re
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from persona.animation.clips import CLIPS, clip
from persona.animation.exchange import SUFFIXES, open_motion
from persona.animation.performance import perform
from persona.avatar.avatar import Avatar
from persona.core.errors import FileFormatError, InputError
from persona.export.web_asset import web_asset
from persona.export.web_motion import web_motion
from persona.images.files import read_image
from persona.records.notice import Notice

FIRST: Final = "idle"
"""What the person does when the page opens."""
LARGEST_SIDE: Final = 1600
"""Of the photo beside the avatar [px]."""
MOST_FILE_BYTES: Final = 64 << 20
"""Largest motion file that a page may send."""
MOST_FRAMES: Final = 36_000
"""Longest motion that a page is handed: twenty minutes at thirty a second."""


class Show:
    """One avatar and what belongs to it; everything is made once and kept."""

    def __init__(
        self,
        avatar: Avatar,
        *,
        name: str,
        notice: Notice | None = None,
        photo: Path | None = None,
    ) -> None:
        self.avatar = avatar
        self.name = name
        self.notice = notice or Notice()
        self.asset = web_asset(avatar, about={**self.notice.as_json(), "name": name})
        self.photo = None if photo is None else _photo_jpeg(photo)
        self.motions = [FIRST, *(one for one in CLIPS if one != FIRST)]
        """Names of the built-in motions."""
        self._made: dict[str, bytes] = {}
        # Torch work from several requests at once would only be slower.
        self._lock = threading.Lock()

    def motion(self, name: str) -> bytes:
        """Give a built-in motion as this person does it, packed for the page.

        Raises:
            InputError: There is none of this name.
        """
        if name not in CLIPS:
            raise InputError(
                f"there is no motion called {name[:40]!r}",
                why=f"the built-in ones are {', '.join(CLIPS)}",
                fix="choose one of them",
            )
        with self._lock, torch.no_grad():
            if name not in self._made:
                self._made[name] = web_motion(perform(self.avatar, clip(name)))
            return self._made[name]

    def read_motion(self, file_name: str, data: bytes) -> bytes:
        """Read a motion file that a page sent, and give it as this person does it.

        The file lies in a private folder while it is read, under a name of ours.

        Raises:
            FileFormatError: It is no motion, damaged or too long.
            InputError: Its skeleton is not understood.
        """
        suffix = Path(file_name).suffix.lower()
        if suffix not in SUFFIXES:
            raise FileFormatError(
                f"{file_name[:60]!r} cannot be played",
                why=f"motions are files that end in {', '.join(SUFFIXES)}",
                fix="drop one of these",
            )
        stem = re.sub(r"[^A-Za-z0-9_ -]", "", Path(file_name).stem)[:40].strip() or "motion"
        with tempfile.TemporaryDirectory(prefix="persona-") as folder:
            path = Path(folder) / f"{stem}{suffix}"
            path.write_bytes(data)
            with self._lock, torch.no_grad():
                motion = open_motion(path).motion
                if motion.frame_count > MOST_FRAMES:
                    raise FileFormatError(
                        f"{stem} has {motion.frame_count} frames",
                        why=f"a page plays at most {MOST_FRAMES}",
                        fix="cut it shorter with `persona motion convert`",
                    )
                return web_motion(perform(self.avatar, motion))

    def start(self) -> dict[str, Any]:
        """Say what the page needs to know of the avatar before anything else."""
        return {
            "name": self.name,
            "motions": self.motions,
            "photo": self.photo is not None,
            "notice": self.notice.lines(),
        }


def _photo_jpeg(path: Path) -> bytes:
    """Read the photo upright and write it anew: no place, no camera, no thumbnail travels."""
    rgb = (read_image(path).rgb * 255).round().to(torch.uint8).numpy()
    picture = Image.fromarray(rgb)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
