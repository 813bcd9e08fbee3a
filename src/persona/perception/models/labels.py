"""Label pictures by larger models: SAM 2's masks, ViTPose's joints, and geometry."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.perception.detectors import Detectors, Picture, Plane, Sighting, Window
from persona.perception.frame_labels import LEAST_PIXELS, PIXELS, LabelFrame, frame_labels, look
from persona.perception.models.depth_anything import DepthAnything
from persona.perception.models.marigold import Marigold
from persona.perception.models.sam2 import Sam2
from persona.perception.models.vitpose import MARKS, VitPose
from persona.records.frame_labels import FrameLabels

LEAST_SCORE: Final = 0.3
"""Joints that ViTPose is less sure of stay where MediaPipe saw them."""
FIRST_JOINT: Final = 11
"""MediaPipe's shoulders: the face's points stay MediaPipe's, which belong to one mesh."""
CARRIED: Final = {15: (17, 19, 21), 16: (18, 20, 22), 27: (29, 31), 28: (30, 32)}
"""Wrists and ankles, and the points beyond them that ViTPose does not know; they go along."""
MARGIN: Final = 0.15
"""Around the mask, for a closer look, share of its longer side."""


@runtime_checkable
class FollowMask(Protocol):
    """The mask of one person through a film; `sam2.Follower` is one."""

    @property
    def started(self) -> bool:
        """Whether somebody is followed."""
        ...

    def start(self, picture: Picture, box: tuple[float, float, float, float]) -> Plane | None:
        """Follow whoever fills a box: left, top, right, bottom [px]."""
        ...

    def next(self, picture: Picture) -> Plane | None:
        """Look at the next picture; None where they are not seen."""
        ...


@dataclass(frozen=True, kw_only=True)
class ModelLabels:
    """Gives a labeller for one film.

    SAM 2 follows the person whom the embedded perception sees first, and its mask takes the place
    of the coarse one, so that edges and parts are found as ever. ViTPose moves shoulders to ankles.
    Whom MediaPipe does not see even in the mask's own box counts as nobody.

    Example:
        >>> with ModelLabels(sam2=a, vitpose=b, device=cpu)() as label:  # doctest: +SKIP
        ...     labels = label(picture)
    """

    sam2: Path
    """Folder of SAM 2's weights."""
    vitpose: Path
    """Folder of ViTPose's."""
    marigold: Path | None = None
    """Folder of Marigold's; None gives no normals."""
    depth: Path | None = None
    """Folder of Depth Anything's; None gives no depth."""
    device: torch.device
    """Where to compute."""

    @property
    def key(self) -> object:
        """Which weights."""
        return "models", self.sam2, self.vitpose, self.marigold, self.depth

    @contextmanager
    def __call__(self) -> Iterator[LabelFrame]:
        """Read the weights, and give who looks at the pictures of a film, in their order.

        Raises:
            MissingPartError: The extra or a part of the weights is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        masks = Sam2.load(self.sam2, device=self.device).follow()
        joints = VitPose.load(self.vitpose, device=self.device)
        folders, device = (self.marigold, self.depth), self.device
        normals = None if folders[0] is None else Marigold.load(folders[0], device=device)
        depths = None if folders[1] is None else DepthAnything.load(folders[1], device=device)
        with Detectors() as detectors:

            def label(picture: UInt8[Tensor, "h w 3"]) -> FrameLabels | None:
                pixels = picture.numpy()
                found = see(pixels, masks, detectors)
                if found is None:
                    return None
                moved = move_joints(found.body, *joints(pixels, mask_box(found.mask)))
                seen = frame_labels(pixels, replace(found, body=moved))
                if seen is None:
                    return None
                inside = seen.mask > 0.5
                return replace(
                    seen,
                    normal=None if normals is None else normals(picture) * inside[..., None],
                    depth=None if depths is None else depths(picture) * inside,
                )

            yield label


def see(pixels: Picture, masks: FollowMask, detectors: Detectors) -> Sighting | None:
    """Look for the person that is followed; the first who is seen is followed from then on."""
    if not masks.started:
        found = look(pixels, detectors)
        if found is None:
            return None
        mask = masks.start(pixels, found.box)
    else:
        found, mask = None, masks.next(pixels)
    if mask is None or (mask > 0.5).sum() < LEAST_PIXELS:
        return None
    if found is None:
        window = Window.around(mask_box(mask), margin=MARGIN)
        found = detectors.person(pixels, window, pixels=PIXELS)
    return None if found is None else replace(found, mask=mask)


def mask_box(mask: Plane) -> tuple[float, float, float, float]:
    """Give the bounds of what is covered by half at least: left, top, right, bottom [px]."""
    rows, columns = np.nonzero(mask > 0.5)
    ends = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return float(ends[0]), float(ends[1]), float(ends[2]), float(ends[3])


def move_joints(
    body: Float[np.ndarray, "33 2"],
    joints: Float[np.ndarray, "17 2"],
    scores: Float[np.ndarray, " 17"],
) -> Float[np.ndarray, "33 2"]:
    """Move shoulders to ankles to where ViTPose is sure to see them; hands and feet go along.

    Args:
        body: MediaPipe Pose landmarks [px].
        joints: See `VitPose`.
        scores: Likewise.
    """
    moved = body.copy()
    for mark, joint, score in zip(MARKS, joints, scores, strict=True):
        if mark >= FIRST_JOINT and score >= LEAST_SCORE:
            moved[mark] = joint
            for other in CARRIED.get(mark, ()):
                moved[other] = body[other] + joint - body[mark]
    return moved
