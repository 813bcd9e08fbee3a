"""The colour of the person's own skin, and how far other colours are from it."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Outline of the face in MediaPipe's mesh."""
FACE_FEATURES = (
    (33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373),
    (70, 63, 105, 66, 107, 46, 53, 52, 65, 55), (300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
    (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),
)  # fmt: skip
"""Eyes, brows and lips: on the face, but not the colour of skin."""
GENERIC = ((72.0, 13.0, 16.0), (55.0, 17.0, 21.0), (36.0, 14.0, 17.0))
"""Light, medium and dark skin in daylight, for people whose face is not seen [Lab]."""


def face_area(
    face: Float[np.ndarray, "478 2"], shape: tuple[int, ...], *, features: bool
) -> Bool[np.ndarray, "h w"]:
    """Draw the inside of a face, with or without eyes, brows and lips."""
    drawn = np.zeros(shape, np.uint8)
    points = np.round(face).astype(np.int32)
    cv2.fillPoly(drawn, [points[list(FACE_OVAL)]], 1)
    if not features:
        drawn = cv2.erode(drawn, np.ones((3, 3), np.uint8))
        for feature in FACE_FEATURES:
            cv2.fillConvexPoly(drawn, cv2.convexHull(points[list(feature)]), 0)
    return drawn > 0


def skin_colours(
    lab: Float[np.ndarray, "h w 3"],
    inside: Bool[np.ndarray, "h w"],
    face: Float[np.ndarray, "478 2"] | None,
    hands: tuple[Float[np.ndarray, "21 2"], ...],
) -> Float[np.ndarray, "n 3"]:
    """Find the person's own skin colours: of the face, and of palms that look like it.

    Args:
        lab: The picture in Lab.
        inside: Where the person is.
        face: Face mesh [px], or None.
        hands: Hands seen [px].

    Returns:
        One or more Lab colours; three generic ones when no face is seen.
    """
    if face is None:
        return np.array(GENERIC)
    seen = lab[face_area(face, inside.shape, features=False) & inside]
    if len(seen) < 30:
        return np.array(GENERIC)
    middle = np.median(seen, 0)
    near = np.abs(seen[:, 0] - middle[0]) < 22
    near &= np.hypot(seen[:, 1] - middle[1], seen[:, 2] - middle[2]) < 11
    colours = [np.median(seen[near], 0)]
    for hand in hands:
        palm = np.zeros(inside.shape, np.uint8)
        outline = cv2.convexHull(np.round(hand[[0, 1, 5, 9, 13, 17]]).astype(np.int32))
        cv2.fillConvexPoly(palm, outline, 1)
        held = lab[(palm > 0) & inside]
        if len(held) < 15:
            continue
        colour = np.median(held, 0)
        faint = np.hypot(*colour[1:]) < 0.7 * np.hypot(*colours[0][1:])
        if not faint and skin_distance(colour[None], np.array(colours[:1]))[0] < 0.8:
            colours.append(colour)
    return np.array(colours)


def skin_distance(
    colours: Float[np.ndarray, "*n 3"], centres: Float[np.ndarray, "k 3"]
) -> Float[np.ndarray, "*n"]:
    """Measure how far Lab colours are from the nearest skin colour; 1 is the border.

    Hue is held tightly; lightness and chroma loosely, because light and shade move them.
    """
    chroma = np.hypot(colours[..., 1], colours[..., 2]) + 1e-3
    hue = np.arctan2(colours[..., 2], colours[..., 1])
    best = np.full(chroma.shape, np.inf)
    for centre in centres:
        own_chroma = float(np.hypot(centre[1], centre[2])) + 1e-3
        turn = hue - np.arctan2(centre[2], centre[1])
        turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
        arc = np.sqrt(chroma * own_chroma) * turn / 10
        ratio = np.log(chroma / own_chroma)
        richer = np.where(ratio > 0, ratio / 0.75, -ratio / 0.55)
        darker = (colours[..., 0] - centre[0]) / 38
        best = np.minimum(best, np.sqrt(arc**2 + richer**2 + darker**2))
    return best
