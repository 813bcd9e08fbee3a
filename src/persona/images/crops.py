"""Crop, pad and resize a picture together with the transform that undoes it."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Pixels


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A window of a picture, drawn at a size of its own; the window may leave the picture.

    Pixel centres are at half integers on both sides, so that a point keeps its place in the scene:
    ``to_crop`` and ``to_picture`` undo each other exactly.

    Raises:
        InputError: A side of the window or of the result is not positive.
    """

    left: int
    """First column of the window [px of the picture]; negative means padding."""
    top: int
    """First row of the window [px of the picture]."""
    width: int
    """Columns of the window [px of the picture]."""
    height: int
    """Rows of the window [px of the picture]."""
    out_width: int
    """Columns of the result [px]."""
    out_height: int
    """Rows of the result [px]."""

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.out_width, self.out_height) < 1:
            raise InputError(
                f"a crop of {self.width} x {self.height} to {self.out_width} x {self.out_height}",
                why="every side must have at least one pixel",
                fix="look at the box it was made from",
            )

    @property
    def scale(self) -> tuple[float, float]:
        """Result pixels per picture pixel in x and y."""
        return self.out_width / self.width, self.out_height / self.height

    def to_crop(self, pixels: Pixels) -> Pixels:
        """Take positions in the picture to positions in the result [px]."""
        return (pixels - pixels.new_tensor((self.left, self.top))) * pixels.new_tensor(self.scale)

    def to_picture(self, pixels: Pixels) -> Pixels:
        """Take positions in the result to positions in the picture [px]."""
        return pixels / pixels.new_tensor(self.scale) + pixels.new_tensor((self.left, self.top))

    def apply(
        self, picture: Float[Tensor, "h w *c"], *, fill: float | None = 0.0
    ) -> Float[Tensor, "oh ow *c"]:
        """Cut the window out and resize it.

        Shrinking averages whole areas, so that nothing aliases; enlarging is bilinear.

        Args:
            picture: Any number of channels, or none.
            fill: Value outside the picture; None repeats the edge.
        """
        window = _pad_window(_array(picture), self, fill)
        return _resized(window, self.out_width, self.out_height, like=picture)

    def undo(
        self, result: Float[Tensor, "oh ow *c"], *, width: int, height: int, fill: float = 0.0
    ) -> Float[Tensor, "h w *c"]:
        """Lay a result back into a picture of the given size, where its window was.

        Args:
            result: What `apply` returned, or something of its size.
            width: Columns of the picture [px].
            height: Rows of the picture [px].
            fill: Value of the picture outside the window.
        """
        back = _resized(_array(result), self.width, self.height, like=result)
        picture = result.new_full((height, width, *result.shape[2:]), fill)
        x0, x1 = max(0, self.left), min(width, self.left + self.width)
        y0, y1 = max(0, self.top), min(height, self.top + self.height)
        if x0 < x1 and y0 < y1:
            picture[y0:y1, x0:x1] = back[
                y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left
            ]
        return picture


def crop_around(
    box: tuple[float, float, float, float],
    *,
    out_width: int,
    out_height: int,
    margin: float = 0.0,
) -> Crop:
    """Frame a box: the smallest window of the result's aspect that holds it, centred on it.

    Args:
        box: Left, top, right, bottom [px of the picture].
        out_width: Columns of the result [px].
        out_height: Rows of the result [px].
        margin: Room added on each side, as a share of the box's own size.
    """
    left, top, right, bottom = box
    width, height = (right - left) * (1 + 2 * margin), (bottom - top) * (1 + 2 * margin)
    aspect = out_width / out_height
    width, height = max(width, height * aspect), max(height, width / aspect)
    columns, rows = max(1, round(width)), max(1, round(height))
    return Crop(
        left=round((left + right - columns) / 2),
        top=round((top + bottom - rows) / 2),
        width=columns,
        height=rows,
        out_width=out_width,
        out_height=out_height,
    )


def fit_within(width: int, height: int, *, longest: int) -> Crop:
    """Shrink a whole picture so that its longer side has at most ``longest`` pixels."""
    factor = min(1.0, longest / max(width, height))
    return Crop(
        left=0,
        top=0,
        width=width,
        height=height,
        out_width=max(1, round(width * factor)),
        out_height=max(1, round(height * factor)),
    )


def resize(
    picture: Float[Tensor, "h w *c"], *, width: int, height: int
) -> Float[Tensor, "oh ow *c"]:
    """Resize a whole picture; areas are averaged when it shrinks, bilinear when it grows."""
    rows, columns = picture.shape[:2]
    whole = Crop(left=0, top=0, width=columns, height=rows, out_width=width, out_height=height)
    return whole.apply(picture)


def _array(picture: Tensor) -> np.ndarray:
    return picture.detach().cpu().numpy()


def _pad_window(picture: np.ndarray, crop: Crop, fill: float | None) -> np.ndarray:
    """Cut the window out of a picture that may not cover it."""
    rows, columns = picture.shape[:2]
    before_x, before_y = max(0, -crop.left), max(0, -crop.top)
    after_x = max(0, crop.left + crop.width - columns)
    after_y = max(0, crop.top + crop.height - rows)
    inside = picture[
        max(0, crop.top) : max(0, crop.top + crop.height),
        max(0, crop.left) : max(0, crop.left + crop.width),
    ]
    if not (before_x or before_y or after_x or after_y):
        return inside
    if inside.size == 0:
        shape = (crop.height, crop.width, *picture.shape[2:])
        return np.full(shape, fill or 0.0, picture.dtype)
    pads = ((before_y, after_y), (before_x, after_x), *((0, 0),) * (picture.ndim - 2))
    if fill is None:
        return np.pad(inside, pads, mode="edge")
    return np.pad(inside, pads, mode="constant", constant_values=fill)


def _resized(window: np.ndarray, width: int, height: int, *, like: Tensor) -> Tensor:
    shrinks = width <= window.shape[1] and height <= window.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(window), (width, height), interpolation=method)
    # cv2 drops a last axis of length one.
    small = small.reshape(height, width, *window.shape[2:])
    return torch.from_numpy(np.ascontiguousarray(small)).to(like)
