"""BVH: the text format of motion capture, a skeleton and then one line of numbers a frame."""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from persona.animation.formats.reading import (
    check_fps,
    check_frames,
    check_size,
    finite,
    refused,
)
from persona.animation.formats.skeleton_clip import MOST_JOINTS, SkeletonClip
from persona.geometry.rotations import axis_angle_to_matrix

MOST_TEXT: Final = 64 * 2**20
"""Bytes of one file; its numbers take as many again."""
MOST_NUMBERS: Final = 12_000_000
"""Numbers in the motion: 96 MB."""
MOST_HEAD_LINES: Final = 20_000
DEEPEST: Final = 200
"""Joints from the root to a fingertip."""
FARTHEST_UNITS: Final = 1e7
"""Largest position in any unit: ten kilometres in millimetres."""
CHANNELS: Final = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "xyz")


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    channels: tuple[str, ...] = ()
    end: list[float] | None = None


def read_bvh(path: Path, *, fps: float | None = None) -> SkeletonClip:
    """Read a BVH of any skeleton, channel order and number of channels.

    Position channels of joints other than the root are not followed: bones keep their lengths.

    Args:
        path: The file.
        fps: The rate where the file is wrong.

    Raises:
        FileFormatError: It is no BVH, is damaged, or promises more than it has.
    """
    check_size(path, most=MOST_TEXT)
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = enumerate((line.strip() for line in file), start=1)
        joints = _hierarchy(path, lines)
        frames, seconds = _motion_head(path, lines)
        width = sum(len(joint.channels) for joint in joints)
        if width == 0:
            raise refused(path, "its joints have no channels")
        if frames * width > MOST_NUMBERS:
            raise refused(path, f"{frames} frames of {width} numbers are more than {MOST_NUMBERS}")
        values = _numbers(path, lines, frames, width)
    rotations, root = _unpack(joints, values)
    return SkeletonClip(
        names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        offsets=finite(
            path, "OFFSET", [j.offset for j in joints], len(joints), 3, most=FARTHEST_UNITS
        ),
        ends={
            k: finite(path, "End Site", joint.end, 3, most=FARTHEST_UNITS)
            for k, joint in enumerate(joints)
            if joint.end is not None
        },
        rotations=rotations,
        root_positions=root,
        fps=check_fps(path, fps if fps is not None else 1 / seconds),
    )


def _hierarchy(path: Path, lines: Iterator[tuple[int, str]]) -> list[_Joint]:
    """Read the skeleton up to and including the line MOTION."""
    joints: list[_Joint] = []
    open_joints: list[int] = []
    in_end = False
    begun = False
    for number, line in lines:
        words = line.replace("{", " { ").replace("}", " } ").split()
        if number > MOST_HEAD_LINES:
            raise refused(path, f"its skeleton goes on after line {MOST_HEAD_LINES}")
        if not words:
            continue
        begun = begun or words[0].upper() == "HIERARCHY"
        if not begun:
            raise refused(path, "it does not begin with HIERARCHY", fix="give a BVH file")
        if words[0].upper() == "MOTION":
            if open_joints or not joints:
                raise refused(path, f"its skeleton is not closed at line {number}")
            return joints
        while words:
            word = words.pop(0).upper()
            if word in ("ROOT", "JOINT"):
                if (word == "ROOT") != (not joints):
                    raise refused(path, f"{word} in line {number} is not where one may be")
                if len(joints) >= MOST_JOINTS or len(open_joints) >= DEEPEST:
                    raise refused(path, f"it has more than {MOST_JOINTS} joints or {DEEPEST} deep")
                name = " ".join(word for word in words if word != "{")
                if not name or any(joint.name == name for joint in joints):
                    raise refused(
                        path, f"line {number} names no joint, or one a second time: {name}"
                    )
                joints.append(_Joint(name[:100], open_joints[-1] if open_joints else -1))
                words = [word for word in words if word == "{"]
                open_joints.append(len(joints) - 1)
            elif word == "END":
                in_end, words = True, [word for word in words if word == "{"]
            elif word == "}":
                if in_end:
                    in_end = False
                elif open_joints:
                    open_joints.pop()
                else:
                    raise refused(path, f"line {number} closes what was not opened")
            elif word in ("OFFSET", "CHANNELS"):
                if not open_joints:
                    raise refused(path, f"{word} in line {number} belongs to no joint")
                _describe(path, number, joints[open_joints[-1]], word, words, in_end=in_end)
                words = [word for word in words if word == "}"]
            elif word not in ("HIERARCHY", "{"):
                raise refused(path, f"line {number} says {word[:40]!r}, which is no word of BVH")
    raise refused(path, "it ends before MOTION")


def _describe(
    path: Path, number: int, joint: _Joint, word: str, words: list[str], *, in_end: bool
) -> None:
    """Take the offset or the channels of a joint, or the offset of its end."""
    words = [word for word in words if word != "}"]
    if word == "OFFSET":
        values = [_float(path, number, word) for word in words]
        if len(values) != 3:
            raise refused(path, f"OFFSET in line {number} has {len(values)} numbers, not 3")
        if in_end:
            joint.end = values
        else:
            joint.offset = values
        return
    names = tuple(word.lower() for word in words[1:])
    if not words or words[0] != str(len(names)) or set(names) - set(CHANNELS):
        raise refused(path, f"CHANNELS in line {number} are not what they say: {words[:8]}")
    if len(set(names)) != len(names) or joint.channels:
        raise refused(path, f"CHANNELS in line {number} repeat one")
    joint.channels = names


def _motion_head(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[int, float]:
    """Read how many frames there are, and how long each is [s]."""
    found: dict[str, float] = {}
    for number, line in lines:
        name, colon, value = line.partition(":")
        if not line:
            continue
        if not colon or name.strip().lower() not in ("frames", "frame time"):
            raise refused(path, f"line {number} is neither Frames: nor Frame Time:")
        found[name.strip().lower()] = _float(path, number, value.strip(), most=1e300)
        if len(found) == 2:
            break
    frames, seconds = found.get("frames", 0.0), found.get("frame time", 0.0)
    if not (math.isfinite(frames) and frames == int(frames)):
        raise refused(path, f"its number of frames is {frames}")
    if not (math.isfinite(seconds) and seconds > 0):
        raise refused(path, f"Frame Time is {seconds} s")
    return check_frames(path, int(frames)), seconds


def _numbers(path: Path, lines: Iterator[tuple[int, str]], frames: int, width: int) -> np.ndarray:
    """Read the numbers of all frames, whatever lines they stand on."""
    values = array("d")
    for number, line in lines:
        values.extend(_float(path, number, word) for word in line.split())
        if len(values) > frames * width:
            break
    if len(values) != frames * width:
        have = "more" if len(values) > frames * width else f"{len(values) / width:.1f}"
        raise refused(
            path,
            f"it promises {frames} frames of {width} numbers and has {have}",
            fix="export it again; it is damaged or cut off",
        )
    return np.frombuffer(values, np.float64).reshape(frames, width)


def _float(path: Path, number: int, word: str, *, most: float = FARTHEST_UNITS) -> float:
    try:
        value = float(word)
    except ValueError as error:
        raise refused(path, f"{word[:40]!r} in line {number} is no number") from error
    if not abs(value) <= most:
        raise refused(path, f"{word[:40]} in line {number} is not finite or beyond all measure")
    return value


def _unpack(joints: list[_Joint], values: np.ndarray) -> tuple[Tensor, Tensor]:
    """Turn channels into rotations (t, j, 3, 3) and the root's positions (t, 3)."""
    numbers = torch.from_numpy(values.copy())
    count = len(numbers)
    eye = torch.eye(3, dtype=torch.float64)
    root = torch.zeros(count, 3, dtype=torch.float64) + torch.tensor(joints[0].offset).double()
    rotations = []
    column = 0
    for index, joint in enumerate(joints):
        turn = eye.expand(count, 3, 3)
        for name in joint.channels:
            value = numbers[:, column]
            column += 1
            axis = "xyz".index(name[0])
            if name.endswith("rotation"):
                turn = turn @ axis_angle_to_matrix(torch.deg2rad(value)[:, None] * eye[axis])
            elif index == 0:
                root[:, axis] = value
        rotations.append(turn)
    return torch.stack(rotations, 1), root
