"""Where a frame is looked at: the person's box, the face, each hand."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import JOINT_IDS, JOINT_NAMES
from persona.core.types import Mask
from persona.evaluation.subjects import SubjectFrame
from persona.geometry.cameras import Camera

MARGIN: Final = 0.05
"""The box is the true mask's, larger on every side by this share of its height."""
FACE_M: Final = 0.12
"""Half the side of the face's square, about the middle of eyes and jaw [m]."""
HAND_M: Final = 0.03
"""How far a hand's box reaches beyond the joints of wrist and fingers [m]."""
FACING: Final = 0.3
"""Least cosine between where the face looks and where the camera is: farther round, hair shows."""
LEAST_PX: Final = 12
"""Smaller boxes have no window of SSIM inside."""


@dataclass(frozen=True)
class Box:
    """Rows and columns of a picture."""

    top: int
    bottom: int
    left: int
    right: int

    def __post_init__(self) -> None:
        assert self.top <= self.bottom
        assert self.left <= self.right

    @property
    def least(self) -> int:
        """Its shorter side [px]."""
        return min(self.bottom - self.top, self.right - self.left)

    def of(self, picture: Tensor) -> Tensor:
        """Cut it out of anything (h, w, ...)."""
        return picture[self.top : self.bottom, self.left : self.right]

    def widened(self, least: int, height: int, width: int) -> "Box":
        """Grow each side to at least so many pixels, inside a picture, as evenly as it can."""
        top, bottom = _stretched(self.top, self.bottom, least, height)
        left, right = _stretched(self.left, self.right, least, width)
        return Box(top, bottom, left, right)


def person_region(mask: Mask) -> Box | None:
    """Give the person's box, `MARGIN` larger than the mask; None where nobody is."""
    rows, columns = (mask > 0.5).nonzero().unbind(1)
    if not len(rows):
        return None
    margin = round(MARGIN * float(rows.max() - rows.min() + 1))
    return Box(
        max(0, int(rows.min()) - margin),
        min(mask.shape[0], int(rows.max()) + 1 + margin),
        max(0, int(columns.min()) - margin),
        min(mask.shape[1], int(columns.max()) + 1 + margin),
    )


def face_region(frame: SubjectFrame) -> Box | None:
    """Give the face's square; None where joints are unknown, or the face is turned away."""
    if frame.joints is None:
        return None
    at = {name: frame.joints[JOINT_IDS[name]] for name in ("left_eye", "right_eye", "jaw", "head")}
    eyes = (at["left_eye"] + at["right_eye"]) / 2
    middle = (eyes + at["jaw"]) / 2
    looks = torch.nn.functional.normalize(eyes - at["head"], dim=0)
    to_camera = torch.nn.functional.normalize(frame.camera.position - middle, dim=0)
    if float(looks @ to_camera) < FACING:
        return None
    return _around(middle[None], FACE_M, frame.camera)


def hand_regions(frame: SubjectFrame) -> list[Box]:
    """Give the boxes of the hands in the picture; a hidden hand counts as what hides it."""
    if frame.joints is None:
        return []
    found = []
    for side in ("left", "right"):
        fingers = [JOINT_IDS[name] for name in JOINT_NAMES[25:] if name.startswith(side)]
        points = frame.joints[[JOINT_IDS[f"{side}_wrist"], *fingers]]
        box = _around(points, HAND_M, frame.camera)
        if box is not None:
            found.append(box)
    return found


def _around(points: Float[Tensor, "n 3"], margin: float, camera: Camera) -> Box | None:
    pixels, depth = camera.project(points)
    if float(depth.min()) <= 0:
        return None
    reach = margin * camera.focal_px / float(depth.mean())
    low, high = pixels.amin(0) - reach, pixels.amax(0) + reach
    if not bool(torch.isfinite(torch.cat([low, high])).all()):
        return None
    left, top = (max(0, int(value)) for value in low.tolist())
    right, bottom = int(float(high[0])) + 1, int(float(high[1])) + 1
    right, bottom = min(camera.width, right), min(camera.height, bottom)
    if right - left < LEAST_PX or bottom - top < LEAST_PX:
        return None
    return Box(top, bottom, left, right)


def _stretched(low: int, high: int, least: int, size: int) -> tuple[int, int]:
    missing = max(0, min(least, size) - (high - low))
    low = min(max(0, low - missing // 2), max(0, size - (high - low) - missing))
    return low, min(size, max(high, low + min(least, size)))
