"""Watch a film: cuts, the camera and one person, frame by frame, into sightings."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch

from persona.core.errors import InputError
from persona.core.progress import current
from persona.images.clips import Frame
from persona.perception.detectors import Detectors
from persona.tracking.camera_motion import CameraWatcher, camera_turns, still, turned_by
from persona.tracking.cuts import CutFinder
from persona.tracking.evidence import FOCAL_PER_SIDE
from persona.tracking.following import Follower
from persona.tracking.middles import CUTS, Measured, measured
from persona.tracking.sightings import BODY_COUNT, FACE_COUNT, HAND_COUNT, Sightings

FEWEST_FRAMES: Final = 3
"""Frames with the person below which there is no motion."""
INSIDE_SHARE: Final = 0.1
"""Share of frames in which more than a head must be in the picture."""
VISIBLE: Final = 0.5
"""Visibility of what is in the picture."""


@dataclass
class Watched:
    """What is gathered while a film goes by."""

    times: list[float] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)
    seen: list[Measured | None] = field(default_factory=list)
    motions: list[np.ndarray] = field(default_factory=list)
    """Motion of the background since the shot began [px]."""
    sure: list[bool] = field(default_factory=list)
    """Whether there was enough background to know."""
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Camera:
    """How the camera of a clip moved."""

    moving: bool
    """Whether it turned in any shot."""
    said: str
    """The same in words, with how far and how sure."""


def watch(
    frames: Iterable[Frame], *, person: int | None, name: str, focal_px: float | None = None
) -> tuple[Sightings, Camera]:
    """Look at every frame of a clip once; pictures are not kept.

    Args:
        frames: The film.
        person: Counted from the left from 1; None insists that there is only one.
        name: What to call it in messages.
        focal_px: Focal length [px]; None assumes one.

    Raises:
        InputError: Nobody is in it, only a head is, or several people are and none was picked.
    """
    watched = Watched()
    cuts, camera = CutFinder(), CameraWatcher()
    with (
        Detectors() as detectors,
        ThreadPoolExecutor(1) as aside,
        current().stage("look") as stage,
    ):
        follower = Follower(detectors, person=person, name=name)
        for frame in frames:
            if not watched.times:
                watched.size = (frame.picture.shape[1], frame.picture.shape[0])
            _check_size(frame, watched, name)
            cut = cuts.is_cut(frame.picture)
            if cut:
                follower.restart()
                camera = CameraWatcher()
            watched.times.append(frame.time)
            watched.shots.append((watched.shots[-1] + int(cut)) if watched.shots else 0)
            background = aside.submit(camera.watch, frame.picture, follower.box)
            seen = follower.look(frame.picture)
            watched.seen.append(None if seen is None else measured(seen))
            watched.motions.append(background.result())
            watched.sure.append(camera.sure)
            stage.advance()
    _check_seen(watched, name)
    return _gathered(watched, focal_px)


def _check_size(frame: Frame, watched: Watched, name: str) -> None:
    height, width = frame.picture.shape[:2]
    if (width, height) != watched.size:
        raise InputError(
            f"{name} changes from {watched.size[0]} x {watched.size[1]} to {width} x {height}",
            why="a clip has one size from beginning to end",
            fix="convert it to one size first",
        )


def _check_seen(watched: Watched, name: str) -> None:
    """Refuse clips from which no motion of a body can be had."""
    found = [seen for seen in watched.seen if seen is not None]
    if len(found) < FEWEST_FRAMES:
        raise InputError(
            f"nobody was found in {name}",
            why=f"{len(found)} of {len(watched.seen)} frames show a person",
            fix="give a clip in which one person is in view from head to feet",
        )
    width, height = watched.size
    size = np.array([width, height])
    more = 0
    for seen in found:
        inside = ((seen.body >= 0) & (seen.body < size)).all(1) & (seen.visibility > VISIBLE)
        shoulders, elbows, hips = inside[[11, 12]], inside[[13, 14]], inside[[23, 24]]
        more += bool(shoulders.any() and (elbows.any() or hips.any()))
    if more < INSIDE_SHARE * len(found):
        raise InputError(
            f"only a head is in the picture of {name}",
            why="a body is followed by its shoulders, arms, hips and legs",
            fix="film from farther away, at best from head to feet",
        )


def _gathered(watched: Watched, focal_px: float | None) -> tuple[Sightings, Camera]:
    """Stack the frames from the first to the last that show the person."""
    there = [k for k, seen in enumerate(watched.seen) if seen is not None]
    span = slice(there[0], there[-1] + 1)
    turns, camera = _turns(watched, span, focal_px)
    plain = sightings_of(watched.seen[span], watched.times[span], watched.size)
    return replace(plain, shots=torch.tensor(watched.shots[span]), camera_turn=turns), camera


def sightings_of(
    glimpses: Sequence[Measured | None], times: Sequence[float], size: tuple[int, int]
) -> Sightings:
    """Stack frames of one shot of a camera that stands still."""

    def stack(name: str, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
        values = np.zeros((len(glimpses), *shape), np.float32)
        known = np.zeros(len(glimpses), bool)
        for k, seen in enumerate(glimpses):
            value = None if seen is None else getattr(seen, name)
            if value is not None:
                values[k], known[k] = value, True
        return torch.from_numpy(values), torch.from_numpy(known)

    body, seen = stack("body", BODY_COUNT, 2)
    left, left_seen = stack("left_hand", HAND_COUNT, 3)
    right, right_seen = stack("right_hand", HAND_COUNT, 3)
    face, face_seen = stack("face", FACE_COUNT, 3)
    return Sightings(
        times=torch.tensor(times, dtype=torch.float64),
        shots=torch.zeros(len(glimpses), dtype=torch.int64),
        seen=seen,
        body=body,
        visibility=stack("visibility", BODY_COUNT)[0].clamp(0, 1),
        world=stack("world", BODY_COUNT, 3)[0],
        left_seen=left_seen,
        right_seen=right_seen,
        left_hand=left,
        right_hand=right,
        face_seen=face_seen,
        middles=stack("middles", len(CUTS), 2)[0],
        widths=stack("widths", len(CUTS))[0],
        face=face,
        camera_turn=torch.eye(3, dtype=torch.float64).repeat(len(glimpses), 1, 1),
        size=size,
    )


def _turns(watched: Watched, span: slice, focal_px: float | None) -> tuple[torch.Tensor, Camera]:
    """Turn the motion of the background into turns of the camera, shot by shot."""
    motions, shots = np.stack(watched.motions[span]), np.array(watched.shots[span])
    focal = focal_px or FOCAL_PER_SIDE * max(watched.size)
    turns = torch.eye(3, dtype=torch.float64).repeat(len(shots), 1, 1)
    farthest = 0.0
    for shot in np.unique(shots):
        frames = shots == shot
        relative = motions[frames] @ np.linalg.inv(motions[frames][0])
        if not still(relative, watched.size):
            turns[torch.from_numpy(frames)] = camera_turns(relative, watched.size, focal)
            farthest = max(farthest, turned_by(turns[torch.from_numpy(frames)]))
    sure = float(np.mean(watched.sure[span]))
    if farthest > 0:
        return turns, Camera(
            moving=True, said=f"moving (turns by up to {farthest:.0f} deg; walks are not seen)"
        )
    if sure < 0.5:
        return turns, Camera(moving=False, said="still (assumed: too little background to tell)")
    return turns, Camera(moving=False, said="still")
