"""Label pictures by larger models, each for what it is good at, the embedded perception between."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.perception.detectors import Detectors, Picture, Plane, Sighting, Window
from persona.perception.frame_labels import LEAST_PIXELS, PIXELS, LabelFrame, frame_labels, look
from persona.perception.models.choice import LABEL_MODELS, Role
from persona.perception.models.depth_anything import DepthAnything
from persona.perception.models.depth_pro import DepthPro
from persona.perception.models.faces import enlarge_face
from persona.perception.models.marigold import Marigold
from persona.perception.models.pictures import mask_box
from persona.perception.models.sam2 import Sam2
from persona.perception.models.sapiens2 import (
    Sapiens2Matting,
    Sapiens2Normals,
    Sapiens2Parts,
    Sapiens2Pose,
)
from persona.perception.models.swin2sr import Swin2Sr
from persona.perception.models.vitmatte import VitMatte
from persona.perception.models.vitpose import VitPose
from persona.records.frame_labels import FrameLabels

LEAST_SCORE: Final = 0.3
"""Joints that a model is less sure of stay where MediaPipe saw them."""
FIRST_JOINT: Final = 11
"""MediaPipe's shoulders: the face's points stay MediaPipe's, which belong to one mesh."""
CARRIED: Final = {15: (17, 19, 21), 16: (18, 20, 22), 27: (29, 31), 28: (30, 32)}
"""Wrists and ankles, and the points beyond them; they go along where a model does not know them."""
MARGIN: Final = 0.15
"""Around the mask, for a closer look, share of its longer side."""
LOADERS: Final[dict[str, Any]] = {
    "sam2": Sam2,
    "vitpose": VitPose,
    "sapiens2-pose": Sapiens2Pose,
    "sapiens2-parts": Sapiens2Parts,
    "vitmatte": VitMatte,
    "sapiens2-matting": Sapiens2Matting,
    "marigold": Marigold,
    "sapiens2-normals": Sapiens2Normals,
    "depth-anything": DepthAnything,
    "depth-pro": DepthPro,
    "swin2sr": Swin2Sr,
}
"""Who reads a model's folder, by its name in `choice.LABEL_MODELS`."""


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

    The embedded perception sees the person first, and says what no model was chosen for. SAM 2
    follows that person, and its mask takes the place of the coarse one, so that edges and parts are
    found as ever. Whom MediaPipe does not see even in the mask's own box counts as nobody.

    Example:
        >>> folders = {"sam2": a, "vitpose": b}  # doctest: +SKIP
        >>> with ModelLabels(folders=folders, device=cpu)() as label:  # doctest: +SKIP
        ...     labels = label(picture)
    """

    folders: Mapping[str, Path]
    """Name of a model, see `choice.parse_labels` -> folder of its weights."""
    device: torch.device
    """Where to compute."""

    @property
    def key(self) -> object:
        """Which weights."""
        return "models", tuple(sorted(self.folders.items()))

    @contextmanager
    def __call__(self) -> Iterator[LabelFrame]:
        """Read the weights, and give who looks at the pictures of a film, in their order.

        Raises:
            MissingPartError: The extra or a part of the weights is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        models: dict[Role, Any] = {
            LABEL_MODELS[name].role: LOADERS[name].load(folder, device=self.device)
            for name, folder in self.folders.items()
        }
        follower = models["mask"].follow() if "mask" in models else None
        with Detectors() as detectors:
            yield _Look(models=models, follower=follower, detectors=detectors)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """Looks at the pictures of one film."""

    models: Mapping[Role, Any]
    follower: FollowMask | None
    detectors: Detectors

    def __call__(self, picture: UInt8[Tensor, "h w 3"]) -> FrameLabels | None:
        pixels, models = picture.numpy(), self.models
        found = see(pixels, self.follower, self.detectors)
        if found is None:
            return None
        joints = models.get("joints")
        if joints is not None:
            box = found.box if self.follower is None else mask_box(found.mask)
            moved = move_joints(found.body, *joints(pixels, box), marks=joints.marks)
            found = replace(found, body=moved)
        seen = frame_labels(pixels, found, edges=models.get("edges"), parts=models.get("parts"))
        if seen is None:
            return None
        return replace(
            seen,
            normal=_within(seen.mask, models.get("normals"), picture),
            depth=_within(seen.mask, models.get("depth"), picture),
            face=enlarge_face(pixels, found.face, models["face"]) if "face" in models else None,
        )


def _within(
    mask: Float[Tensor, "h w"], look_at: Callable[[Tensor], Tensor] | None, picture: Tensor
) -> Tensor | None:
    """Ask a model for something of every pixel, and keep what is inside the mask."""
    if look_at is None:
        return None
    made, inside = look_at(picture), mask > 0.5
    return made * (inside if made.ndim == inside.ndim else inside[..., None])


def see(pixels: Picture, masks: FollowMask | None, detectors: Detectors) -> Sighting | None:
    """Look for the person that is followed; the first who is seen is followed from then on."""
    if masks is None:
        return look(pixels, detectors)
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


def move_joints(
    body: Float[np.ndarray, "33 2"],
    joints: Float[np.ndarray, "n 2"],
    scores: Float[np.ndarray, " n"],
    *,
    marks: tuple[int, ...],
) -> Float[np.ndarray, "33 2"]:
    """Move shoulders and all below to where a model is sure to see them.

    Hands and feet go along with wrists and ankles, unless the model sees them itself.

    Args:
        body: MediaPipe Pose landmarks [px].
        joints: What the model saw [px].
        scores: How sure it is, about 0 to 1.
        marks: Which landmark each is.
    """
    moved = body.copy()
    seen = {
        mark: joint
        for mark, joint, score in zip(marks, joints, scores, strict=True)
        if mark >= FIRST_JOINT and score >= LEAST_SCORE
    }
    for mark, others in CARRIED.items():
        if mark in seen:
            moved[list(others)] = body[list(others)] + seen[mark] - body[mark]
    for mark, joint in seen.items():
        moved[mark] = joint
    return moved
