"""Label every pixel of the person: skin, hair, upper clothes, lower clothes or shoes."""

from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from persona.perception.colours import Mixture, fit_mixture, log_density
from persona.perception.detectors import Picture, Plane, Sighting
from persona.perception.garments import ARMS, LEGS, Figure, Garments, read_garments
from persona.perception.skin import face_area, skin_colours, skin_distance
from persona.records.observation import Part

WORK_HEIGHT = 600
"""Person height at which parts are told apart [px]."""
LABELS = (Part.SKIN, Part.HAIR, Part.UPPER, Part.LOWER, Part.SHOES)
SKIN, HAIR, UPPER, LOWER, SHOES = range(5)
UNIFORM = float(np.log(1 / (100.0 * 80.0 * 80.0)))
"""Log density of any colour of ordinary pictures [per cubic Lab unit]."""
Scores: TypeAlias = Float[np.ndarray, "n 5"]
"""Log scores of `LABELS` for pixels."""


def label_parts(picture: Picture, mask: Plane, person: Sighting) -> Int[np.ndarray, "h w"]:
    """Guess what each pixel shows, from where it lies on the body and from its colour.

    Landmarks say what to expect at a place, borders of clothes are read along the limbs, colours
    are learned where the expectation is sure, and an edge-keeping filter makes neighbours agree.

    Args:
        picture: The whole photo.
        mask: Coverage by the person.
        person: Landmarks.

    Returns:
        A `Part` for each pixel; BACKGROUND where coverage is below one half.
    """
    rows, columns = np.nonzero(mask > 0.5)
    labels = np.zeros(mask.shape, np.int64)
    if not len(rows):
        return labels
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    box = (slice(top, bottom), slice(left, right))
    scale = min(1.0, WORK_HEIGHT / (bottom - top))
    figure, small = _figure(picture[box], mask[box], person, (left, top), scale)
    scores = _score(figure, read_garments(figure))
    beliefs = _agree(small, figure.inside, scores)
    size = (right - left, bottom - top)
    full = np.stack([cv2.resize(belief, size) for belief in beliefs])
    inside = mask[box] > 0.5
    labels[box] = np.where(inside, np.array(LABELS)[full.argmax(0)], Part.BACKGROUND)
    return labels


def _figure(
    crop: Picture, mask: Plane, person: Sighting, corner: tuple[int, int], scale: float
) -> tuple[Figure, Picture]:
    """Bring picture and landmarks to working size."""
    size = (max(round(crop.shape[1] * scale), 8), max(round(crop.shape[0] * scale), 8))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(small, 7, 30, 5)
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.5

    def place(points: np.ndarray | None) -> np.ndarray | None:
        return None if points is None else (points[:, :2] - corner) * scale

    face, hands = place(person.face), (place(person.left_hand), place(person.right_hand))
    seen = lab[inside]
    figure = Figure(
        lab=lab,
        inside=inside,
        body=(person.body - corner) * scale,
        face=face,
        hands=hands,
        torso=person.torso * scale,
        skin=skin_colours(lab, inside, face, tuple(hand for hand in hands if hand is not None)),
        gray=bool(seen[:, 1].std() + seen[:, 2].std() < 4.5) if len(seen) else True,
    )
    return figure, small


def _score(figure: Figure, garments: Garments) -> Scores:
    """Expectation plus colour evidence for every pixel of the person."""
    rows, columns = np.nonzero(figure.inside)
    pixels = np.stack([columns + 0.5, rows + 0.5], 1)
    expected = np.log(_expect(figure, garments, pixels) + 1e-3)
    colours = figure.lab[figure.inside]
    scores = expected + _colour_evidence(figure, expected, colours)
    if figure.face is not None:
        on_face = face_area(figure.face, figure.inside.shape, features=True)[figure.inside]
        scores[on_face] = (5.0, -5.0, -5.0, -5.0, -5.0)
    return scores


def _expect(figure: Figure, garments: Garments, pixels: Float[np.ndarray, "n 2"]) -> Scores:
    """What to expect at each pixel, from landmarks and borders of clothes; rows sum to one."""
    body, torso = figure.body, figure.torso
    shoulders, hips = body[11:13].mean(0), body[23:25].mean(0)
    down = hips - shoulders
    height = ((pixels - shoulders) @ down) / max(float(down @ down), 1e-6)
    trunk = cv2.convexHull(body[[11, 12, 24, 23]].astype(np.float32))
    beyond = _outside(trunk, pixels) / (0.22 * torso)
    choices = [_head(figure, pixels), (np.maximum(beyond, 0) + 0.5, _trunk(height, garments))]
    for side, arm in enumerate(ARMS):
        t, gap = _along(body[list(arm)], pixels)
        bare = _ramp(t, garments.sleeves[side])
        table = _mix(bare, (0.06, 0.02, 0.88, 0.04, 0.0), (0.88, 0.02, 0.07, 0.03, 0.0))
        choices.append((gap / (0.16 * torso), table))
        hand = figure.hands[side]
        if hand is not None:
            _, near = _along(hand[[0, 9, 12]], pixels)
            table = np.tile((0.85, 0.01, 0.08, 0.06, 0.0), (len(pixels), 1))
            choices.append((near / (0.12 * torso), table))
    for side, leg in enumerate(LEGS):
        t, gap = _along(body[list(leg)], pixels)
        choices.append((gap / (0.26 * torso), _leg(t, garments, side)))
        ankle, heel, toe = (body[index + side] for index in (27, 29, 31))
        gaps = [_along(np.stack(pair), pixels)[1] for pair in ((heel, toe), (ankle, toe))]
        foot = np.tile((0.15, 0.0, 0.0, 0.07, 0.78), (len(pixels), 1))
        choices.append((np.minimum(*gaps) / (0.1 * torso), foot))
    nearest = np.argmin([choice[0] for choice in choices], axis=0)
    tables = np.stack([choice[1] for choice in choices])
    return tables[nearest, np.arange(len(pixels))]


def _head(figure: Figure, pixels: Float[np.ndarray, "n 2"]) -> tuple[np.ndarray, Scores]:
    """Distance to the head, and what to expect around the face: hair above, neck below."""
    body, torso = figure.body, figure.torso
    if figure.face is not None:
        brow, chin = figure.face[10], figure.face[152]
        middle = figure.face.mean(0)
    else:
        away = body[7:9].mean(0) - body[11:13].mean(0)
        away = away / max(float(np.linalg.norm(away)), 1e-6)
        middle = body[:11].mean(0)
        brow, chin = middle + 0.17 * torso * away, middle - 0.19 * torso * away
    up = brow - chin
    rise = ((pixels - chin) @ up) / max(float(up @ up), 1e-6)
    gap = np.linalg.norm(pixels - (middle + 0.1 * up), axis=1) / (0.42 * torso)
    around, above, below = (
        np.array(row)
        for row in (
            (0.32, 0.62, 0.06, 0.0, 0.0),
            (0.08, 0.91, 0.01, 0.0, 0.0),
            (0.48, 0.17, 0.35, 0.0, 0.0),
        )
    )
    lift, drop = _ramp(rise, 0.8)[:, None], _ramp(-rise, 0.0)[:, None]
    return gap, (1 - lift) * ((1 - drop) * around + drop * below) + lift * above


def _trunk(height: Float[np.ndarray, " n"], garments: Garments) -> Scores:
    """What to expect on the trunk: one garment above the waist, another below."""
    upper, lower = (0.09, 0.06, 0.82, 0.03, 0.0), (0.06, 0.01, 0.08, 0.85, 0.0)
    if garments.one_piece:
        return np.tile(upper, (len(height), 1))
    return _mix(_ramp(height, garments.waist), upper, lower)


def _leg(t: Float[np.ndarray, " n"], garments: Garments, side: int) -> Scores:
    """What to expect along a leg: garments, skin, shoe."""
    cloth = _trunk(1 + t, garments)
    skin = np.array((0.86, 0.0, 0.01, 0.1, 0.03))
    shoe = np.array((0.2, 0.0, 0.0, 0.1, 0.7))
    bare = _ramp(t, garments.hems[side])[:, None]
    shod = _ramp(t, garments.ankles[side])[:, None]
    return (1 - shod) * ((1 - bare) * cloth + bare * skin) + shod * shoe


def _mix(share: Float[np.ndarray, " n"], before: tuple, after: tuple) -> Scores:
    """Blend two rows of expectations."""
    return (1 - share[:, None]) * np.array(before) + share[:, None] * np.array(after)


def _ramp(t: np.ndarray, border: float) -> np.ndarray:
    """0 before a border along a limb, 1 after it, within about six centimetres."""
    return 1 / (1 + np.exp(-np.clip((t - border) / 0.05, -30, 30)))


def _along(
    points: Float[np.ndarray, "k 2"], pixels: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Position along a chain of bones, and distance from it [px]; the last bone goes on a bit."""
    best_t, best_gap = np.zeros(len(pixels)), np.full(len(pixels), np.inf)
    last = len(points) - 2
    for bone in range(len(points) - 1):
        start, along = points[bone], points[bone + 1] - points[bone]
        share = ((pixels - start) @ along) / max(float(along @ along), 1e-6)
        held = np.clip(share, 0, 1.35 if bone == last else 1)
        gap = np.linalg.norm(pixels - start - held[:, None] * along, axis=1)
        closer = gap < best_gap
        best_t[closer], best_gap[closer] = bone + held[closer], gap[closer]
    return best_t, best_gap


def _outside(hull: np.ndarray, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Distance to a convex polygon [px], negative inside."""
    corners = hull[:, 0].astype(np.float64)
    worst = np.full(len(pixels), -np.inf)
    middle = corners.mean(0)
    for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
        normal = np.array([b[1] - a[1], a[0] - b[0]])
        normal /= max(float(np.linalg.norm(normal)), 1e-6)
        if (middle - a) @ normal > 0:
            normal = -normal
        worst = np.maximum(worst, (pixels - a) @ normal)
    return worst


def _colour_evidence(figure: Figure, expected: Scores, colours: Float[np.ndarray, "n 3"]) -> Scores:
    """How much each colour speaks for each part, learned where the expectation is sure."""
    evidence = np.zeros(expected.shape)
    distance = skin_distance(colours, figure.skin)
    chance = np.exp(expected)
    if not figure.gray:
        evidence[:, SKIN] = np.clip(3 * (1 - distance), -3, 2.5)
    for label in (HAIR, UPPER, LOWER, SHOES):
        sure = chance[:, label] > (0.7 if label != SHOES else 0.6)
        bare = sure & (distance < 0.8)
        if label != HAIR and not figure.gray and bare.sum() < 0.6 * sure.sum():
            sure &= ~bare
        if sure.sum() < 40:
            continue
        if label in (UPPER, LOWER, SHOES) and not figure.gray and bare.sum() >= 0.6 * sure.sum():
            # Bare where clothes were expected: believe the skin.
            evidence[:, label] = -2
            continue
        evidence[:, label] = _likelihood(colours, fit_mixture(colours[sure], colours=4, noise=3))
    return evidence


def _likelihood(colours: Float[np.ndarray, "n 3"], mixture: Mixture) -> Float[np.ndarray, " n"]:
    """Evidence of a colour for a mixture, against any colour whatsoever."""
    normal = -1.5 * np.log(2 * np.pi)
    return np.clip(0.4 * (log_density(colours, mixture) + normal - UNIFORM), -2, 3)


def _agree(small: Picture, inside: Bool[np.ndarray, "h w"], scores: Scores) -> list[Plane]:
    """Let neighbours of like colour agree, and drop specks."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shares = powers / powers.sum(1, keepdims=True)
    guide = np.ascontiguousarray(small)
    radius = max(3, round(0.012 * small.shape[0]))
    beliefs = []
    weight = cv2.blur(inside.astype(np.float32), (3, 3)) + 1e-3
    for label in range(len(LABELS)):
        plane = np.zeros(inside.shape, np.float32)
        plane[inside] = shares[:, label]
        beliefs.append(cv2.ximgproc.guidedFilter(guide, plane, radius, 60.0) / weight)
    winner = np.argmax(beliefs, 0)
    speck = 0.0006 * inside.sum()
    for label in range(len(LABELS)):
        own = ((winner == label) & inside).astype(np.uint8)
        count, pieces, stats, _ = cv2.connectedComponentsWithStats(own)
        small_ones = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] < speck]
        beliefs[label] = np.where(np.isin(pieces, small_ones) & (own > 0), 0, beliefs[label])
    return beliefs
