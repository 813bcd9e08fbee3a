"""Label every pixel of the person: skin, hair, upper clothes, lower clothes or shoes."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from persona.perception.detectors import Picture, Plane, Sighting
from persona.records.observation import Part

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


def label_parts(picture: Picture, mask: Plane, person: Sighting) -> Int[np.ndarray, "h w"]:
    """Guess what each pixel shows, from landmarks and from the colour of the person's own skin."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    inside = mask > 0.5
    skin = skin_distance(lab, skin_colours(lab, mask, person)) < 1.0
    body, torso = person.body, person.torso
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    shoulders, hips = body[11:13].mean(0), body[23:25].mean(0)
    up = (shoulders - hips) / max(float(np.linalg.norm(shoulders - hips)), 1e-6)
    along = (columns + 0.5 - hips[0]) * up[0] + (rows + 0.5 - hips[1]) * up[1]
    labels = np.where(along > 0, Part.UPPER, Part.LOWER)
    labels[skin] = Part.SKIN
    head = _head_region(person, mask.shape)
    labels[head] = Part.HAIR
    labels[head & skin] = Part.SKIN
    labels[_face_region(person, mask.shape)] = Part.SKIN
    for ankle, heel, toe in ((27, 29, 31), (28, 30, 32)):
        points = np.stack([body[ankle], body[heel], body[toe]])
        foot = np.zeros(mask.shape, np.uint8)
        cv2.fillConvexPoly(foot, cv2.convexHull(np.round(points).astype(np.int32)), 1)
        reach = max(1, round(0.12 * torso))
        foot = cv2.dilate(foot, np.ones((reach, reach), np.uint8)) > 0
        labels[foot & ~skin] = Part.SHOES
    labels[~inside] = Part.BACKGROUND
    return labels.astype(np.int64)


def _face_region(person: Sighting, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Pixels inside the outline of the face."""
    drawn = np.zeros(shape, np.uint8)
    if person.face is not None:
        outline = np.round(person.face[list(FACE_OVAL), :2]).astype(np.int32)
        cv2.fillPoly(drawn, [outline], 1)
    return drawn > 0


def _head_region(person: Sighting, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Pixels about as near to the head's middle as hair reaches."""
    ears, shoulders = person.body[7:9].mean(0), person.body[11:13].mean(0)
    drawn = np.zeros(shape, np.uint8)
    reach = 0.75 * float(np.linalg.norm(ears - shoulders))
    reach = max(reach, 0.3 * person.torso)
    cv2.circle(drawn, np.round(ears).astype(int).tolist(), round(reach), 1, -1)
    return drawn > 0


def skin_colours(
    lab: Float[np.ndarray, "h w 3"], mask: Plane, person: Sighting
) -> Float[np.ndarray, "n 3"]:
    """Median colours of the person's own skin: face first, then palms that look like it."""
    generic = np.array([[72.0, 13.0, 16.0], [55.0, 17.0, 21.0], [36.0, 14.0, 17.0]])
    if person.face is None:
        return generic
    drawn = np.zeros(mask.shape, np.uint8)
    points = np.round(person.face[:, :2]).astype(np.int32)
    cv2.fillPoly(drawn, [points[list(FACE_OVAL)]], 1)
    drawn = cv2.erode(drawn, np.ones((3, 3), np.uint8))
    for feature in FACE_FEATURES:
        cv2.fillConvexPoly(drawn, cv2.convexHull(points[list(feature)]), 0)
    seen = lab[(drawn > 0) & (mask > 0.5)]
    if len(seen) < 30:
        return generic
    middle = np.median(seen, 0)
    near = np.abs(seen[:, 0] - middle[0]) < 22
    near &= np.hypot(seen[:, 1] - middle[1], seen[:, 2] - middle[2]) < 11
    return np.median(seen[near], 0)[None]


def skin_distance(
    colours: Float[np.ndarray, "*n 3"], centres: Float[np.ndarray, "k 3"]
) -> Float[np.ndarray, "*n"]:
    """Distance of Lab colours to the nearest skin colour; 1 is the border.

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
