"""Frames that somebody else's method has rendered, scored under the same protocol as ours.

LHM, AniGS, ExAvatar, MimicMotion, Champ, StableAnimator, PERSONA and anything else that leaves
pictures in a folder. Who rendered the same camera needs no alignment. Who rendered another crop
says which part of the frame their pictures show. Who placed the person freely can have each picture
laid onto the true mask: that looks at the truth, so it is shown as *fitted*, never as unfitted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import FileFormatError, InputError
from persona.core.types import Image, Mask
from persona.evaluation.methods import Drawer, Drawn
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.images.files import Picture, read_image
from persona.images.masks import bounds, dilate, erode

FIELD: Final = re.compile(r"\{(index|name)(?::0?(\d{1,2})d?)?\}")
"""What a pattern may hold: {index}, {index:05d}, {name}."""
AWAY: Final = 0.06
"""A pixel this far from a plain background shows the person [sRGB]."""
RIM_PX: Final = 1.5
"""Width of the rim whose pixels may be covered in part [px]."""


@dataclass(frozen=True, kw_only=True)
class OtherFrames:
    """Where the frames of one subject are, and how they lie over the true ones."""

    subject: str
    """Whose, by the name in the specification."""
    frames: str
    """Their files, for example ``lhm/ada/{index:05d}.png``; {name} is the data set's own name."""
    masks: str | None = None
    """Files of their coverage, white where the person is; None takes the pictures' alpha, or what
    differs from the background."""
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Colour behind the person where neither alpha nor masks say where they are, sRGB in [0, 1]."""
    first: int = 0
    """Number of the file that belongs to the subject's frame 0."""
    step: int = 1
    """By how much the numbers grow from frame to frame."""
    crop: tuple[float, float, float, float] | None = None
    """Left, top, width and height of the part of the frame that their pictures show [px of the
    frame]; None is the whole frame."""
    align: Literal["none", "mask"] = "none"
    """mask: each picture is scaled and moved so that its outline's box meets the true mask's."""


@dataclass(frozen=True, kw_only=True)
class OtherMethod:
    """A method that was run elsewhere."""

    name: str
    """What tables call it."""
    about: str = "rendered elsewhere"
    """What it is, which version, how it was run."""
    frames: tuple[OtherFrames, ...]
    """Where its frames are."""


@dataclass(frozen=True, kw_only=True)
class FramesMethod:
    """`methods.Method` of frames that are there."""

    other: OtherMethod
    """Whose."""
    root: Path
    """What paths are relative to."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.other.name

    @property
    def about(self) -> str:
        """What it is."""
        return self.other.about

    def prepare(self, subject: Subject) -> Drawer:
        """Find the frames of a subject.

        Raises:
            InputError: There are none of this subject.
            FileFormatError: A file is missing.
        """
        for frames in self.other.frames:
            if frames.subject == subject.name:
                return FramesDrawer(frames=frames, root=self.root)
        raise InputError(
            f"{self.name} has no frames of {subject.name}",
            why="its tables name " + ", ".join(frames.subject for frames in self.other.frames),
            fix="add [[others.frames]] with this subject, or leave the method away",
        )


@dataclass(frozen=True, kw_only=True)
class FramesDrawer:
    """Reads frames from files; see `methods.Drawer`. There is no surface."""

    frames: OtherFrames
    """Where they are."""
    root: Path
    """What paths are relative to."""

    @property
    def only_fitted(self) -> bool:
        """Whether pictures are laid onto the true mask."""
        return self.frames.align == "mask"

    def draw(
        self, frame: SubjectFrame, *, camera: Camera | None = None, maps: bool = False
    ) -> Drawn:
        """Read a frame, and put it where it belongs; another camera than the frame's has none."""
        if camera is not None or maps:
            empty = torch.zeros(frame.camera.height, frame.camera.width)
            return Drawn(color=empty[..., None].expand(-1, -1, 3), alpha=empty)
        color, alpha = self._layers(frame)
        height, width = frame.mask.shape
        crop = self.frames.crop or (0.0, 0.0, float(width), float(height))
        grow = np.array([crop[2] / alpha.shape[1], crop[3] / alpha.shape[0]])
        return _placed(color, alpha, grow, np.array(crop[:2]), frame)

    def draw_fitted(self, frame: SubjectFrame) -> Drawn | None:
        """Lay the picture onto the true mask; None where that was not asked for."""
        if not self.only_fitted:
            return None
        color, alpha = self._layers(frame)
        ours, true = bounds(alpha), bounds(frame.mask)
        if ours is None or true is None:
            return self.draw(frame)
        scale = (true[3] - true[1]) / (ours[3] - ours[1])
        middle = np.array([true[0] + true[2] - scale * (ours[0] + ours[2]), 0.0]) / 2
        middle[1] = true[1] - scale * ours[1]
        return _placed(color, alpha, np.array([scale, scale]), middle, frame)

    def _layers(self, frame: SubjectFrame) -> tuple[Image, Mask]:
        """Read colour, premultiplied, and coverage."""
        picture = self._read(self.frames.frames, frame)
        plain = torch.tensor(self.frames.background)
        if self.frames.masks is None and picture.alpha is None:
            alpha = coverage_before(picture.rgb, plain)
            # What the background gave to soft pixels is taken out of them again.
            return (picture.rgb - (1 - alpha[..., None]) * plain).clamp(0, 1), alpha
        alpha = picture.alpha
        if self.frames.masks is not None:
            alpha = self._read(self.frames.masks, frame).rgb.mean(-1)
        assert alpha is not None
        if alpha.shape != picture.rgb.shape[:2]:
            raise FileFormatError(
                f"the mask of frame {frame.name} is {alpha.shape[1]} x {alpha.shape[0]}",
                why=f"its picture is {picture.rgb.shape[1]} x {picture.rgb.shape[0]}",
                fix="render both in one size",
            )
        return picture.rgb * alpha[..., None], alpha

    def _read(self, pattern: str, frame: SubjectFrame) -> Picture:
        path = self.root / filled(
            pattern, index=self.frames.first + self.frames.step * frame.index, name=frame.name
        )
        if not path.is_file():
            raise FileFormatError(
                f"{path.name} is missing, the picture of frame {frame.name}",
                why=f"{pattern} should lead to a file for every frame that is compared",
                fix="render it, or correct frames, first and step in the specification",
            )
        return read_image(path)


def coverage_before(picture: Image, plain: Float[Tensor, " 3"]) -> Mask:
    """Tell how much of each pixel a person covers, before a background of one colour.

    Inside, all of it. On the rim, as far away from the background as its surroundings say: a half
    covered pixel of a dark coat is half as far away as the coat. Holes in the background's own
    colour stay holes.
    """
    away = (picture - plain).abs().amax(-1)
    solid = (away > AWAY).float()
    inside = erode(solid, RIM_PX)
    full = dilate(away, 2 * RIM_PX).clamp(min=AWAY)
    return torch.maximum(inside, solid * (away / full).clamp(0, 1))


def filled(pattern: str, *, index: int, name: str) -> str:
    """Put a frame's number and name into a pattern; nothing else in it is looked at.

    Example:
        >>> filled("lhm/{index:05d}.png", index=7, name="x")
        'lhm/00007.png'
    """
    values: Mapping[str, str | int] = {"index": index, "name": name}

    def put(found: re.Match[str]) -> str:
        text = str(values[found[1]])
        return text.zfill(int(found[2])) if found[2] else text

    return FIELD.sub(put, pattern)


def _placed(
    color: Image, alpha: Mask, grow: np.ndarray, move: np.ndarray, frame: SubjectFrame
) -> Drawn:
    """Scale and move a picture into the frame; nothing is where it does not reach."""
    # OpenCV's pixel centres are whole numbers, ours halves.
    shift = move + 0.5 * grow - 0.5
    warp = np.array([[grow[0], 0, shift[0]], [0, grow[1], shift[1]]])
    layers = torch.cat([color, alpha[..., None]], -1).numpy()
    if min(grow) < 1:
        layers = cv2.GaussianBlur(layers, (0, 0), 0.4 / float(min(grow)))
    height, width = frame.mask.shape
    moved = torch.from_numpy(cv2.warpAffine(layers, warp, (width, height)))
    return Drawn(color=moved[..., :3].clamp(0, 1), alpha=moved[..., 3].clamp(0, 1))
