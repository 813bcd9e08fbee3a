"""Is the whole person in the frame, in a pose and at a size from which an avatar can be made?"""

from dataclasses import dataclass

import cv2
import numpy as np

from persona.core.errors import PhotoError
from persona.perception.detectors import Picture, Sighting
from persona.perception.skin import GENERIC, skin_distance

SMALLEST_HEIGHT = 256
"""Least height of a person [px]: below it a face has fewer than 30 pixels."""
LEFT_LEG, RIGHT_LEG = (23, 25, 27, 29, 31), (24, 26, 28, 30, 32)
"""Hip, knee, ankle, heel and toe, by MediaPipe Pose index."""


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """Something missing from the picture."""

    what: str
    """What is wrong, as the end of a sentence about the photo."""
    invented: str
    """What will be made up when we go on regardless."""
    fix: str
    """What the photographer can do."""


def require_whole_person(
    picture: Picture, person: Sighting, *, name: str, allow_partial: bool
) -> tuple[str, ...]:
    """Refuse a person who is cut off, hidden, turned away, seated or too small.

    Args:
        picture: The whole photo.
        person: What was seen.
        name: The photo's name, for messages.
        allow_partial: Return the flaws as warnings instead.

    Raises:
        PhotoError: There is a flaw and ``allow_partial`` is off; all flaws are named.
    """
    flaws = find_flaws(picture, person)
    if flaws and not allow_partial:
        raise PhotoError(
            f"{name}: " + "; ".join(flaw.what for flaw in flaws),
            why="what the photo does not show would have to be invented",
            fix="; ".join(dict.fromkeys(flaw.fix for flaw in flaws))
            + "; or pass --allow-partial (allow_partial=True in Python) to have it invented",
        )
    return tuple(f"{flaw.what}: {flaw.invented}" for flaw in flaws)


def find_flaws(picture: Picture, person: Sighting) -> list[Flaw]:
    """List everything that keeps the person from being wholly seen."""
    height, width = picture.shape[:2]
    flaws = [
        _below(person, height),
        _above(person),
        _beside(person, width),
        _behind(picture, person),
        _seated(person, height),
        _small(person),
    ]
    return [flaw for flaw in flaws if flaw is not None]


def _below(person: Sighting, height: int) -> Flaw | None:
    """Legs or feet below the frame, or hidden inside it."""
    body, seen = person.body, person.visibility
    stand = "step back until the feet, with some floor, are in the picture"
    if body[25:27, 1].min() > height:
        return Flaw(
            what="only the upper body is in the picture, legs and feet are outside the frame",
            invented="legs and feet were invented",
            fix=stand,
        )
    # The sole lies about 2 cm below the toe's landmark, the torso measures about 55 cm.
    sole = height - 0.035 * person.torso
    feet_out = [max(body[heel, 1], body[toe, 1]) > sole for heel, toe in ((29, 31), (30, 32))]
    ankles_out = [body[ankle, 1] > height for ankle in (27, 28)]
    if any(feet_out):
        where = "the legs below the knees" if all(ankles_out) else "the feet"
        where = where if all(feet_out) else "one foot"
        verb = "is" if where == "one foot" else "are"
        feet = " (and with them the feet)" if all(ankles_out) else ""
        return Flaw(
            what=f"{where}{feet} {verb} outside the frame at the bottom",
            invented=f"{where} {'was' if verb == 'is' else 'were'} invented",
            fix=stand,
        )
    if max(seen[25:27].max(), seen[27:29].max()) < 0.5:
        return Flaw(
            what="the legs are hidden behind something",
            invented="the legs were invented",
            fix="stand clear of furniture so that both legs and feet are seen",
        )
    return None


def _above(person: Sighting) -> Flaw | None:
    """The top of the head above the frame."""
    if person.face is not None:
        brow, chin = person.face[10, 1], person.face[152, 1]
        crown = brow - 0.25 * (chin - brow)
    else:
        eyes, shoulders = person.body[1:7, 1].mean(), person.body[11:13, 1].mean()
        crown = eyes - 0.5 * max(shoulders - eyes, 0.2 * person.torso)
    if crown > -0.03 * person.torso:
        return None
    return Flaw(
        what="the top of the head is outside the frame",
        invented="the top of the head was invented",
        fix="leave some room above the head",
    )


def _beside(person: Sighting, width: int) -> Flaw | None:
    """Arms, hands or legs beyond the left or right border."""
    seen = np.flatnonzero(person.visibility > 0.5)
    seen = seen[seen >= 11]
    x = person.body[seen, 0]
    slack = 0.03 * person.torso
    sides = [
        side
        for side, out in (("left", (x < -slack).any()), ("right", (x > width + slack).any()))
        if out
    ]
    # A limb cut lengthwise has landmarks inside but leans on the border with half its length.
    contact = ((person.mask[:, 0] > 0.5).sum(), (person.mask[:, -1] > 0.5).sum())
    sides += [
        side
        for side, touching in zip(("left", "right"), contact, strict=True)
        if touching > 0.5 * person.torso and side not in sides
    ]
    if not sides:
        return None
    return Flaw(
        what=f"the person is cut off at the {' and '.join(sides)} side of the frame",
        invented="what lies beyond the border was invented",
        fix="leave some room on both sides of the person",
    )


def _behind(picture: Picture, person: Sighting) -> Flaw | None:
    """The back turned to the camera: no face, and the shoulders reversed or no skin in its place.

    Of whole bodies the model tells back from front; of busts it does not.
    """
    if person.face is not None:
        return None
    turned = (person.body[11, 0] - person.body[12, 0]) / person.torso
    if turned > -0.2 and not _faceless(picture, person):
        return None
    return Flaw(
        what="the person is seen from the back",
        invented="the face and the front were invented",
        fix="take the photo from the front, with the face in view",
    )


def _faceless(picture: Picture, person: Sighting) -> bool:
    """Whether a coloured photo shows no skin where the face should be."""
    head = person.body[:11].mean(0)
    reach = max(0.14 * person.torso, 2.0)
    height, width = picture.shape[:2]
    rows = slice(int(np.clip(head[1] - reach, 0, height)), int(np.clip(head[1] + reach, 0, height)))
    columns = slice(
        int(np.clip(head[0] - reach, 0, width)), int(np.clip(head[0] + reach, 0, width))
    )
    patch = picture[rows, columns].astype(np.float32) / 255
    if patch.size == 0:
        return False
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)
    coloured = np.hypot(lab[..., 1], lab[..., 2]).max() > 8
    # Faces in the worst light keep a sixth, hair and caps from behind show none.
    return bool(coloured and (skin_distance(lab, np.array(GENERIC)) < 1).mean() < 0.08)


def _seated(person: Sighting, height: int) -> Flaw | None:
    """Sitting: a pose nobody can hold without something to sit on.

    A leg is bent, the hips are behind every foot on the floor, and neither the trunk leans nor
    the arms reach forward to make up for it. Squats lean or reach (24 degrees and more on photos,
    sitters 18 and less); lunges and one-legged poses keep the hips over a foot.
    """
    if max(person.body[29:33, 1].max(), person.body[25:27, 1].max()) > height:
        return None
    world = person.world
    legs = [world[list(leg)] for leg in (LEFT_LEG, RIGHT_LEG)]
    hips, shoulders = world[23:25].mean(0), world[11:13].mean(0)
    floor = min(float(leg[2:, 1].min()) for leg in legs)
    lying = hips[1] - world[27:29, 1].min() < 0.2 * max(_length(leg) for leg in legs)
    bent = any(_thigh_angle(leg) > 50 and _knee_angle(leg) < 135 for leg in legs)
    # A foot more than a hand's breadth above the lowest one carries nothing.
    supports = [leg for leg in legs if leg[2:, 1].min() < floor + 0.15]
    behind = all(_aside(hips - leg[2:].mean(0)) > 0.18 for leg in supports)
    upright = _angle(shoulders - hips, np.array([0.0, 1.0, 0.0])) < 19
    reaching = _aside(world[15:17].mean(0) - shoulders) > 0.2
    if not lying and not (bent and behind and upright and not reaching):
        return None
    return Flaw(
        what="the person is lying or sitting on the floor" if lying else "the person is seated",
        invented="what the seat hides of hips and legs was invented",
        fix="stand up: a standing person shows hips and legs",
    )


def _small(person: Sighting) -> Flaw | None:
    """Too few pixels."""
    _, top, _, bottom = person.box
    tall = bottom - top
    if tall >= SMALLEST_HEIGHT:
        return None
    return Flaw(
        what=f"the person is only {tall:.0f} px tall",
        invented=f"detail finer than {tall:.0f} px of height was invented",
        fix=f"crop a larger picture: the person should be at least {SMALLEST_HEIGHT} px tall",
    )


def _length(leg: np.ndarray) -> float:
    """Thigh plus shin [m]."""
    return float(np.linalg.norm(leg[0] - leg[1]) + np.linalg.norm(leg[1] - leg[2]))


def _thigh_angle(leg: np.ndarray) -> float:
    """Angle between the thigh and straight down [degrees]."""
    return _angle(leg[1] - leg[0], np.array([0.0, -1.0, 0.0]))


def _knee_angle(leg: np.ndarray) -> float:
    """Angle inside the knee; a straight leg has 180 [degrees]."""
    return _angle(leg[0] - leg[1], leg[2] - leg[1])


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Angle between two directions [degrees]."""
    cosine = a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _aside(offset: np.ndarray) -> float:
    """Horizontal length [m]."""
    return float(np.hypot(offset[0], offset[2]))
