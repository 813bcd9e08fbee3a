"""Body, hand and face keypoints of one person, looked at again from close by."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from persona.perception.detectors import (
    DETECTION_SIZES,
    Detectors,
    Picture,
    Sighting,
    Window,
)

CLOSE_PIXELS = 896
"""Window size for the second look [px]: hands keep enough pixels for the hand model."""
SAME_HAND = 0.12
"""Two hands closer than this, in hand sizes, are one; palms joined in prayer differ more."""
MOST_MOVED = 0.2
"""How far two looks at one person may differ, in torso lengths; measured: 0.13 at worst."""
WRISTS = {"left": 15, "right": 16}
"""MediaPipe Pose's own left and right wrist."""
ELBOWS = {"left": 13, "right": 14}


def whole_picture(picture: Picture) -> Window:
    """The square window around the whole picture."""
    height, width = picture.shape[:2]
    return Window.around((0, 0, width, height), margin=0.02)


def first_look(picture: Picture, detectors: Detectors, *, thorough: bool = True) -> Sighting | None:
    """Look for anyone in the whole picture, then in its parts; None when nobody shows up.

    Args:
        picture: The whole photo.
        detectors: Where the models live.
        thorough: Look at every size and in every part; otherwise only at the whole, once.
    """
    whole = whole_picture(picture)
    for pixels in DETECTION_SIZES if thorough else DETECTION_SIZES[:1]:
        found = detectors.person(picture, whole, pixels=pixels)
        if found is not None and confirmed(picture, detectors, found):
            return found
    if not thorough:
        return None
    height, width = picture.shape[:2]
    for share in (0.6, 0.35):
        side = share * max(height, width)
        for top in np.linspace(0, max(height - side, 0), 1 + round(height / side)):
            for left in np.linspace(0, max(width - side, 0), 1 + round(width / side)):
                found = detectors.person(picture, Window(left, top, side), pixels=512)
                if found is not None and confirmed(picture, detectors, found):
                    return found
    return None


def confirmed(picture: Picture, detectors: Detectors, found: Sighting) -> bool:
    """Whether a find survives more looks, one of them in the mirror.

    The pose model finds "people" in cups and cars; those dissolve or jump when the window moves.
    On real people the middles of shoulders, hips, knees and ankles stay within a tenth of the
    torso, unless a neighbour gets the attention: then a third, closer look decides.
    """
    limit = MOST_MOVED * found.torso
    window = Window.around(found.box, margin=0.15)
    again = detectors.person(picture, window, pixels=512)
    mirrored = detectors.person(picture, window, pixels=512, mirrored=True)
    agree = [
        again is not None and _moved(again.body, found.body) < limit,
        mirrored is not None and _moved(mirrored.body, found.body) < limit,
    ]
    if agree[0] == agree[1]:
        return agree[0]
    close = detectors.person(picture, Window.around(found.box, margin=0.05), pixels=512)
    return close is not None and _moved(close.body, found.body) < limit


def _moved(body: Float[np.ndarray, "33 2"], other: Float[np.ndarray, "33 2"]) -> float:
    """Median distance between the middles of paired joints, which mirroring leaves alone [px]."""
    middles = [(one[11::2][:9] + one[12::2][:9])[[0, 6, 7, 8]] / 2 for one in (body, other)]
    return float(np.median(np.linalg.norm(middles[0] - middles[1], axis=1)))


def closer_look(picture: Picture, detectors: Detectors, found: Sighting) -> Sighting:
    """Look again at a window around the person; keep whichever look saw more.

    A person who fills the window gives hands and face more pixels, and the segmenter too, whose
    guess is averaged with its guess in the mirror.
    """
    best = found
    for margin in (0.1, 0.25):
        window = Window.around(found.box, margin=margin)
        again = detectors.person(picture, window, pixels=CLOSE_PIXELS)
        if again is None or _overlap(again, found) < 0.5:
            continue
        if _seen(again) >= _seen(best) - 0.3:
            best = again
            break
    window = Window.around(best.box, margin=0.1)
    mirrored = detectors.person(picture, window, pixels=512, mirrored=True)
    if mirrored is None or _moved(mirrored.body, best.body) > MOST_MOVED * best.torso:
        return best
    return replace(best, mask=0.5 * (best.mask + mirrored.mask))


def complete(picture: Picture, detectors: Detectors, person: Sighting) -> Sighting:
    """Look for face and hands where the holistic model saw none; drop what cannot be theirs."""
    face = person.face
    if face is None or not _face_fits(face, person):
        face = _find_face(picture, detectors, person)
    hands = {}
    for side in ("left", "right"):
        points = person.left_hand if side == "left" else person.right_hand
        if points is None or not _hand_fits(points, side, person):
            points = _find_hand(picture, detectors, person, side)
        hands[side] = points
    if _same_hand(hands["left"], hands["right"]):
        # One hand was seen twice: it belongs to the nearer wrist.
        far = max(hands, key=lambda side: _wrist_gap(hands[side], side, person))
        hands[far] = None
    return replace(person, face=face, left_hand=hands["left"], right_hand=hands["right"])


def _seen(person: Sighting) -> float:
    """How much of the person a look explains: visible share plus a bonus for face and hands."""
    extras = (person.face, person.left_hand, person.right_hand)
    return float(person.visibility.mean()) + 0.1 * sum(part is not None for part in extras)


def _overlap(a: Sighting, b: Sighting) -> float:
    """Intersection over union of two people's boxes."""
    first, second = a.box, b.box
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    shared = max(right - left, 0) * max(bottom - top, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / max(sum(areas) - shared, 1e-6)


def _face_fits(face: Float[np.ndarray, "478 3"], person: Sighting) -> bool:
    """Whether a face mesh sits where the body has its face, with a believable size."""
    size = float(np.ptp(face[:, 1]))
    gap = float(np.linalg.norm(face[:, :2].mean(0) - person.body[:11].mean(0)))
    return 0.15 * person.torso < size < 0.9 * person.torso and gap < 0.6 * size


def _find_face(
    picture: Picture, detectors: Detectors, person: Sighting
) -> Float[np.ndarray, "478 3"] | None:
    """Run the face model alone around the head."""
    head = person.body[:11]
    centre, reach = head.mean(0), max(float(np.ptp(head, axis=0).max()), 0.25 * person.torso)
    for grow in (1.2, 1.8):
        window = Window(centre[0] - grow * reach, centre[1] - grow * reach, 2 * grow * reach)
        face = detectors.face_mesh(picture, window, pixels=384)
        if face is not None and _face_fits(face, person):
            return face
    return None


def _wrist_gap(points: Float[np.ndarray, "21 3"] | None, side: str, person: Sighting) -> float:
    """Distance between a hand's wrist and the body's [px]; infinite without a hand."""
    if points is None:
        return float("inf")
    return float(np.linalg.norm(points[0, :2] - person.body[WRISTS[side]]))


def _hand_fits(points: Float[np.ndarray, "21 3"], side: str, person: Sighting) -> bool:
    """Whether a hand grows out of this wrist, has a hand's size and lies on the person.

    A palm (wrist to middle knuckle) measures about a fifth of the torso; foreshortening makes it
    shorter, a hand held towards the camera longer.
    """
    palm = float(np.linalg.norm(points[9, :2] - points[0, :2]))
    length = float(np.linalg.norm(points[:, :2] - points[0, :2], axis=1).max())
    if not 0.1 * person.torso < length < 0.8 * person.torso or palm > 0.4 * person.torso:
        return False
    if _wrist_gap(points, side, person) > 0.25 * person.torso:
        return False
    height, width = person.mask.shape
    columns = np.clip(points[:, 0].astype(int), 0, width - 1)
    rows = np.clip(points[:, 1].astype(int), 0, height - 1)
    return float((person.mask[rows, columns] > 0.1).mean()) > 0.6


def _find_hand(
    picture: Picture, detectors: Detectors, person: Sighting, side: str
) -> Float[np.ndarray, "21 3"] | None:
    """Run the hand model alone around the wrist, in two sizes and in the mirror."""
    wrist, elbow = person.body[WRISTS[side]], person.body[ELBOWS[side]]
    centre = wrist + 0.3 * (wrist - elbow)
    for reach, mirrored in ((0.4, False), (0.4, True), (0.65, False), (0.65, True)):
        half = reach * person.torso
        window = Window(centre[0] - half, centre[1] - half, 2 * half)
        found = [
            (score if own == side else score - 0.5, points)
            for own, score, points in detectors.hands(
                picture, window, pixels=384, mirrored=mirrored
            )
            if _hand_fits(points, side, person)
        ]
        if found:
            return max(found, key=lambda one: one[0])[1]
    return None


def _same_hand(
    left: Float[np.ndarray, "21 3"] | None, right: Float[np.ndarray, "21 3"] | None
) -> bool:
    """Whether both hands are one hand seen twice."""
    if left is None or right is None:
        return False
    size = max(float(np.ptp(left[:, :2], axis=0).max()), 1.0)
    return float(np.linalg.norm(left[:, :2] - right[:, :2], axis=1).mean()) < SAME_HAND * size
