"""Motions and poses as they are typed: the name of a built-in one, or the path of a file."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from persona.animation.clips import clip
from persona.animation.exchange import is_motion_file, open_motion
from persona.animation.performance import photo_face
from persona.animation.pose_files import read_pose
from persona.animation.resampling import resample
from persona.avatar.avatar import Avatar
from persona.core.errors import InputError
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion

POSES: Final = ("photo", "canonical", "rest")
"""Poses that have names."""
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


def pose_from(text: str, avatar: Avatar) -> BodyParams:
    """Find a pose of somebody by name or path; they stand where the photo has them.

    Args:
        text: One of `POSES`, or the path of an npz as `pose_files.read_pose` takes it.
        avatar: Whose shape, expression and place it gets.

    Raises:
        InputError: It is neither, or cannot be read.
    """
    photo = photo_face(avatar)
    if text == "photo":
        return photo
    if text == "canonical":
        # Where the photo's camera looks, so that every camera can see it.
        return replace(avatar.canonical_params, transl=photo.transl)
    if text == "rest":
        still = rest_params()
        face = replace(still, expression=photo.expression, jaw_pose=photo.jaw_pose)
        return replace(face, betas=photo.betas, transl=photo.transl)
    return read_pose(Path(text), photo)


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
