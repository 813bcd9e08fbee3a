"""Photo -> Observation: run the detectors in order and gather what they saw."""

from dataclasses import dataclass

import numpy as np
import torch

from persona.core.errors import PhotoError
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
            alpha = _coverage(photo)
            cut_out = photo.alpha is not None and is_cut_out(alpha, found)
            if not cut_out:
                found = with_portrait(picture, detectors, found)
        warnings = require_whole_person(
            picture, found, name=photo.name, allow_partial=self.allow_partial
        )
        mask = alpha if cut_out else person_mask(picture, found) * alpha
        _require_pixels(mask, photo.name)
        warnings += quality_warnings(picture, mask, found)
        return gather(
            found,
            mask,
            label_parts(picture, mask, found),
            mask_source="alpha" if cut_out else "segmenter",
            warnings=warnings,
        )


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


def _coverage(photo: Photo) -> Plane:
    """The photo's own alpha, or one everywhere."""
    if photo.alpha is None:
        return np.ones((photo.height, photo.width), np.float32)
    return photo.alpha.numpy().astype(np.float32)


def is_cut_out(alpha: Plane, person: Sighting) -> bool:
    """Whether a photo's alpha is this person's outline, not a rounded corner or a whole group."""
    covered, seen = alpha > 0.5, person.mask > 0.5
    return bool((covered & seen).sum() > 0.6 * (covered | seen).sum())


def _require_pixels(mask: Plane, name: str) -> None:
    if (mask > 0.5).sum() < 100:
        raise PhotoError(
            f"the person in {name} could not be told from the background",
            why="hardly a pixel was certain to be the person's",
            fix="use a sharper photo, or one with another background",
        )


def gather(
    person: Sighting, mask: Plane, parts: np.ndarray, *, mask_source: str, warnings: tuple[str, ...]
) -> Observation:
    """Put everything into one record."""
    rows, columns = np.nonzero(mask > 0.5)

    def tensor(values: np.ndarray | None) -> torch.Tensor | None:
        return None if values is None else torch.from_numpy(values.astype(np.float32))

    return Observation(
        mask=torch.from_numpy(np.clip(mask, 0, 1).astype(np.float32)),
        mask_source=mask_source,
        box=(
            float(columns.min()),
            float(rows.min()),
            float(columns.max() + 1),
            float(rows.max() + 1),
        ),
        body=torch.from_numpy(person.body.astype(np.float32)),
        body_confidence=torch.from_numpy(person.visibility.astype(np.float32)),
        body_world=torch.from_numpy(person.world.astype(np.float32)),
        parts=torch.from_numpy(parts.astype(np.int64)),
        face=tensor(person.face),
        left_hand=tensor(person.left_hand),
        right_hand=tensor(person.right_hand),
        warnings=warnings,
    )
