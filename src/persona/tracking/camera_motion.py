"""How the camera turns between frames, from what stands still behind the person."""

import math
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.geometry.rotations import axis_angle_to_matrix, rotation_between

SIDE: Final = 400
"""Longer side of the grey pictures that are compared [px]."""
MOST_POINTS: Final = 160
"""Corners that are followed."""
FEWEST: Final = 16
"""With fewer corners nothing can be said."""
MISS: Final = 1.5
"""A corner that moves with the others does so within this [px of the grey picture]."""
AROUND: Final = 0.10
"""Margin about the person that is not looked at, as a share of their box."""
STILL: Final = 0.012
"""A camera whose picture never moved by more than this share of its longer side stands still."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom [px]."""


class CameraWatcher:
    """Follows corners of the background from the first frame of a shot."""

    def __init__(self) -> None:
        self._last: UInt8[np.ndarray, "h w"] | None = None
        self._motion = self._before = np.eye(3)
        """Motion of the picture up to now, and to the frame in which corners were chosen."""
        self._from = self._here = np.zeros((0, 2), np.float32)
        """Corners where they were chosen, and where they are now."""
        self._chosen = 0
        """How many corners there were at first."""
        self.sure = False
        """Whether the last frame had enough background to say anything."""

    def watch(
        self, picture: UInt8[np.ndarray, "h w 3"], person: Box | None
    ) -> Float[np.ndarray, "3 3"]:
        """Give the motion of the picture since the shot began, a similarity in pixels.

        Args:
            picture: The next frame.
            person: Where the person is, who is not background.
        """
        height, width = picture.shape[:2]
        scale = SIDE / max(height, width)
        small = (max(round(width * scale), 8), max(round(height * scale), 8))
        grey = cv2.cvtColor(
            cv2.resize(picture, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        if self._last is not None and len(self._here) >= FEWEST:
            self._motion = self._follow(grey)
        inside = _mask(small, person, scale)
        if self._last is None or len(self._here) < max(FEWEST, 0.4 * self._chosen):
            self._choose(grey, inside)
        else:
            kept = inside[
                np.clip(self._here[:, 1].astype(int), 0, small[1] - 1),
                np.clip(self._here[:, 0].astype(int), 0, small[0] - 1),
            ]
            self._here, self._from = self._here[kept > 0], self._from[kept > 0]
        self._last = grey
        resize = np.diag([scale, scale, 1.0])
        return np.linalg.inv(resize) @ self._motion @ resize

    def _choose(self, grey: np.ndarray, inside: np.ndarray) -> None:
        corners = cv2.goodFeaturesToTrack(grey, MOST_POINTS, 0.01, 7, mask=inside)
        found = np.zeros((0, 2), np.float32) if corners is None else corners[:, 0]
        self._here = self._from = found
        self._chosen, self._before = len(found), self._motion
        self.sure = len(found) >= FEWEST

    def _follow(self, grey: np.ndarray) -> Float[np.ndarray, "3 3"]:
        """Find where the corners went, and which similarity takes most of them there."""
        assert self._last is not None
        there, found, _ = cv2.calcOpticalFlowPyrLK(
            self._last, grey, self._here[:, None], None, winSize=(15, 15), maxLevel=3
        )
        good = found[:, 0] > 0
        self._from, self._here = self._from[good], there[good, 0]
        self.sure = len(self._here) >= FEWEST
        if not self.sure:
            return self._motion
        fitted, inliers = cv2.estimateAffinePartial2D(
            self._from, self._here, method=cv2.RANSAC, ransacReprojThreshold=MISS
        )
        if fitted is None or int(inliers.sum()) < FEWEST / 2:
            self.sure = False
            return self._motion
        good = inliers[:, 0] > 0
        self._from, self._here = self._from[good], self._here[good]
        return np.vstack([fitted, [0, 0, 1]]) @ self._before


def _mask(size: tuple[int, int], person: Box | None, scale: float) -> UInt8[np.ndarray, "h w"]:
    width, height = size
    mask = np.full((height, width), 255, np.uint8)
    if person is not None:
        left, top, right, bottom = (side * scale for side in person)
        more = AROUND * max(right - left, bottom - top)
        rows = slice(max(int(top - more), 0), max(int(bottom + more), 0))
        mask[rows, max(int(left - more), 0) : max(int(right + more), 0)] = 0
    return mask


def still(motions: Float[np.ndarray, "t 3 3"], size: tuple[int, int]) -> bool:
    """Say whether the picture stayed where it was, at its corners and all the time."""
    width, height = size
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1.0)])
    moved = motions @ corners.T - corners.T
    return float(np.abs(moved[:, :2]).max()) < STILL * max(size)


def camera_turns(
    motions: Float[np.ndarray, "t 3 3"], size: tuple[int, int], focal_px: float
) -> Float[Tensor, "t 3 3"]:
    """Explain the motion of the picture by a camera that turns on the spot.

    Pan and tilt shift the picture, a roll turns it. What walks or zooms is not told apart.
    """
    width, height = size
    middle = np.array([width / 2, height / 2, 1.0])
    moved = motions @ middle
    ray = np.stack([moved[:, 0] - middle[0], middle[1] - moved[:, 1]], 1) / focal_px
    way = torch.from_numpy(np.concatenate([ray, -np.ones((len(ray), 1))], 1))
    ahead = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64).expand_as(way)
    roll = torch.from_numpy(-np.arctan2(motions[:, 1, 0], motions[:, 0, 0]))
    about = torch.stack([torch.zeros_like(roll), torch.zeros_like(roll), roll], -1)
    return rotation_between(ahead, way) @ axis_angle_to_matrix(about)


def turned_by(turns: Float[Tensor, "t 3 3"]) -> float:
    """Give the largest turn from the first frame on [deg]."""
    trace = (turns[0].mT @ turns).diagonal(dim1=1, dim2=2).sum(-1)
    return math.degrees(float(torch.acos(((trace - 1) / 2).clamp(-1, 1)).max()))
