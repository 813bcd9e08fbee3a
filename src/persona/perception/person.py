"""Find the one person meant, or refuse politely when there are none or several."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float

from persona.core.errors import PhotoError
from persona.perception.detectors import Detectors, Picture, Sighting, Window
from persona.perception.keypoints import (
    closer_look,
    complete,
    confirmed,
    first_look,
    whole_picture,
)

SAME_SIZE = 0.55
"""A torso (or face) smaller than this share of the largest one belongs to the background."""
MOST_PEOPLE = 6
"""Stop counting here; the answer is the same for seven."""


def choose_person(
    picture: Picture, detectors: Detectors, *, name: str, person: int | None
) -> Sighting:
    """Return the person to make an avatar of.

    Args:
        picture: The whole photo.
        detectors: Where the models live.
        name: The photo's name, for messages.
        person: Counted from the left from 1; None insists that there is only one.

    Raises:
        PhotoError: Nobody is there, several are and none was picked, or the pick does not exist.
    """
    people, strangers = find_people(picture, detectors)
    if not people:
        raise PhotoError(
            f"nobody was found in {name}",
            why="an avatar is made from one whole person, and no body was seen at any size",
            fix="use a photo in which one person stands in view from head to feet",
        )
    if person is not None and not 1 <= person <= len(people):
        raise PhotoError(
            f"person {person} was asked for, but {name} shows {len(people)}",
            why="people are counted from the left, starting at 1",
            fix=f"choose a number from 1 to {len(people)}",
        )
    if person is None and (len(people) > 1 or strangers):
        count = len(people) + len(strangers)
        places = [_place(one.body[[0, 11, 12, 23, 24], 0].mean(), picture) for one in people]
        places += [_place((face[0] + face[2]) / 2, picture) for face in strangers]
        pick = "--person N (person=N in Python), counted from the left"
        raise PhotoError(
            f"{_number(count)} people were found in {name}: {', '.join(places)}",
            why="an avatar is made of one person, and guessing which would be rude",
            fix=f"crop the photo to one person, or pick one with {pick}",
        )
    chosen = people[0 if person is None else person - 1]
    for other in people:
        if other is not chosen:
            chosen = replace(chosen, mask=np.where(other.mask > chosen.mask, 0, chosen.mask))
    return complete(picture, detectors, chosen)


def find_people(
    picture: Picture, detectors: Detectors
) -> tuple[list[Sighting], list[tuple[float, float, float, float]]]:
    """Find everybody about as large as the largest person.

    The holistic model sees one person at a time, so each one found is painted over and the
    picture searched again. A face with no body found under it counts as a stranger.

    Returns:
        People from left to right, and the boxes of strangers' faces.
    """
    people: list[Sighting] = []
    rest = picture
    while len(people) < MOST_PEOPLE:
        found = first_look(rest, detectors, thorough=not people)
        if found is None and people:
            found = _look_beside(rest, detectors, people)
        if found is None:
            break
        people.append(closer_look(rest, detectors, found))
        rest = _paint_over(rest, people[-1])
    largest = max((one.torso for one in people), default=0.0)
    people = [one for one in people if one.torso > SAME_SIZE * largest]
    strangers = _strangers(picture, detectors, people) if people else []
    return sorted(people, key=lambda one: float(one.body[[11, 12, 23, 24], 0].mean())), strangers


def _look_beside(picture: Picture, detectors: Detectors, people: list[Sighting]) -> Sighting | None:
    """Look along the picture at the scale at which somebody as large as the first one shows."""
    height, width = picture.shape[:2]
    left, top, right, bottom = people[0].box
    side = 1.3 * max(right - left, bottom - top)
    if side > 1.5 * max(height, width):
        return None
    middle = (top + bottom) / 2
    taken = [one.box for one in people]
    for x in np.arange(0.2 * side, width, 0.4 * side):
        # Somebody found covers this place, or too little of the picture is left beside them.
        if any(box[0] - 0.1 * side < x < box[2] + 0.1 * side for box in taken):
            continue
        window = Window(x - 0.5 * side, middle - 0.5 * side, side)
        found = detectors.person(picture, window, pixels=512)
        if found is not None and confirmed(picture, detectors, found):
            return found
    return None


def _paint_over(picture: Picture, person: Sighting) -> Picture:
    """Hide a person behind the colours around them, so that the next one can be found."""
    height, width = picture.shape[:2]
    scale = 160 / max(height, width)
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    hidden = (person.mask > 0.2).astype(np.uint8)
    reach = max(3, round(0.15 * person.torso))
    hidden = cv2.dilate(hidden, np.ones((reach, reach), np.uint8))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(hidden, size, interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8)
    filled = cv2.inpaint(small, cv2.dilate(hole, np.ones((3, 3), np.uint8)), 3, cv2.INPAINT_TELEA)
    large = cv2.resize(cv2.GaussianBlur(filled, (0, 0), 1), (width, height))
    return np.where(hidden[..., None] > 0, large, picture)


def _strangers(
    picture: Picture, detectors: Detectors, people: list[Sighting]
) -> list[tuple[float, float, float, float]]:
    """Find faces as large as the people's that belong to nobody found."""
    height, width = picture.shape[:2]
    heads = [_head_size(one) for one in people]
    strangers = []
    for score, face in detectors.faces(picture, whole_picture(picture), pixels=1024):
        left, top, right, bottom = face
        x, y = (left + right) / 2, (top + bottom) / 2
        owned = any(
            one.mask[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))] > 0.2
            or float(np.linalg.norm(one.body[:11].mean(0) - (x, y))) < head
            for one, head in zip(people, heads, strict=True)
        )
        # A print, a poster or a spectator scores lower or is smaller than a companion.
        if not owned and score > 0.7 and bottom - top > SAME_SIZE * max(heads):
            strangers.append(face)
    return strangers


def _head_size(person: Sighting) -> float:
    """Height of the face as the face detector measures it [px]."""
    if person.face is not None:
        return 0.85 * float(np.ptp(person.face[:, 1]))
    return 0.35 * person.torso


def _place(x: float | Float[np.ndarray, ""], picture: Picture) -> str:
    """Say where along the width something is."""
    share = float(x) / picture.shape[1]
    side = "on the left" if share < 1 / 3 else "on the right" if share > 2 / 3 else "in the middle"
    return f"one {side} (x = {float(x):.0f} px)"


def _number(count: int) -> str:
    """Spell small numbers."""
    words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
    return words.get(count, "many")
