"""Photo -> Observation: run the detectors in order and gather what they saw."""

from dataclasses import dataclass

import numpy as np
import torch

from persona.perception.detectors import Detectors, Picture, Plane, Sighting
from persona.perception.framing import require_whole_person
from persona.perception.matting import person_mask, with_portrait
from persona.perception.parts import label_parts
from persona.perception.person import choose_person
from persona.perception.photo_quality import quality_warnings
from persona.records.observation import Observation
from persona.records.photo import Photo


@dataclass(frozen=True, kw_only=True)
class PerceivePhoto:
    """Photo -> Observation."""

    person: int | None = None
    """Which person to take, counted from the left from 1; None insists on one person."""
    allow_partial: bool = False
    """Go on when part of the person is missing, and say so in the warnings."""

    def __call__(self, photo: Photo) -> Observation:
        """Find the person in ``photo`` and say where body, hands, face, hair and clothes are.

        Raises:
            PhotoError: No avatar can be made from this photo as asked; it says why.
        """
        picture = picture_on_grey(photo)
        with Detectors() as detectors:
            found = choose_person(picture, detectors, name=photo.name, person=self.person)
            if photo.alpha is None:
                found = with_portrait(picture, detectors, found)
        warnings = require_whole_person(
            found,
            name=photo.name,
            width=photo.width,
            height=photo.height,
            allow_partial=self.allow_partial,
        )
        if photo.alpha is not None:
            mask = photo.alpha.numpy().astype(np.float32)
        else:
            mask = person_mask(picture, found)
        warnings += quality_warnings(picture, mask, found)
        return gather(photo, found, mask, label_parts(picture, mask, found), warnings)


def perceive(
    photo: Photo, *, person: int | None = None, allow_partial: bool = False
) -> Observation:
    """Find the one person in ``photo``; see `PerceivePhoto`."""
    return PerceivePhoto(person=person, allow_partial=allow_partial)(photo)


def picture_on_grey(photo: Photo) -> Picture:
    """The photo as bytes, on light grey where its own alpha says nothing is there."""
    rgb = photo.rgb.numpy()
    if photo.alpha is not None:
        alpha = photo.alpha.numpy()[..., None]
        rgb = alpha * rgb + (1 - alpha) * 0.78
    return (rgb * 255 + 0.5).astype(np.uint8)


def gather(
    photo: Photo, person: Sighting, mask: Plane, parts: np.ndarray, warnings: tuple[str, ...]
) -> Observation:
    """Put everything into one record."""
    rows, columns = np.nonzero(mask > 0.5)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)

    def tensor(values: np.ndarray | None) -> torch.Tensor | None:
        return None if values is None else torch.from_numpy(values.astype(np.float32))

    return Observation(
        mask=torch.from_numpy(np.clip(mask, 0, 1).astype(np.float32)),
        mask_source="alpha" if photo.alpha is not None else "segmenter",
        box=tuple(float(edge) for edge in box),
        body=torch.from_numpy(person.body.astype(np.float32)),
        body_confidence=torch.from_numpy(person.visibility.astype(np.float32)),
        body_world=torch.from_numpy(person.world.astype(np.float32)),
        parts=torch.from_numpy(parts.astype(np.int64)),
        face=tensor(person.face),
        left_hand=tensor(person.left_hand),
        right_hand=tensor(person.right_hand),
        warnings=warnings,
    )
