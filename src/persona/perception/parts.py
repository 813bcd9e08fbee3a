"""Label every pixel of the person: skin, hair, upper clothes, lower clothes or shoes."""

from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from persona.perception.colours import Mixture, fit_mixture, log_density
from persona.perception.detectors import Picture, Plane, Sighting, SmallPicture
from persona.perception.garments import ARMS, LEGS, Figure, Garments, read_garments
from persona.perception.skin import face_area, skin_colours, skin_distance
from persona.records.observation import Part

WORK_HEIGHT = 600
"""Person height at which parts are told apart [px]."""
LABELS = (Part.SKIN, Part.HAIR, Part.UPPER, Part.LOWER, Part.SHOES)
SLIVER = 0.05
"""Half the width of the thinnest lock of hair that is believed beside a face [face widths]."""
BESIDE = 0.12
"""How far from the face that is doubted [face widths]."""
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
    labels = np.zeros(mask.shape, np.int64)
    if not (mask > 0.5).any():
        return labels
    left, top, right, bottom = _bounds(mask)
    box = (slice(top, bottom), slice(left, right))
    figure, small = make_figure(picture, mask, person)
    scores = _score(figure, read_garments(figure))
    beliefs = _agree(small, figure.inside, scores)
    beliefs[HAIR] = np.where(_face_rim(figure, beliefs), 0, beliefs[HAIR])
    size = (right - left, bottom - top)
    full = np.stack([cv2.resize(belief, size) for belief in beliefs])
    inside = mask[box] > 0.5
    labels[box] = np.where(inside, np.array(LABELS)[full.argmax(0)], Part.BACKGROUND)
    return labels


def _face_rim(figure: Figure, beliefs: list[Plane]) -> Bool[np.ndarray, "h w"]:
    """Find slivers that pass for hair along a face: its last pixels are mixed or shaded."""
    hair = ((np.argmax(beliefs, 0) == HAIR) & figure.inside).astype(np.uint8)
    if figure.face is None:
        return np.zeros(hair.shape, bool)
    width = float(np.ptp(figure.face[:, 0]))
    locks = cv2.morphologyEx(hair, cv2.MORPH_OPEN, _disk(SLIVER * width))
    locks = cv2.dilate(locks, np.ones((3, 3), np.uint8))
    beside = cv2.dilate(
        face_area(figure.face, hair.shape, features=True).astype(np.uint8), _disk(BESIDE * width)
    )
    return (hair > 0) & (beside > 0) & (locks == 0)


def _disk(radius: float) -> np.ndarray:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def make_figure(picture: Picture, mask: Plane, person: Sighting) -> tuple[Figure, SmallPicture]:
    """Bring a person to the size at which parts are told apart.

    Args:
        picture: The whole photo.
        mask: Coverage by the person, somewhere above one half.
        person: Landmarks.

    Returns:
        The figure, and its picture.
    """
    left, top, right, bottom = _bounds(mask)
    box, corner = (slice(top, bottom), slice(left, right)), (left, top)
    crop, scale = picture[box], min(1.0, WORK_HEIGHT / (bottom - top))
    size = (max(round(crop.shape[1] * scale), 8), max(round(crop.shape[0] * scale), 8))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(small, 7, 30, 5)
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    inside = cv2.resize(mask[box], size, interpolation=cv2.INTER_AREA) > 0.5

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


def _bounds(mask: Plane) -> tuple[int, int, int, int]:
    """Give the person's bounds: left, top, right, bottom [px]."""
    rows, columns = np.nonzero(mask > 0.5)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _score(figure: Figure, garments: Garments) -> Scores:
    """Expectation plus colour evidence for every pixel of the person."""
    rows, columns = np.nonzero(figure.inside)
    pixels = np.stack([columns + 0.5, rows + 0.5], 1)
    expected = np.log(_expect(figure, garments, pixels) + 1e-3)
    scores = expected + _colour_evidence(figure, garments, pixels, expected)
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
    aside = np.abs((pixels - chin) @ np.array([-up[1], up[0]])) / max(float(up @ up), 1e-6)
    around, above, throat, nape = (
        np.array(row)
        for row in (
            (0.32, 0.62, 0.06, 0.0, 0.0),
            (0.08, 0.91, 0.01, 0.0, 0.0),
            # Shade under the chin is as dark as hair, which hangs beside the throat, not before it.
            (0.6, 0.01, 0.39, 0.0, 0.0),
            (0.3, 0.35, 0.35, 0.0, 0.0),
        )
    )
    lift, drop = _ramp(rise, 0.8)[:, None], _ramp(-rise, -0.12)[:, None]
    beside = _ramp(aside, 0.38)[:, None]
    below = (1 - beside) * throat + beside * nape
    return gap, (1 - lift) * ((1 - drop) * around + drop * below) + lift * above


def _trunk(height: Float[np.ndarray, " n"], garments: Garments) -> Scores:
    """What to expect on the trunk: one garment above the waist, another below."""
    upper, lower = (0.09, 0.06, 0.82, 0.03, 0.0), (0.06, 0.01, 0.08, 0.85, 0.0)
    if garments.one_piece:
        return np.tile(upper, (len(height), 1))
    # Jackets hang open over belts and shirts over trousers: colours decide near the waist,
    # which is also where tops end above bare skin.
    table = _mix(_ramp(height, garments.waist, width=0.1), upper, lower)
    midriff = 0.15 * np.exp(-(((height - garments.waist) / 0.15) ** 2))[:, None]
    return (1 - midriff) * table + midriff * np.array((1.0, 0.0, 0.0, 0.0, 0.0))


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


def _ramp(t: np.ndarray, border: float, *, width: float = 0.05) -> np.ndarray:
    """0 before a border along a limb, 1 after it, within a few centimetres."""
    return 1 / (1 + np.exp(-np.clip((t - border) / width, -30, 30)))


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


def _colour_evidence(
    figure: Figure, garments: Garments, pixels: Float[np.ndarray, "n 2"], expected: Scores
) -> Scores:
    """How much each colour speaks for each part, learned where the expectation is sure."""
    evidence = np.zeros(expected.shape)
    colours = figure.lab[figure.inside]
    distance = skin_distance(colours, garments.skin)
    if not figure.gray:
        evidence[:, SKIN] = np.clip(3 * (1.1 - distance), -1.5, 2.5)
    sure = _sure_places(figure, garments, pixels, expected)
    hair = _learn(colours, sure[:, HAIR])
    loose = _loose_hair(figure, hair, pixels, expected, sure)
    evidence[:, HAIR] = hair + 2.5 * loose
    for label in (UPPER, LOWER, SHOES):
        places = sure[:, label] & ~loose
        bare = places & (distance < (0.45 if label == SHOES else 0.8))
        if not figure.gray and bare.sum() > (0.8 if label == SHOES else 0.6) * places.sum():
            # Bare where clothes were expected: believe the skin.
            evidence[:, label] = -2
            continue
        # Pale cloth is near to skin; bare waists in glaring light are near to pale cloth.
        cloth = places & (distance > (0.45 if label == SHOES else 1.1))
        cloth = cloth if cloth.sum() > 0.4 * places.sum() else places & ~bare
        evidence[:, label] = _learn(colours, cloth)
        if label == SHOES:
            # Shoes may be as brown as skin; then the place decides.
            there = np.exp(expected[:, SHOES]) > 0.5
            evidence[there, SKIN] = np.minimum(evidence[there, SKIN], evidence[there, SHOES])
    return evidence


def _learn(colours: Float[np.ndarray, "n 3"], places: Bool[np.ndarray, " n"]) -> np.ndarray:
    """Evidence of every colour for what is seen at these places; none when they are few."""
    if places.sum() < 40:
        return np.zeros(len(colours))
    return _likelihood(colours, fit_mixture(colours[places], colours=4, noise=3))


def _sure_places(
    figure: Figure, garments: Garments, pixels: Float[np.ndarray, "n 2"], expected: Scores
) -> Bool[np.ndarray, "n 5"]:
    """Where each part shows almost certainly, so that its colours can be learned."""
    chance = np.exp(expected)
    sure = chance > (2.0, 0.8, 0.7, 0.7, 0.6)
    if not garments.one_piece:
        # Open jackets hang below the waist: the lower garment is learned on the thighs.
        thighs = [_along(figure.body[list(leg)], pixels)[0] for leg in LEGS]
        from_hip = 0.4 if min(garments.hems) > 0.8 else 0.2
        sure[:, LOWER] &= np.maximum(*thighs) > max(from_hip, garments.waist - 0.85)
    return sure


def _loose_hair(
    figure: Figure,
    likely: Float[np.ndarray, " n"],
    pixels: Float[np.ndarray, "n 2"],
    expected: Scores,
    sure: Bool[np.ndarray, "n 5"],
) -> Bool[np.ndarray, " n"]:
    """Hair that falls over shoulders and chest: hair-coloured and connected to the head's hair.

    When most of the garment would count as hair, hair and garment have one colour, and places
    decide alone.
    """
    head = figure.body[:11].mean(0)
    like = (likely > 1.0) & (np.linalg.norm(pixels - head, axis=1) < 1.2 * figure.torso)
    flags = np.zeros(figure.inside.shape, np.uint8)
    flags[figure.inside] = like
    _, pieces = cv2.connectedComponents(cv2.morphologyEx(flags, cv2.MORPH_OPEN, np.ones((3, 3))))
    piece = pieces[figure.inside]
    loose = np.isin(piece, np.setdiff1d(np.unique(piece[sure[:, HAIR]]), [0]))
    # The shade of the throat has the colour of brown hair; what passes for skin is not hair.
    bare = skin_distance(figure.lab[figure.inside], figure.skin) < 0.7
    loose &= (expected[:, HAIR] > np.log(0.015)) & ~bare & (not figure.gray)
    if (loose & sure[:, UPPER]).sum() > 0.45 * sure[:, UPPER].sum():
        return np.zeros(len(pixels), bool)
    return loose


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
