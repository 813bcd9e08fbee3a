"""Follow one person through a film: find, keep, lose, find again, and never take another."""

import math
from dataclasses import replace
from typing import Final

import numpy as np

from persona.core.errors import InputError
from persona.perception.detectors import Detectors, Glimpse, Picture, Sighting
from persona.perception.keypoints import first_look
from persona.perception.person import find_people

VISIBLE: Final = 0.3
"""Mean visibility of shoulders and hips below which nobody is there."""
JUMP: Final = 0.6
"""Torso lengths that a person's middle may go between frames; farther is somebody else."""
GROWTH: Final = 1.6
"""Times by which their size may change between frames."""
PATIENCE: Final = 3
"""Frames in which a person is missed before they count as lost."""
RESTS: Final = (2, 25)
"""Frames between two searches for somebody: at first, and in the end."""
MARGIN: Final = 0.35
"""What is shown around the chosen one of several people, as a share of their box."""
WRIST_GAP: Final = 0.35
"""A hand starts this near to its wrist, in torso lengths."""
TRUNK: Final = (11, 12, 23, 24)
"""Shoulders and hips."""
WRISTS: Final = {"left_hand": 15, "right_hand": 16}
"""Pose's wrist of each hand."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom [px]."""


class Follower:
    """Follows a person from frame to frame."""

    def __init__(self, detectors: Detectors, *, person: int | None, name: str) -> None:
        """Begin with nobody.

        Args:
            detectors: Where the models live.
            person: Counted from the left from 1 where somebody is first seen; None insists on one.
            name: What to call the film in messages.
        """
        self._detectors, self._person, self._name = detectors, person, name
        self._last: Glimpse | None = None
        self._following = self._counted = self._several = False
        self._missed = self._resting = 0
        self._rest = RESTS[0]

    def restart(self) -> None:
        """Begin a new shot, in which the most prominent person is looked for."""
        self._detectors.forget()
        self._last, self._following = None, False
        self._missed = self._resting = 0
        self._rest = RESTS[0]

    @property
    def box(self) -> Box | None:
        """Where the person was last seen [px]."""
        return None if self._last is None else box_of(self._last)

    def look(self, picture: Picture) -> Sighting | None:
        """Look at the next frame; None where the person is not seen.

        Raises:
            InputError: Several people are there and none was picked, or the pick does not exist.
        """
        if not self._following and not self._found(picture):
            return None
        seen = self._detectors.follow(self._spotlit(picture))
        if seen is None or not self._same(seen):
            self._detectors.forget()
            self._missed += 1
            if self._missed > PATIENCE:
                self._following, self._resting, self._rest = False, 0, RESTS[0]
            return None
        self._missed, self._last = 0, seen
        return checked(seen)

    def _found(self, picture: Picture) -> bool:
        """Search, at intervals that grow; a find must survive further looks."""
        if self._resting > 0:
            self._resting -= 1
            return False
        self._resting, self._rest = self._rest, min(round(1.6 * self._rest), RESTS[1])
        if not self._counted:
            return self._count(picture)
        thorough = self._rest == RESTS[1]
        view = self._spotlit(picture) if self._several else picture
        found = first_look(view, self._detectors, thorough=thorough)
        if found is None:
            return False
        self._begin(found)
        return True

    def _count(self, picture: Picture) -> bool:
        """Meet the people of the film; where there are several, one must have been picked."""
        people, _ = find_people(picture, self._detectors)
        if not people:
            return False
        self._counted, self._several = True, len(people) > 1
        if self._person is None and self._several:
            raise InputError(
                f"{len(people)} people were found in {self._name}",
                why="one person is followed, and guessing which would often be wrong",
                fix=f"pick one with --person 1 to {len(people)}, counted from the left",
            )
        if self._person is not None and self._person > len(people):
            raise InputError(
                f"person {self._person} was asked for, but {self._name} begins with {len(people)}",
                why="people are counted from the left where somebody is first seen, from 1",
                fix=f"choose a number from 1 to {len(people)}",
            )
        chosen = people[(self._person or 1) - 1]
        self._begin(chosen)
        return True

    def _begin(self, seen: Glimpse) -> None:
        self._detectors.forget()
        self._last, self._following, self._missed = seen, True, 0

    def _spotlit(self, picture: Picture) -> Picture:
        """Show only the surroundings of the chosen person, where there are several."""
        if not self._several or self._last is None:
            return picture
        left, top, right, bottom = box_of(self._last)
        more = MARGIN * max(right - left, bottom - top) * (1 + self._missed)
        rows = slice(max(int(top - more), 0), max(int(bottom + more), 1))
        columns = slice(max(int(left - more), 0), max(int(right + more), 1))
        lit = np.full_like(picture, 127)
        lit[rows, columns] = picture[rows, columns]
        return lit

    def _same(self, seen: Glimpse) -> bool:
        """Whether this is a person, and the one of the frame before."""
        if seen.core_visibility < VISIBLE:
            return False
        if self._last is None:
            return True
        last = self._last
        gap = np.linalg.norm(seen.body[list(TRUNK)].mean(0) - last.body[list(TRUNK)].mean(0))
        before, after = last.torso, seen.torso
        return bool(
            gap < JUMP * (1 + self._missed) * max(before, after)
            and before / GROWTH < after < before * GROWTH
        )


def box_of(seen: Glimpse) -> Box:
    """Enclose the landmarks, and the head above them [px]."""
    (left, top), (right, bottom) = seen.body.min(0), seen.body.max(0)
    return float(left), float(top) - 0.25 * seen.torso, float(right), float(bottom)


def checked(seen: Sighting) -> Sighting:
    """Drop hands that do not grow out of their wrists, and the same hand seen twice."""
    size = seen.torso
    hands = {}
    for side, wrist in WRISTS.items():
        points = getattr(seen, side)
        if points is not None:
            gap = float(np.linalg.norm(points[0, :2] - seen.body[wrist]))
            if gap > WRIST_GAP * size or not math.isfinite(gap):
                points = None
        hands[side] = points
    left, right = hands["left_hand"], hands["right_hand"]
    if left is not None and right is not None:
        reach = max(float(np.ptp(left[:, :2], axis=0).max()), 1.0)
        if float(np.linalg.norm(left[:, :2] - right[:, :2], axis=1).mean()) < 0.12 * reach:
            hands = dict.fromkeys(hands)
    return replace(seen, **hands)
