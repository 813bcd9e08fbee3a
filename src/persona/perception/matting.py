"""The person's mask with crisp edges: a guess, then colour models, then the picture's edges."""

import cv2
import numpy as np
from jaxtyping import Bool

from persona.perception.detectors import Picture, Plane, Sighting

CUT_HEIGHT = 720
"""Person height at which colours decide about pixels [px]: a finger is four pixels wide there."""
LIMBS = (
    (11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28),
    (27, 31), (28, 32), (27, 29), (28, 30), (29, 31), (30, 32),
)  # fmt: skip
"""Bones certainly inside the person, by MediaPipe Pose index."""
FINGERS = (
    (0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (0, 17, 18, 19, 20),
    (5, 9, 13, 17),
)  # fmt: skip
"""Chains of hand points, by MediaPipe Hands index."""


def person_mask(picture: Picture, person: Sighting) -> Plane:
    """Refine the segmenter's guess to coverage in [0, 1] with edges where the picture has them.

    The colours of person and background decide in a band around the guess (GrabCut), bones and
    fingers are held inside, and a guided filter moves the border onto the picture's edges at
    full resolution.

    Args:
        picture: The whole photo.
        person: Landmarks and coarse mask of the person.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = person.box()
    margin = 0.12 * (bottom - top)
    x0, x1 = max(int(left - margin), 0), min(int(right + margin) + 1, width)
    y0, y1 = max(int(top - margin), 0), min(int(bottom + margin) + 1, height)
    scale = min(1.0, CUT_HEIGHT / max(bottom - top, 1.0))
    crop = picture[y0:y1, x0:x1]
    size = (max(round((x1 - x0) * scale), 8), max(round((y1 - y0) * scale), 8))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    guess = cv2.resize(person.mask[y0:y1, x0:x1].astype(np.float32), size)
    bones = _bones(person, offset=(x0, y0), scale=scale, shape=guess.shape)
    inside = _cut_by_colour(small, guess, bones)
    coverage = _snap_to_edges(crop, small, inside.astype(np.float32))
    mask = np.zeros((height, width), np.float32)
    mask[y0:y1, x0:x1] = coverage
    return mask


def _bones(
    person: Sighting, *, offset: tuple[int, int], scale: float, shape: tuple[int, ...]
) -> Bool[np.ndarray, "h w"]:
    """Draw what is certainly the person: bones, trunk, face and fingers."""
    drawn = np.zeros(shape, np.uint8)
    origin = np.array(offset)

    def place(points: np.ndarray) -> np.ndarray:
        return np.round((points[..., :2] - origin) * scale).astype(np.int32)

    body, visible = place(person.body), person.visibility > 0.5
    thick = max(1, round(0.04 * person.torso * scale))
    for a, b in LIMBS:
        if visible[a] and visible[b]:
            cv2.line(drawn, body[a].tolist(), body[b].tolist(), 1, thick)
    trunk = body[[11, 12, 24, 23]]
    centre = trunk.mean(0)
    cv2.fillConvexPoly(drawn, np.round(centre + 0.8 * (trunk - centre)).astype(np.int32), 1)
    if person.face is not None:
        cv2.fillConvexPoly(drawn, cv2.convexHull(place(person.face)), 1)
    for hand in (person.left_hand, person.right_hand):
        if hand is not None:
            points = place(hand)
            for chain in FINGERS:
                cv2.polylines(drawn, [points[list(chain)]], isClosed=False, color=1)
    return drawn > 0


def _cut_by_colour(
    small: Picture, guess: Plane, bones: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Let the colours of person and background decide where the segmenter is unsure."""
    reach = max(3, round(0.02 * guess.shape[0]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    labels = np.where(guess > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    far = cv2.dilate((guess > 0.15).astype(np.uint8), disc) == 0
    core = cv2.erode((guess > 0.9).astype(np.uint8), disc, borderValue=1) > 0
    labels[far] = cv2.GC_BGD
    labels[core] = cv2.GC_FGD
    labels[bones & (guess > 0.1)] = cv2.GC_FGD
    if not (labels % 2 == 1).any() or not (labels % 2 == 0).any():
        return guess > 0.5
    smooth = cv2.bilateralFilter(np.ascontiguousarray(small[..., ::-1]), 5, 25, 5)
    cv2.setRNGSeed(0)
    cv2.grabCut(
        smooth, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK
    )
    return _without_islands((labels % 2 == 1), bones)


def _without_islands(
    inside: Bool[np.ndarray, "h w"], bones: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Keep the pieces that hold a bone, and fill holes too small to be a gap between limbs."""
    _, pieces = cv2.connectedComponents(inside.astype(np.uint8))
    kept = np.isin(pieces, np.setdiff1d(np.unique(pieces[bones & inside]), [0]))
    count, holes, stats, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8))
    speck = (0.006 * inside.shape[0]) ** 2
    for hole in range(1, count):
        if stats[hole, cv2.CC_STAT_AREA] < speck:
            kept |= holes == hole
    return kept


def _snap_to_edges(crop: Picture, small: Picture, inside: Plane) -> Plane:
    """Turn a hard mask at working size into coverage at full size, along the picture's edges."""
    # Fast guided filter: the local linear model is solved at the small size and applied to the
    # full picture, so edges come out as sharp as the photo has them.
    radius, softness = 3, 1e-4
    guide = small.astype(np.float32) / 255
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, window)

    centre, level = mean(guide), mean(inside)
    covariance = mean(guide * inside[..., None]) - centre * level[..., None]
    products = mean((guide[..., :, None] * guide[..., None, :]).reshape(*guide.shape[:2], 9))
    spread = products.reshape(*guide.shape[:2], 3, 3) - centre[..., :, None] * centre[..., None, :]
    slope = np.linalg.solve(spread + softness * np.eye(3), covariance[..., None])[..., 0]
    offset = level - (slope * centre).sum(-1)
    size = (crop.shape[1], crop.shape[0])
    slope_full = cv2.resize(mean(slope.astype(np.float32)), size)
    offset_full = cv2.resize(mean(offset.astype(np.float32)), size)
    soft = (slope_full * (crop.astype(np.float32) / 255)).sum(-1) + offset_full
    # The filter leaves a veil a few pixels wide; a steeper ramp about one half removes it.
    sharp = np.clip((soft - 0.5) * 1.8 + 0.5, 0, 1)
    return sharp.astype(np.float32)
