"""Draw a skeleton as DWPose's picture, pixel for pixel, which MimicMotion was trained on."""

import colorsys
import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from persona.core.errors import InputError

SHORT_SIDE_PX: Final = 2160
"""Short side of the canvas that is drawn on, before it is shrunk."""
SEEN: Final = 0.3
"""Body points of less confidence are left out."""
LIMBS: Final = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
"""Pairs of body points, in OpenPose's order of 18."""
COLORS: Final = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""Of limbs and of body points, by index."""
FINGERS: Final = tuple(
    (0 if bone == 0 else finger + bone, finger + bone + 1)
    for finger in (0, 4, 8, 12, 16)
    for bone in range(4)
)
"""Pairs of hand points."""
LIMB_HALF_WIDTH_PX, BODY_DOT_PX, HAND_DOT_PX, FACE_DOT_PX, FINGER_WIDTH_PX = 4, 4, 4, 3, 2
DIMMING: Final = 0.6
"""Of limbs, beneath the dots."""
NOWHERE: Final = 0.01
"""Points of hands and face that are not farther from the corner are left out [px]."""

Canvas = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, kw_only=True)
class DwposeSkeleton:
    """Keypoints of one person, as shares of the picture's width and height.

    Raises:
        InputError: A group has another number of points.
    """

    body: Float[np.ndarray, "18 2"]
    """OpenPose's order: nose, neck, right arm, left arm, right leg, left leg, eyes, ears."""
    body_confidence: Float[np.ndarray, " 18"]
    """0 to 1."""
    hands: Float[np.ndarray, "2 21 2"]
    """Left and right: wrist, then thumb to little finger, each from its root."""
    hands_confidence: Float[np.ndarray, "2 21"]
    """0 to 1."""
    face: Float[np.ndarray, "f 2"]
    """The 68 points of iBUG."""
    face_confidence: Float[np.ndarray, " f"]
    """0 to 1."""
    toes: Float[np.ndarray, "2 2"] | None = None
    """Left and right; DWPose's picture shows none, Wan-Animate's does."""
    toes_confidence: Float[np.ndarray, " 2"] | None = None
    """0 to 1."""

    def __post_init__(self) -> None:
        shapes = {
            "body": (self.body.shape, self.body_confidence.shape, (18, 2)),
            "hands": (self.hands.shape, self.hands_confidence.shape, (2, 21, 2)),
            "face": (self.face.shape, self.face_confidence.shape, (68, 2)),
        }
        for name, (points, shares, wanted) in shapes.items():
            if points != wanted or shares != wanted[:-1]:
                raise InputError(
                    f"{name} has points of shape {points} and confidences of {shares}",
                    why=f"DWPose draws {wanted}",
                    fix="put the points into DWPose's order first",
                )


def draw_dwpose(skeleton: DwposeSkeleton, height: int, width: int) -> UInt8[np.ndarray, "3 h w"]:
    """Draw one skeleton.

    It is drawn with lines of fixed width on a canvas whose short side is 2160 px, shrunk, and its
    red and blue are swapped: all as MimicMotion's own preparation does.

    Args:
        skeleton: What to draw.
        height: Rows of the picture [px].
        width: Columns [px].

    Returns:
        The picture that `MimicMotion` takes.

    References:
        Yang et al., "Effective Whole-body Pose Estimation with Two-stages Distillation", ICCVW
        2023; drawn as in the reference implementation of MimicMotion (arXiv 2406.19680).
    """
    scale = SHORT_SIDE_PX / min(height, width)
    canvas = np.zeros((int(height * scale), int(width * scale), 3), np.uint8)
    canvas = _with_limbs(canvas, skeleton)
    _add_body_dots(canvas, skeleton)
    for points, shares in zip(skeleton.hands, skeleton.hands_confidence, strict=True):
        _add_hand(canvas, points, shares)
    _add_face(canvas, skeleton.face, skeleton.face_confidence)
    shrunk = cv2.resize(canvas, (width, height))
    return np.ascontiguousarray(shrunk[..., ::-1].transpose(2, 0, 1))


def limb_outline(ends: Float[np.ndarray, "2 2"], half_width: int) -> np.ndarray:
    """Give the ellipse that is drawn for a limb, as a polygon of whole pixels."""
    x, y = ends[:, 0], ends[:, 1]
    length = ((y[0] - y[1]) ** 2 + (x[0] - x[1]) ** 2) ** 0.5
    angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
    middle = (int(np.mean(x)), int(np.mean(y)))
    return cv2.ellipse2Poly(middle, (int(length / 2), half_width), int(angle), 0, 360, 1)


def _with_limbs(canvas: Canvas, skeleton: DwposeSkeleton) -> Canvas:
    rows, columns = canvas.shape[:2]
    for color, limb in zip(COLORS, LIMBS, strict=False):
        shares = skeleton.body_confidence[list(limb)]
        if (shares < SEEN).any():
            continue
        ends = skeleton.body[list(limb)]
        outline = limb_outline(ends * np.array([float(columns), float(rows)]), LIMB_HALF_WIDTH_PX)
        cv2.fillConvexPoly(canvas, outline, _faded(color, shares[0] * shares[1]))
    return (canvas * DIMMING).astype(np.uint8)


def _add_body_dots(canvas: Canvas, skeleton: DwposeSkeleton) -> None:
    points = zip(COLORS, skeleton.body, skeleton.body_confidence, strict=True)
    for color, point, share in points:
        if share > SEEN:
            cv2.circle(canvas, _place(canvas, point), BODY_DOT_PX, _faded(color, share), -1)


def _add_hand(
    canvas: Canvas, points: Float[np.ndarray, "21 2"], shares: Float[np.ndarray, " 21"]
) -> None:
    places = [_place(canvas, point) for point in points]
    for k, (start, end) in enumerate(FINGERS):
        level = int(shares[start] * shares[end] * 255)
        if min(*places[start], *places[end]) > NOWHERE:
            hue = colorsys.hsv_to_rgb(k / float(len(FINGERS)), 1.0, 1.0)
            color = [part * level for part in hue]
            cv2.line(canvas, places[start], places[end], color, thickness=FINGER_WIDTH_PX)
    for place, share in zip(places, shares, strict=True):
        if min(place) > NOWHERE:
            cv2.circle(canvas, place, HAND_DOT_PX, (0, 0, int(share * 255)), -1)


def _add_face(
    canvas: Canvas, points: Float[np.ndarray, "68 2"], shares: Float[np.ndarray, " 68"]
) -> None:
    for point, share in zip(points, shares, strict=True):
        place = _place(canvas, point)
        if min(place) > NOWHERE:
            cv2.circle(canvas, place, FACE_DOT_PX, (int(share * 255),) * 3, -1)


def _place(canvas: Canvas, point: Float[np.ndarray, " 2"]) -> tuple[int, int]:
    rows, columns = canvas.shape[:2]
    return int(point[0] * columns), int(point[1] * rows)


def _faded(color: tuple[int, int, int], share: float) -> list[int]:
    return [int(part * share) for part in color]
