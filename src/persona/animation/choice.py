"""A motion as it is typed: the name of a built-in one, or the path of a file."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from persona.animation.clips import clip
from persona.animation.exchange import is_motion_file, open_motion
from persona.animation.resampling import resample
from persona.core.errors import InputError
from persona.records.motion import Motion

FILE_SPEEDS: Final = (0.1, 10.0)
"""Slowest and fastest that a file is played."""


def motion_from(text: str, *, speed: float = 1.0, fps: float) -> Motion:
    """Find a motion by name or path, ``speed`` times as fast, at ``fps`` frames a second.

    A built-in motion is composed for the speed; a file is played faster or slower.

    Raises:
        InputError: It is neither, or cannot be had at this speed.
    """
    if not is_motion_file(text):
        return clip(text, speed=speed, fps=fps)
    check_file_speed(Path(text), speed)
    motion = open_motion(Path(text)).motion
    return resample(replace(motion, fps=motion.fps * speed), fps=fps)


def check_file_speed(path: Path, speed: float) -> None:
    """Refuse to play a file slower or faster than makes sense.

    Raises:
        InputError: The speed is out of bounds.
    """
    slowest, fastest = FILE_SPEEDS
    if not slowest <= speed <= fastest:
        raise InputError(
            f"{path.name} was asked for {speed:g} times as fast",
            why=f"a file is played from {slowest:g} to {fastest:g} times as fast",
            fix="choose a speed between them",
        )
