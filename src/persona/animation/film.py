"""A film behind the person: the right picture for every moment, or one without its people."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from persona.core.errors import InputError
from persona.core.progress import current
from persona.core.types import Image
from persona.images.clips import Clip, open_clip
from persona.rendering.compositing import fit_background

PLATE_FRAMES: Final = 41
"""Pictures of which the median is taken, evenly over the film; an odd number needs no mean."""
STRIP_ROWS: Final = 64
"""Rows of all pictures that are compared at once: medians want ten times the bytes."""
FILL_SIDE: Final = 480
"""Longer side of the copy in which holes are filled [px]."""
STILL_STEP: Final = 14.0
"""A pixel that usually differs by less from its median stands still [of 255]."""
STILL_SHARE: Final = 0.6
"""Share of the pixels that must stand still when the camera does; a person takes a fifth."""


FindPeople = Callable[[UInt8[np.ndarray, "h w 3"]], Bool[np.ndarray, "h w"]]
"""Marks the people in a picture, generously."""


def film_behind(path: Path, times: Sequence[float], *, width: int, height: int) -> Iterator[Image]:
    """Give the film's picture at each time, in constant memory.

    Args:
        path: A video, a GIF, or a folder of pictures.
        times: Growing, from the film's beginning [s]; beyond the end its last picture stays.
        width: Columns wanted; pictures cover the frame and are cut to it.
        height: Rows wanted.

    Raises:
        FileFormatError: It is no film.
    """
    frames = open_clip(path).frames()
    shown = next(frames)
    begin = shown.time
    coming = next(frames, None)
    picture = _fitted(shown.picture, width, height)
    for moment in times:
        advanced = False
        while coming is not None and coming.time - begin <= moment + 1e-6:
            shown, coming, advanced = coming, next(frames, None), True
        if advanced:
            picture = _fitted(shown.picture, width, height)
        yield picture


def aspect_of(path: Path) -> float:
    """Give the width of a film's first picture over its height.

    Raises:
        FileFormatError: It is no film.
    """
    height, width = next(open_clip(path).frames()).picture.shape[:2]
    return width / height


def plate_of(path: Path, *, width: int, height: int, people: FindPeople) -> Image:
    """Give a film's background without people: what pictures from all over it show behind them.

    Every pixel is the median of what it shows while nobody is there; where somebody always is, it
    is filled in from around, which is a guess and blurred.

    Args:
        path: A film whose camera stands still.
        width: Columns wanted.
        height: Rows wanted.
        people: Marks people in a picture.

    Raises:
        FileFormatError: It is no film.
        InputError: The camera moves, so that there is no such picture.
    """
    clip = open_clip(path)
    count = sum(1 for _ in clip.frames())
    chosen = set(np.linspace(0, count - 1, min(PLATE_FRAMES, count)).round().astype(int).tolist())
    pictures = np.stack(list(_chosen(clip, chosen, width, height)))
    taken = np.stack([people(picture) for picture in pictures])
    plate, still = _medians(pictures, taken)
    if still < STILL_SHARE:
        raise InputError(
            f"{path.name} has no background that stands still",
            why=f"{100 * still:.0f} % of its pixels do; with a still camera it is more than "
            f"{100 * STILL_SHARE:.0f} %",
            fix="leave --plate away, or give a picture of the place as --background",
        )
    hidden = taken.all(0)
    if hidden.any():
        share = 100 * float(hidden.mean())
        current().warn(f"{share:.0f} % of {path.name} is never without people; filled in, blurred")
        plate = _filled(plate, hidden)
    return torch.from_numpy(plate).float() / 255


def _medians(
    pictures: UInt8[np.ndarray, "n h w 3"], taken: Bool[np.ndarray, "n h w"]
) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
    """Give the median of what is free, and the share of all pixels that hardly leave it."""
    plate = np.zeros(pictures.shape[1:], np.uint8)
    still, seen = 0, 0
    for top in range(0, plate.shape[0], STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        hidden = np.broadcast_to(taken[:, rows, :, None], pictures[:, rows].shape)
        strip = np.ma.masked_array(pictures[:, rows], hidden)
        middle = np.ma.median(strip, axis=0)
        plate[rows] = middle.filled(0).astype(np.uint8)
        far = np.abs(strip.astype(np.int16) - middle.astype(np.int16)).max(-1)
        usual = np.ma.median(far, axis=0)
        still += int((usual.compressed() < STILL_STEP).sum())
        seen += int(usual.count())
    return plate, still / max(seen, 1)


def _filled(
    plate: UInt8[np.ndarray, "h w 3"], hidden: Bool[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Fill holes from around, in a small copy: large holes have no detail anyway."""
    height, width = hidden.shape
    scale = min(1.0, FILL_SIDE / max(height, width))
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    hole = cv2.resize(hidden.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    hole = cv2.dilate(hole, np.ones((5, 5), np.uint8))
    small = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    filled = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
    large = cv2.resize(cv2.GaussianBlur(filled, (0, 0), 1), (width, height))
    soft = cv2.GaussianBlur(cv2.resize(hole, (width, height)).astype(np.float32), (0, 0), 2)
    soft = np.maximum(soft, hidden)[..., None]
    return (plate * (1 - soft) + large * soft + 0.5).astype(np.uint8)


def _chosen(
    clip: Clip, chosen: set[int], width: int, height: int
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    for index, frame in enumerate(clip.frames()):
        if index in chosen:
            fitted = _fitted(frame.picture, width, height)
            yield (fitted * 255 + 0.5).to(torch.uint8).numpy()


def _fitted(
    picture: UInt8[np.ndarray, "h w 3"], width: int, height: int
) -> Float[Tensor, "height width 3"]:
    return fit_background(torch.from_numpy(picture).float() / 255, width=width, height=height)
