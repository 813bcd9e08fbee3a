"""Bring pictures to a model's size and colours, and what the model says back to theirs."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.perception.detectors import Picture, Plane, SmallPicture

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the colours that most models were trained on."""
EVEN: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Of those that take colours from -1 to 1."""

Colors = tuple[tuple[float, float, float], tuple[float, float, float]]


def normalized(
    pixels: Float[Tensor, "1 3 h w"], colors: Colors = IMAGENET
) -> Float[Tensor, "1 3 h w"]:
    """Take the mean off colours in [0, 255], and divide by the deviation."""
    told = torch.tensor(colors, device=pixels.device).view(2, 1, 3, 1, 1)
    return (pixels / 255 - told[0]) / told[1]


def prepare(picture: Picture, side: int) -> Float[Tensor, "1 3 s s"]:
    """Bring a picture to a square of ImageNet's colours; its aspect is not kept.

    Args:
        picture: sRGB bytes.
        side: Rows and columns [px].
    """
    small = torch.nn.functional.interpolate(
        as_planes(picture), (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return normalized(small.float())


def as_planes(picture: Picture) -> Tensor:
    """Give bytes as (1, 3, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def mask_box(mask: Plane) -> tuple[float, float, float, float]:
    """Give the bounds of what is covered by half at least: left, top, right, bottom [px]."""
    rows, columns = np.nonzero(mask > 0.5)
    ends = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return float(ends[0]), float(ends[1]), float(ends[2]), float(ends[3])


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A part of a picture, resampled to a model's size; it may reach over the border."""

    left: float
    """Where it begins [px]."""
    top: float
    """Likewise."""
    scale: float
    """Its pixels for one of the picture's."""
    width: int
    """Columns of it."""
    height: int
    """Rows."""

    @classmethod
    def around(
        cls, box: tuple[float, float, float, float], *, height: int, width: int, margin: float
    ) -> "Cutout":
        """Enclose a box: left, top, right, bottom [px].

        Args:
            box: What must be inside.
            height: Rows of the cutout.
            width: Its columns; the aspect is kept, so that one axis may show more.
            margin: Free space on each side, share of the box.
        """
        left, top, right, bottom = box
        room = 1 + 2 * margin
        scale = min(width / (room * (right - left)), height / (room * (bottom - top)))
        return cls(
            left=(left + right - width / scale) / 2,
            top=(top + bottom - height / scale) / 2,
            scale=scale,
            width=width,
            height=height,
        )

    def cut(self, picture: Picture) -> SmallPicture:
        """Resample; beyond the border black, as the models' own padding is."""
        if self.scale < 1:
            # What lies between two samples must not be skipped.
            picture = cv2.GaussianBlur(picture, (0, 0), 0.42 / self.scale)
        return cv2.warpAffine(
            picture, self._warp, (self.width, self.height), flags=cv2.INTER_LINEAR
        )

    def paste(
        self, values: Float[np.ndarray, "sh sw c"], *, height: int, width: int
    ) -> Float[np.ndarray, "h w c"]:
        """Bring values over the cutout to the picture's size; 0 elsewhere.

        Args:
            values: At any resolution of the cutout's aspect.
            height: Rows of the picture.
            width: Its columns.
        """
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pasted = np.zeros((height, width, values.shape[2]), np.float32)
        for channel in range(values.shape[2]):
            plane = np.ascontiguousarray(values[..., channel], np.float32)
            if plane.shape != (self.height, self.width):
                plane = cv2.resize(plane, (self.width, self.height))
            pasted[..., channel] = cv2.warpAffine(plane, self._warp, (width, height), flags=flags)
        return pasted

    @property
    def _warp(self) -> Float[np.ndarray, "2 3"]:
        """Take the picture's pixels to the cutout's; centres lie at integers in cv2."""
        shift = 0.5 * self.scale - 0.5
        return np.array(
            [
                [self.scale, 0, shift - self.left * self.scale],
                [0, self.scale, shift - self.top * self.scale],
            ]
        )
