"""Observation: what perception saw in one photo."""

import enum
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from persona.core.checks import check_finite, check_range
from persona.core.types import Mask


class Part(enum.IntEnum):
    """What a pixel of the person shows."""

    BACKGROUND = 0
    SKIN = 1
    """Face, neck, arms, legs, hands: uncovered."""
    HAIR = 2
    """Hair, beard excepted, and hats."""
    UPPER = 3
    """Clothes of the upper body, and one-piece clothes."""
    LOWER = 4
    """Trousers, shorts, skirts."""
    SHOES = 5
    """Shoes, and socks that belong to them."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Keypoints and mask of one person, in pixels of the upright photo.

    Raises:
        InputError: A keypoint is not finite, or the mask leaves [0, 1].
    """

    mask: Mask
    """Coverage by the person, the photo's size; crisp edges, hair and fingers kept."""
    mask_source: str
    """"alpha" when it is the photo's own, else "segmenter"."""
    box: tuple[float, float, float, float]
    """The person's bounds in the mask: left, top, right, bottom [px]."""
    body: Float[Tensor, "33 2"]
    """MediaPipe Pose landmarks (x, y) [px]."""
    body_confidence: Float[Tensor, " 33"]
    """Visibility in [0, 1]."""
    body_world: Float[Tensor, "33 3"]
    """The same points in space [m], origin between the hips; x right, y up, z to the viewer."""
    parts: Int[Tensor, "h w"]
    """A `Part` for every pixel, guessed from landmarks and colour."""
    face: Float[Tensor, "478 3"] | None = None
    """MediaPipe face mesh with irises: x, y [px] and relative depth in the same scale, z away."""
    left_hand: Float[Tensor, "21 3"] | None = None
    """The person's own left hand: x, y [px] and relative depth in the same scale, z away."""
    right_hand: Float[Tensor, "21 3"] | None = None
    """The person's own right hand, likewise."""
    warnings: tuple[str, ...] = ()
    """Sentences for the report: what was doubtful or invented."""

    def __post_init__(self) -> None:
        for name in ("body", "body_confidence", "body_world", "face", "left_hand", "right_hand"):
            value = getattr(self, name)
            if value is not None:
                check_finite(name, value)
        check_range("mask", self.mask, 0.0, 1.0)

    @property
    def person_height_px(self) -> float:
        """Height of the person's box [px]."""
        return self.box[3] - self.box[1]
