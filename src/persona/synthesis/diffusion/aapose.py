"""Draw a skeleton as Wan-Animate's picture of poses, which that model was trained on."""

import colorsys
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from persona.core.errors import InputError
from persona.synthesis.diffusion.dwpose import (
    COLORS,
    DIMMING,
    FINGERS,
    LIMBS,
    DwposeSkeleton,
    limb_outline,
)

SEEN: Final = 0.5
"""Points of less confidence are left out."""
FEET: Final = ((13, 18), (10, 19))
"""Limbs from the ankles to the toes, which come after DWPose's 18 points."""
FEET_COLORS: Final = ((200, 200, 0), (100, 100, 0))
SIDES_PER_WIDTH: Final = 200
"""Share of the shorter side that decides how wide limbs are."""
HAND_DOT: Final = (0, 0, 255)
FACE_REACH: Final = 1.3
"""Area of a face's picture over that of the box around its points."""

Canvas = UInt8[np.ndarray, "h w 3"]


def draw_aapose(skeleton: DwposeSkeleton, height: int, width: int) -> UInt8[np.ndarray, "3 h w"]:
    """Draw one skeleton: body with feet and hands, no face, as Wan-Animate's preparation does.

    Args:
        skeleton: What to draw; it must have toes.
        height: Rows of the picture [px].
        width: Columns [px].

    Returns:
        The picture, RGB.

    Raises:
        InputError: The skeleton has no toes.

    References:
        Wan Team, "Wan-Animate: Unified Character Animation and Replacement with Holistic
        Replication", arXiv 2509.14055, and its published preparation (Apache-2.0).
    """
    if skeleton.toes is None or skeleton.toes_confidence is None:
        raise InputError(
            "a skeleton without toes was to be drawn for Wan-Animate",
            why="this model was trained on pictures with feet",
            fix="give toes and toes_confidence",
        )
    canvas = np.zeros((height, width, 3), np.uint8)
    half_width = max(int(min(height, width) / SIDES_PER_WIDTH) - 1, 1)
    size = np.array([width, height])
    points = np.concatenate([skeleton.body, skeleton.toes]) * size
    shares = np.concatenate([skeleton.body_confidence, skeleton.toes_confidence])
    colors = (*COLORS, *FEET_COLORS)
    for color, limb in zip(colors, (*LIMBS, *FEET), strict=False):
        if (shares[list(limb)] >= SEEN).all():
            outline = limb_outline(points[list(limb)], half_width)
            cv2.fillConvexPoly(canvas, outline, [int(part * DIMMING) for part in color])
    for color, point, share in zip(colors, points, shares, strict=True):
        if share >= SEEN:
            cv2.circle(canvas, (int(point[0]), int(point[1])), half_width, color, -1)
    for hand, sure in zip(skeleton.hands, skeleton.hands_confidence, strict=True):
        _add_hand(canvas, hand * size, sure, max(half_width // 2, 1))
    return np.ascontiguousarray(canvas.transpose(2, 0, 1))


def face_box(face: Float[np.ndarray, "68 2"], height: int, width: int) -> tuple[int, int, int, int]:
    """Find the picture of a face that Wan-Animate reads its expression from.

    It reaches three times as far above the points as below them: foreheads have none.

    Args:
        face: The 68 points of iBUG, as shares of the picture's sides.
        height: Rows of the picture [px].
        width: Columns [px].

    Returns:
        Left, top, right, bottom [px].
    """
    # The published preparation leaves out the first of the points, too.
    points = face[1:] * np.array([width, height])
    low, high = points.min(0), points.max(0)
    extent = np.maximum(high - low, 1.0)
    grown = extent * np.sqrt(FACE_REACH)
    aside, down = (grown[0] - extent[0]) / 2, (grown[1] - extent[1]) / 4
    left, right = max(low[0] - aside, 0), min(high[0] + aside, width)
    top, bottom = max(low[1] - 3 * down, 0), min(high[1] + down, height)
    return int(left), int(top), int(right), int(bottom)


def _add_hand(
    canvas: Canvas,
    points: Float[np.ndarray, "21 2"],
    shares: Float[np.ndarray, " 21"],
    width: int,
) -> None:
    places = [(int(x), int(y)) for x, y in points]
    for k, (start, end) in enumerate(FINGERS):
        if min(shares[start], shares[end]) >= SEEN and min(*places[start], *places[end]) > 0:
            hue = colorsys.hsv_to_rgb(k / float(len(FINGERS)), 1.0, 1.0)
            color = [part * 255 for part in hue]
            cv2.line(canvas, places[start], places[end], color, thickness=width)
    for place, share in zip(places, shares, strict=True):
        if share >= SEEN and min(place) > 0:
            cv2.circle(canvas, place, width, HAND_DOT, -1)
