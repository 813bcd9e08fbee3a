"""Is this photo good enough, and what would make it better?"""

import cv2
import numpy as np

from persona.perception.detectors import Picture, Plane, Sighting

LOW_HEIGHT = 512
"""Below this height of the person details are lost [px]."""
SMALL_SHARE = 0.4
"""A person should fill at least this share of the picture's height."""


def quality_warnings(picture: Picture, mask: Plane, person: Sighting) -> tuple[str, ...]:
    """Say in sentences what about the photo will show in the avatar.

    Args:
        picture: The whole photo.
        mask: Coverage by the person.
        person: What was seen.
    """
    checks = (
        _size(picture, person),
        _face(person),
        _turned(person),
        _drawn(picture, person),
        _gray(picture, mask),
        _light(picture, mask),
        _sharpness(picture, mask, person),
        _hands(person),
    )
    return tuple(warning for warning in checks if warning is not None)


def _size(picture: Picture, person: Sighting) -> str | None:
    _, top, _, bottom = person.box
    tall, share = bottom - top, (bottom - top) / picture.shape[0]
    if tall < LOW_HEIGHT:
        return f"the person is small, {tall:.0f} px tall: details stay blurred; use a larger photo"
    if share < SMALL_SHARE:
        return f"the person is small, {share:.0%} of the picture's height: come closer or crop"
    return None


def _face(person: Sighting) -> str | None:
    if person.face is not None:
        return None
    return "no face was made out: it is small, covered or turned away, and was left plain"


def _turned(person: Sighting) -> str | None:
    turned = (person.body[11, 0] - person.body[12, 0]) / person.torso
    if abs(turned) > 0.2:
        return None
    return "the person is seen from the side: the far side was invented"


def _drawn(picture: Picture, person: Sighting) -> str | None:
    """Warn about drawings: their faces carry almost no shading.

    The spread of lightness over a face is 11-26 on photos of people and 8 on a drawing.
    """
    if person.face is None or float(np.ptp(person.face[:, 1])) < 70:
        # Small faces lose their shading to blur.
        return None
    drawn = np.zeros(picture.shape[:2], np.uint8)
    hull = cv2.convexHull(np.round(person.face[:, :2]).astype(np.int32))
    cv2.fillConvexPoly(drawn, hull, 1)
    seen = picture[drawn > 0].astype(np.float32)[None] / 255
    if seen.size == 0:
        return None
    lightness = cv2.cvtColor(seen, cv2.COLOR_RGB2LAB)[0, :, 0]
    if float(lightness.std()) > 9.5:
        return None
    return "this looks like a cartoon or a drawing: body and face are fitted as if it were a photo"


def _gray(picture: Picture, mask: Plane) -> str | None:
    seen = picture[mask > 0.5].astype(np.float32)[None] / 255
    lab = cv2.cvtColor(seen, cv2.COLOR_RGB2LAB)[0]
    if float(lab[:, 1].std() + lab[:, 2].std()) > 4.5:
        return None
    return "the photo is grey (black and white): skin and cloth differ in lightness alone"


def _light(picture: Picture, mask: Plane) -> str | None:
    level = picture[mask > 0.5].mean(1)
    if float(np.percentile(level, 90)) < 70:
        return "the photo is dark: take it in daylight"
    if float((level > 252).mean()) > 0.25:
        return "the photo is overexposed: much of the person is plain white"
    return None


def _sharpness(picture: Picture, mask: Plane, person: Sighting) -> str | None:
    """Warn about blur: the finest detail must carry some of the contrast of the next coarser."""
    scale = min(1.0, 768 / max(person.box[3] - person.box[1], 1.0))
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask, (small.shape[1], small.shape[0])) > 0.95
    inside = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if inside.sum() < 1000:
        return None
    blurred = [small] + [cv2.GaussianBlur(small, (0, 0), sigma) for sigma in (1.0, 3.0)]
    fine = float((blurred[0] - blurred[1])[inside].std())
    coarse = float((blurred[1] - blurred[2])[inside].std())
    if fine > 0.18 * coarse:
        return None
    return "the photo is blurred: hold the camera still and focus on the person"


def _hands(person: Sighting) -> str | None:
    unseen = [
        side
        for side, hand in (("left", person.left_hand), ("right", person.right_hand))
        if hand is None
    ]
    if not unseen:
        return None
    which = "neither hand was" if len(unseen) == 2 else f"the {unseen[0]} hand was not"
    return f"{which} made out: it was given a relaxed pose"
