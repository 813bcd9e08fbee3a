"""Label pictures of one person, which a generator made: quicker than a photo, never refusing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from persona.perception.detectors import Detectors, Picture, Plane, Sighting
from persona.perception.keypoints import first_look, whole_picture
from persona.perception.matting import person_mask
from persona.perception.parts import label_parts
from persona.records.frame_labels import FrameLabels

PIXELS = 768
"""How large the detectors see the picture [px]: a generator's are 1024 high."""
LEAST_PIXELS = 100
"""A mask of fewer pixels shows nobody."""


@runtime_checkable
class LabelFrame(Protocol):
    """Picture -> FrameLabels, or None where nobody is seen."""

    def __call__(self, picture: UInt8[Tensor, "h w 3"]) -> FrameLabels | None:
        """Look at one picture."""
        ...


@contextmanager
def embedded_labels() -> Iterator[LabelFrame]:
    """Give the labeller that needs no weights: MediaPipe's landmarks and mask, refined by colour.

    Example:
        >>> with embedded_labels() as label:  # doctest: +SKIP
        ...     labels = label(picture)
    """
    with Detectors() as detectors:

        def label(picture: UInt8[Tensor, "h w 3"]) -> FrameLabels | None:
            pixels = picture.numpy()
            found = look(pixels, detectors)
            return None if found is None else frame_labels(pixels, found)

        yield label


def look(pixels: Picture, detectors: Detectors) -> Sighting | None:
    """Look for the one person of a picture; None where nobody shows up."""
    found = detectors.person(pixels, whole_picture(pixels), pixels=PIXELS)
    return first_look(pixels, detectors, thorough=False) if found is None else found


def frame_labels(
    pixels: Picture,
    found: Sighting,
    *,
    edges: Callable[[Picture, Plane], Plane] | None = None,
    parts: Callable[[Picture, np.ndarray], np.ndarray] | None = None,
) -> FrameLabels | None:
    """Refine the mask of a sighting and tell its parts; None where next to nothing is covered.

    Args:
        pixels: The whole picture.
        found: The person.
        edges: Picture, mask -> mask with better edges, after our own refinement.
        parts: Picture, parts -> better parts, likewise.
    """
    mask = person_mask(pixels, found)
    if edges is not None and _shows_somebody(mask):
        mask = edges(pixels, mask)
    if not _shows_somebody(mask):
        return None
    labels = label_parts(pixels, mask, found)
    if parts is not None:
        labels = parts(pixels, labels)
    return FrameLabels(
        mask=torch.from_numpy(np.clip(mask, 0, 1).astype(np.float32)),
        parts=torch.from_numpy(labels.astype(np.uint8)),
        body=torch.from_numpy(found.body.astype(np.float32)),
        face_points=None if found.face is None else torch.from_numpy(found.face.astype(np.float32)),
    )


def _shows_somebody(mask: Plane) -> bool:
    return int((mask > 0.5).sum()) >= LEAST_PIXELS
