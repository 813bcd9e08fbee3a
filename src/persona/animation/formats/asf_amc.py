"""ASF and AMC: the Acclaim text formats, a skeleton in one file and its motion in another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.formats.reading import check_fps, check_frames, check_size, refused
from persona.animation.formats.skeleton_clip import MOST_JOINTS, SkeletonClip
from persona.geometry.rotations import axis_angle_to_matrix

CMU_FPS: Final = 120.0
"""Rate of the CMU library, in which nearly all files of this kind are [1/s]."""
MOST_SKELETON: Final = 2**20
"""Bytes of an ASF."""
MOST_TEXT: Final = 64 * 2**20
"""Bytes of an AMC."""
MOST_NUMBERS: Final = 12_000_000
"""Numbers in a motion: 96 MB."""
FARTHEST_UNITS: Final = 1e7
CHANNELS: Final = ("tx", "ty", "tz", "rx", "ry", "rz")
ROOT: Final = "root"


@dataclass
class _Bone:
    name: str = ""
    direction: tuple[float, ...] = (0.0, 0.0, 0.0)
    length: float = 0.0
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    axis_order: str = "xyz"
    dof: tuple[str, ...] = ()


@dataclass
class _Skeleton:
    bones: dict[str, _Bone] = field(default_factory=lambda: {ROOT: _Bone(name=ROOT)})
    parents: dict[str, str] = field(default_factory=dict)
    degrees: bool = True


def skeleton_of(path: Path) -> Path:
    """Find the ASF that belongs to an AMC: of the same name, of the subject, or the only one.

    ``11_01.amc`` is the first motion of the subject whose skeleton is ``11.asf``.

    Raises:
        FileFormatError: There is none, or several that could be it.
    """
    stems = [path.stem, re.sub(r"_\d+$", "", path.stem)]
    beside = [p for p in sorted(path.parent.iterdir()) if p.suffix.lower() == ".asf"]
    for stem in stems:
        for found in beside:
            if found.stem.lower() == stem.lower():
                return found
    if len(beside) == 1:
        return beside[0]
    raise refused(
        path,
        f"its skeleton is not beside it: {len(beside)} .asf files, none called {stems[1]}.asf",
        fix=f"put the skeleton beside it as {stems[1]}.asf",
    )


def read_amc(path: Path, *, skeleton: Path | None = None, fps: float | None = None) -> SkeletonClip:
    """Read a motion and its skeleton; neither says how fast it is.

    Args:
        path: The AMC.
        skeleton: The ASF; None looks beside it.
        fps: Its rate; None takes CMU's 120.

    Raises:
        FileFormatError: A file is missing, damaged, or speaks of bones that the other lacks.
    """
    check_size(path, most=MOST_TEXT)
    where = skeleton_of(path) if skeleton is None else skeleton
    check_size(where, most=MOST_SKELETON)
    form = _read_skeleton(where)
    order = _parents_first(where, form)
    values = _read_frames(path, form, order)
    rotations, root = _unpack(form, order, values)
    tips = {name: torch.tensor(_along(form.bones[name])).double() for name in order}
    inner = set(form.parents.values())
    return SkeletonClip(
        names=tuple(order),
        parents=tuple(order.index(form.parents[n]) if n != ROOT else -1 for n in order),
        # A bone begins where its parent ends, and turns about its beginning.
        offsets=torch.stack([tips[form.parents[n]] if n != ROOT else tips[ROOT] for n in order]),
        ends={k: tips[n] for k, n in enumerate(order) if n not in inner and n != ROOT},
        rotations=rotations,
        root_positions=root,
        fps=check_fps(path, CMU_FPS if fps is None else fps),
    )


def _along(bone: _Bone) -> tuple[float, ...]:
    """Give the way from a bone's beginning to its end [file units]."""
    size = sum(x * x for x in bone.direction) ** 0.5
    return tuple(x / size * bone.length if size else 0.0 for x in bone.direction)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the words of every line that has any, without comments."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            words = line.partition("#")[0].split()
            if words:
                yield number, words


def _read_skeleton(path: Path) -> _Skeleton:
    form = _Skeleton()
    section, bone, in_tree = "", _Bone(), False
    for number, words in _lines(path):
        head = words[0].lower()
        if head.startswith(":"):
            section, in_tree = head, False
        elif section == ":units" and head == "angle":
            form.degrees = len(words) < 2 or not words[1].lower().startswith("rad")
        elif section == ":root":
            _describe(path, number, form.bones[ROOT], words)
        elif section == ":bonedata" and head == "begin":
            bone = _Bone()
        elif section == ":bonedata" and head == "end":
            if not bone.name or bone.name in form.bones or len(form.bones) >= MOST_JOINTS:
                raise refused(
                    path, f"the bone before line {number} has no name, or one that is taken"
                )
            form.bones[bone.name] = bone
        elif section == ":bonedata":
            _describe(path, number, bone, words)
        elif section == ":hierarchy" and head in ("begin", "end"):
            in_tree = head == "begin"
        elif section == ":hierarchy" and in_tree:
            for child in words[1:]:
                if child in form.parents or child == ROOT:
                    raise refused(path, f"{child} in line {number} has two parents, or is the root")
                form.parents[child] = words[0]
    if len(form.bones) < 2:
        raise refused(path, "it has no :bonedata", fix="give the ASF of the motion")
    return form


def _describe(path: Path, number: int, bone: _Bone, words: list[str]) -> None:
    """Take one line about a bone, or about the root, whose ``order`` is its freedom."""
    head, rest = words[0].lower(), words[1:]
    if head == "name" and rest:
        bone.name = rest[0][:100]
    elif head == "direction":
        bone.direction = _floats(path, number, rest, 3)
    elif head == "length":
        bone.length = _floats(path, number, rest, 1)[0]
    elif head == "orientation":
        bone.axis = _floats(path, number, rest, 3)
    elif head == "axis":
        order = rest[-1].lower() if rest else ""
        if sorted(order) != ["x", "y", "z"]:
            raise refused(
                path, f"axis in line {number} ends in {order[:20]!r}, no order of x, y, z"
            )
        bone.axis_order = order
        if len(rest) > 1:
            bone.axis = _floats(path, number, rest[:-1], 3)
    elif head in ("dof", "order"):
        names = tuple(word.lower() for word in rest)
        if len(set(names)) != len(names) or set(names) - {*CHANNELS, "l"}:
            raise refused(path, f"{head} in line {number} is not what moves: {rest[:8]}")
        bone.dof = names


def _floats(path: Path, number: int, words: list[str], count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(word) for word in words)
    except ValueError as error:
        raise refused(path, f"line {number} holds a word that is no number: {words[:6]}") from error
    if len(values) != count or not all(abs(value) <= FARTHEST_UNITS for value in values):
        raise refused(path, f"line {number} has not {count} numbers of sensible size")
    return values


def _parents_first(path: Path, form: _Skeleton) -> list[str]:
    """List the bones so that parents come first; each must hang on the root."""
    children: dict[str, list[str]] = {}
    for child, parent in form.parents.items():
        if child not in form.bones or parent not in form.bones:
            raise refused(path, f":hierarchy names {child} or {parent}, which is no bone")
        children.setdefault(parent, []).append(child)
    order, waiting = [], [ROOT]
    while waiting:
        name = waiting.pop()
        order.append(name)
        waiting += children.get(name, [])[::-1]
    lost = set(form.bones) - set(order)
    if lost:
        raise refused(
            path, f"its hierarchy does not lead from the root to {', '.join(sorted(lost)[:5])}"
        )
    return order


def _read_frames(path: Path, form: _Skeleton, order: list[str]) -> Float[Tensor, "t c"]:
    """Read the numbers of all frames, columns in the order of the bones."""
    starts, width = {}, 0
    for name in order:
        starts[name] = width
        width += len(form.bones[name].dof)
    frames: list[list[float]] = []
    have: set[str] = set()
    for number, words in _lines(path):
        if words[0].startswith(":"):
            if words[0].lower() == ":radians":
                form.degrees = False
            continue
        if len(words) == 1 and words[0].isdigit():
            _check_whole(path, number, form, have, begun=bool(frames))
            check_frames(path, len(frames) + 1)
            if (len(frames) + 1) * width > MOST_NUMBERS:
                raise refused(path, f"it has more than {MOST_NUMBERS} numbers")
            frames.append([0.0] * width)
            have = set()
            continue
        bone = form.bones.get(words[0])
        if bone is None or not frames or words[0] in have:
            raise refused(
                path,
                f"line {number} begins with {words[0][:40]!r}, no bone or one again",
                fix="use the .asf that belongs to it",
            )
        have.add(words[0])
        begin = starts[words[0]]
        frames[-1][begin : begin + len(bone.dof)] = _floats(path, number, words[1:], len(bone.dof))
    _check_whole(path, 0, form, have, begun=bool(frames))
    check_frames(path, len(frames))
    return torch.tensor(frames, dtype=torch.float64)


def _check_whole(path: Path, number: int, form: _Skeleton, have: set[str], *, begun: bool) -> None:
    lacking = [name for name, bone in form.bones.items() if bone.dof and name not in have]
    if begun and lacking:
        where = f"before line {number}" if number else "at the end"
        raise refused(path, f"the frame {where} lacks {', '.join(lacking[:5])}")


def _unpack(
    form: _Skeleton, order: list[str], values: Float[Tensor, "t c"]
) -> tuple[Float[Tensor, "t j 3 3"], Float[Tensor, "t 3"]]:
    """Turn degrees of freedom into rotations, child to parent, and the root's path.

    A bone's angles are about its own axes, which the skeleton gives in the world at rest.
    """
    eye = torch.eye(3, dtype=torch.float64)
    root = torch.zeros(len(values), 3, dtype=torch.float64)

    def about(axis: int, angle: Tensor) -> Tensor:
        turn = torch.deg2rad(angle) if form.degrees else angle
        return axis_angle_to_matrix(turn[:, None] * eye[axis])

    rotations, column = [], 0
    for name in order:
        bone = form.bones[name]
        frame = eye[None]
        for letter in bone.axis_order:
            axis = "xyz".index(letter)
            frame = about(axis, torch.tensor([bone.axis[axis]]).double()) @ frame
        turn = eye.expand(len(values), 3, 3)
        for channel in bone.dof:
            value = values[:, column]
            column += 1
            if channel.startswith("r"):
                turn = about("xyz".index(channel[1]), value) @ turn
            elif name == ROOT and channel.startswith("t"):
                root[:, "xyz".index(channel[1])] = value
        rotations.append(frame @ turn @ frame.mT)
    return torch.stack(rotations, 1), root
