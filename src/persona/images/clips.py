"""Read moving pictures one at a time: videos, animated GIFs, folders of pictures, cameras."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import UInt8

from persona.core.errors import FileFormatError, InputError
from persona.core.progress import current
from persona.images.files import read_image

MAX_BYTES: Final = 8 << 30
"""A larger file is no clip of a person."""
MAX_PIXELS: Final = 8192 * 4320
"""Pixels of a frame; beyond 8K nothing films."""
MAX_SECONDS: Final = 3600.0
"""Longest clip."""
MAX_FRAMES: Final = 54_000
"""Half an hour at 30 a second; what is kept of a frame is 7 kB."""
LONGEST_SIDE: Final = 1920
"""Larger pictures are made smaller while they are read [px]: nothing is seen better in them."""
USUAL_RATE: Final = 30.0
"""Frames a second where nothing says otherwise."""
SUFFIXES: Final = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts")
"""What names of videos end in."""
PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
"""What names of pictures in a folder end in."""
FORMATS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,h264,hevc"
"""Containers that hold their own pictures; playlists, which name other files, are not opened."""

Bytes = UInt8[np.ndarray, "h w 3"]
"""sRGB, upright."""


@dataclass(frozen=True)
class Frame:
    """One picture of a clip."""

    picture: Bytes
    """Upright, at most `LONGEST_SIDE` long."""
    time: float
    """When it was taken, growing [s]."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Moving pictures that can be read any number of times."""

    path: Path
    """A video file, or a folder of pictures."""
    fps: float | None = None
    """Frames a second, where the file is wrong or silent; None believes its time stamps."""

    @property
    def name(self) -> str:
        """File name without folder and ending."""
        return self.path.stem

    def frames(self) -> Iterator[Frame]:
        """Read the frames one by one, in constant memory.

        Raises:
            FileFormatError: It is no video, damaged from the start, or beyond the limits above.
        """
        frames = _folder_frames(self) if self.path.is_dir() else _video_frames(self.path)
        for count, frame in enumerate(frames):
            if count == MAX_FRAMES:
                raise _refused(self.path, f"has more than {MAX_FRAMES:,} frames", "cut it shorter")
            yield frame if self.fps is None else Frame(frame.picture, count / self.fps)


def open_clip(path: Path, *, fps: float | None = None) -> Clip:
    """Check that there is something to read.

    Args:
        path: Video or folder.
        fps: Frames a second instead of what the file says.

    Raises:
        FileFormatError: There is nothing, or it is far too large.
        InputError: The rate makes no sense.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise InputError(
            f"the clip was said to have {fps:g} frames a second",
            why="rates are above 0 and at most 1000",
            fix="leave the rate away to believe the file",
        )
    if path.is_dir():
        if not _pictures(path):
            raise _refused(
                path, f"holds no pictures ({', '.join(PICTURES)})", "check the path of the folder"
            )
    elif not path.is_file():
        raise _refused(path, "cannot be read: there is no such file", "check the path")
    elif path.stat().st_size > MAX_BYTES:
        raise _refused(path, f"has {path.stat().st_size:,} bytes", "cut it shorter")
    return Clip(path=path, fps=fps)


def is_clip(text: str) -> bool:
    """Say whether text names a video, or a folder of nothing but pictures."""
    path = Path(text)
    if path.is_dir():
        names = [entry.suffix.lower() for entry in path.iterdir() if entry.is_file()]
        return bool(names) and all(name in PICTURES for name in names)
    return text.lower().endswith(SUFFIXES)


def camera_frames(number: int) -> Iterator[Frame]:
    """Read a camera of this machine until it ends; the newest picture, not the oldest.

    Raises:
        InputError: There is no such camera.
    """
    import time

    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise InputError(
                f"camera {number} cannot be opened",
                why="no such device, or another program uses it",
                fix="close other programs, or try the next number; the first camera is 0",
            )
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        start = time.monotonic()
        while True:
            worked, picture = camera.read()
            if not worked:
                return
            yield Frame(_shrunk(picture[..., ::-1]), time.monotonic() - start)
    finally:
        camera.release()


def _video_frames(path: Path) -> Iterator[Frame]:
    import av.error

    count, last = 0, -math.inf
    try:
        # An absolute path is never taken for a network address.
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        with av.open(str(path.resolve()), options=options) as container:
            if not container.streams.video:
                raise _refused(path, "holds no pictures", "give a video")
            stream = container.streams.video[0]
            _check_stream(path, container, stream)
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or USUAL_RATE)
            for picture in container.decode(stream):
                _check_size(path, picture.width, picture.height)
                stamp = picture.time
                usable = stamp is not None and math.isfinite(stamp) and stamp > last
                last = float(stamp) if usable else max(last, -1 / rate) + 1 / rate
                yield Frame(_developed(picture), last)
                count += 1
    except (av.error.FFmpegError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, FileFormatError):
            raise
        if count == 0:
            raise _refused(
                path, f"is not a video: {error}", "give an mp4, mov, webm or gif"
            ) from error
        current().warn(f"{path.name} is damaged after {count} frames; those before are used")
    if count == 0:
        raise _refused(path, "holds no pictures", "give a video")


def _check_stream(path: Path, container: Any, stream: Any) -> None:
    """Refuse what a header promises before anything of that size is made."""
    context = stream.codec_context
    if context is None:
        raise _refused(path, "is not a video: nobody knows its codec", "convert it to mp4")
    _check_size(path, context.width, context.height)
    context.options = {"max_pixels": str(MAX_PIXELS)}
    seconds = [container.duration / 1e6] if container.duration else []
    if stream.duration and stream.time_base:
        seconds.append(float(stream.duration * stream.time_base))
    if seconds and min(seconds) > MAX_SECONDS:
        raise _refused(path, f"is {min(seconds):,.0f} s long", "cut out what you need")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _refused(path, f"has frames of {width} x {height} pixels", "make it smaller")


def _developed(picture: Any) -> Bytes:
    """Bring a decoded frame to upright sRGB of bounded size."""
    scale = min(1.0, LONGEST_SIDE / max(picture.width, picture.height))
    size = {}
    if scale < 1:
        size = {"width": round(picture.width * scale), "height": round(picture.height * scale)}
    array = picture.to_ndarray(format="rgb24", **size)
    return np.ascontiguousarray(np.rot90(array, round((picture.rotation or 0) / 90)))


def _pictures(folder: Path) -> list[Path]:
    """List a folder's pictures in the order of the numbers in their names."""

    def order(path: Path) -> tuple[list[int], str]:
        digits = "".join(letter if letter.isdigit() else " " for letter in path.stem)
        return [int(word[:18]) for word in digits.split()], path.name

    found = [entry for entry in folder.iterdir() if entry.suffix.lower() in PICTURES]
    return sorted(found, key=order)


def _folder_frames(clip: Clip) -> Iterator[Frame]:
    rate = clip.fps or USUAL_RATE
    first: tuple[int, ...] | None = None
    for count, path in enumerate(_pictures(clip.path)):
        rgb = (read_image(path).rgb.numpy() * 255 + 0.5).astype(np.uint8)
        first = first or rgb.shape
        if rgb.shape != first:
            raise _refused(
                path,
                f"is {rgb.shape[1]} x {rgb.shape[0]}",
                "give pictures of one size, as films have",
            )
        yield Frame(_shrunk(rgb), count / rate)


def _shrunk(picture: Bytes) -> Bytes:
    height, width = picture.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    if scale == 1:
        return np.ascontiguousarray(picture)
    size = (round(width * scale), round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _refused(path: Path, what: str, fix: str) -> FileFormatError:
    return FileFormatError(
        f"{path.name} {what}",
        why=f"clips are videos or folders of pictures: up to {MAX_SECONDS / 60:.0f} minutes, "
        f"{MAX_FRAMES:,} frames, {MAX_PIXELS / 1e6:.0f} megapixels",
        fix=fix,
    )
