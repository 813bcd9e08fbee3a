"""What an avatar's clothes are taught with, and what they are judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import torch

from persona.animation.clips import CLIPS, clip
from persona.animation.resampling import join
from persona.animation.wander import wander
from persona.records.body_params import BodyParams
from persona.records.motion import Motion

FPS: Final = 20.0
"""Frames a second of all that is simulated for learning: a third less to simulate than 30."""
BLEND_SECONDS: Final = 0.25
"""From the end of one piece to the beginning of the next [s]."""
WANDER_SECONDS: Final = 3.0
"""How long nothing in particular is done, with all joints [s]."""

FURTHER_FPS: Final = 5.0
"""Frames a second of motions that are only described."""
FURTHER_SECONDS: Final = 20.0
"""How long is wandered there [s]."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some seconds of a clip."""

    name: str
    """One of `clips.CLIPS`."""
    speed: float
    """How many times faster than at ease."""
    start: float
    """From where [s]."""
    seconds: float
    """How long [s]."""


TAUGHT: Final = (
    Piece(name="walk", speed=1.2, start=0.0, seconds=1.0),
    Piece(name="run", speed=1.2, start=0.2, seconds=0.6),
    Piece(name="turn", speed=1.3, start=0.3, seconds=1.3),
    Piece(name="squat", speed=1.4, start=0.2, seconds=1.3),
    Piece(name="lunge", speed=1.4, start=0.4, seconds=1.1),
    Piece(name="kick", speed=1.0, start=0.6, seconds=1.9),
    Piece(name="punch", speed=1.2, start=0.2, seconds=0.7),
    Piece(name="reach", speed=1.5, start=0.3, seconds=0.8),
    Piece(name="twist", speed=1.4, start=0.4, seconds=0.9),
    Piece(name="bend", speed=1.5, start=0.3, seconds=1.2),
    Piece(name="sit", speed=1.4, start=0.4, seconds=1.0),
    Piece(name="dance", speed=1.0, start=0.0, seconds=1.9),
)
"""About 14 s: everything that is done, where it is liveliest."""
JUDGED: Final = (
    Piece(name="kick", speed=1.3, start=0.46, seconds=1.46),
    Piece(name="dance", speed=1.3, start=0.0, seconds=1.46),
)
"""What was taught slower: whoever learned the pose and not the speed goes wrong here."""


def taught_pieces() -> list[Motion]:
    """Give everything that clothes are taught with, on the mean person's legs."""
    return [_cut(piece) for piece in TAUGHT]


def judged_pieces() -> list[Motion]:
    """Give everything that what they learned is judged by."""
    return [_cut(piece) for piece in JUDGED]


def wandering() -> Motion:
    """Give the piece that goes through the ranges of all joints."""
    return wander(WANDER_SECONDS, fps=FPS)


def further_motions() -> list[Motion]:
    """Give all clips whole, at ease, and more wandering: what nobody needs to simulate."""
    return [
        *(clip(name, fps=FURTHER_FPS) for name in CLIPS),
        wander(FURTHER_SECONDS, fps=FURTHER_FPS, seed=1),
    ]


def chain(pieces: Sequence[Motion], *, name: str) -> Motion:
    """Put motions one after the other, each beginning where the last one ended.

    Rotations and places are blended over `BLEND_SECONDS`; the pelvis keeps its height.
    """
    whole = pieces[0]
    for piece in pieces[1:]:
        last = whole.params.frame(whole.frame_count - 1)
        way = last.transl - piece.params.transl[0]
        way = way * torch.tensor([1.0, 0.0, 1.0])
        there = replace(piece, params=replace(piece.params, transl=piece.params.transl + way))
        led = join(last, there, None, seconds=BLEND_SECONDS)
        joined = {
            f.name: torch.cat([getattr(whole.params, f.name), getattr(led.params, f.name)])
            for f in fields(BodyParams)
        }
        whole = replace(whole, params=BodyParams(**joined))
    return replace(whole, name=name, loops=False)


def _cut(piece: Piece, *, fps: float = FPS) -> Motion:
    motion = clip(piece.name, speed=piece.speed, fps=fps)
    ids = round(piece.start * fps) + torch.arange(round(piece.seconds * fps))
    ids = ids[ids < motion.frame_count]
    params = replace(
        motion.params, **{f.name: getattr(motion.params, f.name)[ids] for f in fields(BodyParams)}
    )
    return replace(motion, params=params, loops=False)


DRIVING_FPS: Final = 30.0
"""Frames a second of what drives video generators: METHOD.md's clips have it."""
DRIVING_FRAMES: Final = 900
"""How long that is, by default."""
DRIVING: Final = (
    Piece(name="turn", speed=1.3, start=0.0, seconds=4.0),
    Piece(name="dance", speed=1.2, start=0.0, seconds=3.5),
    Piece(name="punch", speed=1.2, start=0.0, seconds=2.9),
    Piece(name="kick", speed=1.2, start=0.2, seconds=4.6),
    Piece(name="squat", speed=1.3, start=0.0, seconds=2.7),
    Piece(name="reach", speed=1.4, start=0.2, seconds=4.3),
    Piece(name="twist", speed=1.4, start=0.2, seconds=3.5),
    Piece(name="bend", speed=1.4, start=0.2, seconds=3.8),
)
"""What is done, half a minute: all sides first, as they are what a photo lacks most."""


def driving_motion(frame_count: int = DRIVING_FRAMES) -> Motion:
    """Give the motion that video generators are driven with, on the mean person's legs.

    Pieces follow each other, again from the first where they end too soon; then what is asked for
    is kept.

    Args:
        frame_count: How long [frames at 30 a second].
    """
    pieces: list[Motion] = []
    while sum(piece.frame_count for piece in pieces) < frame_count:
        pieces.append(_cut(DRIVING[len(pieces) % len(DRIVING)], fps=DRIVING_FPS))
    whole = chain(pieces, name="driving")
    params = replace(
        whole.params,
        **{f.name: getattr(whole.params, f.name)[:frame_count] for f in fields(BodyParams)},
    )
    return replace(whole, params=params)
