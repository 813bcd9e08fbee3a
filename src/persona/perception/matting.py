"""The person's mask with crisp edges: a guess, then colour models, then the picture's edges."""

from dataclasses import replace

import cv2
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Bool, Float

from persona.perception.colours import fit_mixture, log_density
from persona.perception.detectors import (
    Detectors,
    Picture,
    Plane,
    Sighting,
    SmallPicture,
    SmallPlane,
    Window,
)

CUT_HEIGHT = 720
"""Person height at which colours decide about pixels [px]: a finger is four pixels wide there."""
PORTRAIT_REACH = 0.75
"""Half the portrait segmenter's window, in torso lengths: head, shoulders and chest."""
BAND = 0.02
"""Half-width of the undecided band about the segmenter's border, in picture heights."""
EDGE = 4.0
"""Colour step between neighbours that makes a border likely [Lab units]."""
PULL, WEAK_PULL = 0.1, 0.003
"""Weight of a sure and of an unsure pixel's own belief against a like-coloured neighbour's."""
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
    left, top, right, bottom = person.box
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


def with_portrait(picture: Picture, detectors: Detectors, person: Sighting) -> Sighting:
    """Sharpen the guess about head and chest with the segmenter made for portraits.

    It sees hats, buns and loose hair that the whole-body segmenter leaves out, but is lost below
    the hips, and takes bystanders for part of the portrait: so it is asked only about head and
    chest, and believed only near the person and only where the two agree on the whole.
    """
    head = person.body[:11].mean(0)
    side = 2 * PORTRAIT_REACH * person.torso
    window = Window(head[0] - 0.5 * side, head[1] - 0.4 * side, side)
    height, width = picture.shape[:2]
    top, bottom = np.clip([int(window.top), int(window.top + side)], 0, height)
    left, right = np.clip([int(window.left), int(window.left + side)], 0, width)
    if top == bottom or left == right:
        return person
    here = (slice(top, bottom), slice(left, right))
    portrait, guess = detectors.portrait(picture, window)[here], person.mask[here]
    rows, columns = np.mgrid[top:bottom, left:right]
    from_middle = np.maximum(
        np.abs(columns + 0.5 - window.left - 0.5 * side),
        np.abs(rows + 0.5 - window.top - 0.5 * side),
    )
    weight = np.clip((0.5 * side - from_middle) / (0.15 * side), 0, 1)
    near = cv2.GaussianBlur(guess, (0, 0), 0.06 * person.torso)
    weight *= np.clip(near / 0.05, 0, 1)
    both = ((portrait > 0.5) & (guess > 0.5) & (weight > 0.5)).sum()
    either = (((portrait > 0.5) | (guess > 0.5)) & (weight > 0.5)).sum()
    if both < 0.75 * either:
        return person
    mask = person.mask.copy()
    mask[here] = (1 - weight) * guess + weight * portrait
    return replace(person, mask=mask)


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
        # Turned faces reach over the cheek's edge a little; their inner part does not.
        middle = person.face.mean(0)
        cv2.fillConvexPoly(drawn, cv2.convexHull(place(middle + 0.8 * (person.face - middle))), 1)
    for hand in (person.left_hand, person.right_hand):
        if hand is not None:
            points = place(hand)
            for chain in FINGERS:
                cv2.polylines(drawn, [points[list(chain)]], isClosed=False, color=1)
    return drawn > 0


def _cut_by_colour(
    small: Picture, guess: Plane, bones: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Let local colours and edges decide in a band around the segmenter's border."""
    soft = cv2.GaussianBlur(guess, (0, 0), 1.5)
    distance = _signed_distance(soft > 0.5)
    band = BAND * guess.shape[0]
    inside = (distance > band) & (soft > 0.9) | (distance > 2 * band) | (bones & (soft > 0.3))
    outside = ((distance < -band) & (soft < 0.05)) | (distance < -2 * band)
    if not inside.any() or not outside.any():
        return soft > 0.5
    smooth = cv2.bilateralFilter(small, 5, 25, 5)
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    evidence = local_colours(lab, inside=inside, outside=outside, reach=round(3 * band))
    sure = np.clip(soft, 0.01, 0.99)
    belief = _logistic(np.log(sure / (1 - sure)) + evidence)
    settled = settle(lab, belief, inside=inside, outside=outside)
    return _without_islands(settled > 0.5, bones)


def _signed_distance(inside: Bool[np.ndarray, "h w"]) -> Plane:
    """Distance to the border [px], positive inside."""
    flags = inside.astype(np.uint8)
    to_border = cv2.distanceTransform(flags, cv2.DIST_L2, 5)
    return to_border - cv2.distanceTransform(1 - flags, cv2.DIST_L2, 5)


def local_colours(
    lab: Float[np.ndarray, "h w 3"],
    *,
    inside: Bool[np.ndarray, "h w"],
    outside: Bool[np.ndarray, "h w"],
    reach: int,
) -> Plane:
    """Compare undecided pixels with the colours of person and background nearby.

    White shorts in front of a white wall defeat colours, a red shirt in front of it does not:
    every window along the border has colours of its own, and is believed as far as those tell
    its own decided pixels apart. A colour seen on neither side says nothing.

    Returns:
        Log odds for the person, 0 where colours say nothing.

    References:
        Bai et al., "Video SnapCut", SIGGRAPH 2009, section 3: localised colour classifiers.
    """
    undecided = ~(inside | outside)
    total, weights = np.zeros(inside.shape), np.full(inside.shape, 1e-9)
    step = max(2 * reach // 3, 1)
    hat = 1 - np.abs(np.linspace(-1, 1, 2 * reach + 1))
    hat = np.minimum.outer(hat, hat) + 1e-3
    for row in range(0, inside.shape[0] + step, step):
        for column in range(0, inside.shape[1] + step, step):
            near = (
                slice(max(row - step, 0), row + step),
                slice(max(column - step, 0), column + step),
            )
            if not undecided[near].any():
                continue
            top, left = max(row - reach, 0), max(column - reach, 0)
            window = (slice(top, row + reach + 1), slice(left, column + reach + 1))
            here = undecided[window]
            patch = lab[window]
            person, ground = patch[inside[window]], patch[outside[window]]
            if len(person) < 30 or len(ground) < 30:
                continue
            weight = hat[top - row + reach :, left - column + reach :]
            weight = weight[: here.shape[0], : here.shape[1]][here]
            total[window][here] += weight * _odds(patch[here], person, ground)
            weights[window][here] += weight
    return total / weights


def _odds(
    colours: Float[np.ndarray, "n 3"],
    person: Float[np.ndarray, "a 3"],
    ground: Float[np.ndarray, "b 3"],
) -> Float[np.ndarray, " n"]:
    """Log odds that colours are the person's, less where the two sides look alike."""
    person, ground = (side[:: max(len(side) // 300, 1)] for side in (person, ground))
    ours, theirs = fit_mixture(person), fit_mixture(ground)
    both = np.concatenate([person, ground, colours])
    odds = np.clip(log_density(both, ours) - log_density(both, theirs), -4, 4)
    chance = _logistic(odds)
    right = 0.5 * (chance[: len(person)].mean() + 1)
    right -= 0.5 * chance[len(person) : len(person) + len(ground)].mean()
    return np.clip(2 * right - 1, 0, 1) ** 2 * odds[len(person) + len(ground) :]


def _logistic(odds: np.ndarray) -> np.ndarray:
    """Probability from log odds."""
    return 1 / (1 + np.exp(-odds))


def settle(
    lab: Float[np.ndarray, "h w 3"],
    belief: Plane,
    *,
    inside: Bool[np.ndarray, "h w"],
    outside: Bool[np.ndarray, "h w"],
) -> Plane:
    """Let neighbours of like colour agree while decided pixels stay as they are.

    Minimises sum of w_ij (x_i - x_j)^2 + p_i (x_i - belief_i)^2, w falling with the colour step
    between neighbours: a border costs least along the picture's edges.

    References:
        Grady, "Multilabel random walker image segmentation using prior models", CVPR 2005.
    """
    fixed = inside | outside
    free = ~fixed
    number = np.cumsum(free.ravel()).reshape(free.shape) - 1
    count = int(free.sum())
    values = inside.astype(np.float64)
    pull = WEAK_PULL + PULL * np.abs(2 * belief[free] - 1) ** 3
    diagonal = pull.copy()
    right = pull * belief[free]
    rows, columns, weights = [], [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        near = (
            slice(0, free.shape[0] - down),
            slice(max(-across, 0), free.shape[1] - max(across, 0)),
        )
        far = (slice(down, None), slice(max(across, 0), free.shape[1] + min(across, 0)))
        step = ((lab[near] - lab[far]) ** 2).sum(-1)
        weight = np.exp(-step / (2 * EDGE**2)) / np.hypot(down, across) + 1e-4
        both = free[near] & free[far]
        i, j, w = number[near][both], number[far][both], weight[both]
        rows += [i, j]
        columns += [j, i]
        weights += [-w, -w]
        np.add.at(diagonal, i, w)
        np.add.at(diagonal, j, w)
        for here, there in ((near, far), (far, near)):
            edge = free[here] & fixed[there]
            np.add.at(diagonal, number[here][edge], weight[edge])
            np.add.at(right, number[here][edge], weight[edge] * values[there][edge])
    every = np.arange(count)
    system = scipy.sparse.csr_matrix(
        (
            np.concatenate([*weights, diagonal]),
            (np.concatenate([*rows, every]), np.concatenate([*columns, every])),
        ),
        shape=(count, count),
    )
    scale = scipy.sparse.diags(1 / diagonal)
    solution, _ = scipy.sparse.linalg.cg(system, right, x0=belief[free], M=scale, maxiter=200)
    values[free] = solution
    return values


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


def _snap_to_edges(crop: Picture, small: SmallPicture, inside: SmallPlane) -> Plane:
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
