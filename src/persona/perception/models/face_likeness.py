"""SigLIP: how alike two faces look, for judging generated frames."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings

WEIGHTS: Final = "siglip-base-patch16-224"
SIDE_PX: Final = 224
"""Of the cut-out face; the processor brings it to what the model takes."""
LEFT_EYE, RIGHT_EYE, MOUTH = (362, 263), (33, 133), (61, 291)
"""Corners, by MediaPipe face mesh index."""
PLACES: Final = np.array([[0.59, 0.44], [0.41, 0.44], [0.5, 0.63]], np.float32)
"""Where eyes and mouth go, shares of the side: models of pictures know faces better with hair and
chin around them than cut out tightly (arXiv 2507.03541)."""
LEAST_TURN: Final = 0.45
"""Least distance of the eyes over that from eyes to mouth: a head turned farther than about 60
degrees is not compared [-]."""
SIZES_PER_OCTAVE: Final = 4
"""The photo's face is compared as small as the frame has it, in steps of so many to a half."""

Mesh = Float[Tensor, "478 3"]


@dataclass(frozen=True, kw_only=True)
class FaceModel:
    """Picture, face mesh -> embedding of unit length.

    It was made to match pictures with words, and knows faces less well than models for faces do,
    whose weights all come from data sets that exclude commercial use.

    References:
        Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023.
    """

    model: Any
    """SiglipModel."""
    processor: Any
    """SiglipImageProcessorPil."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "FaceModel":
        """Read the published folder, words and all: it is read strictly.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        transformers = require("transformers", extra="diffusion", purpose="compare faces")
        model = read_pretrained(transformers.SiglipModel, folder, torch.float32, weights=WEIGHTS)
        cutting = transformers.SiglipImageProcessorPil
        processor = read_settings(cutting, folder, weights=WEIGHTS)
        return FaceModel(model=model.to(device), processor=processor, device=device)

    @torch.no_grad()
    def __call__(
        self, picture: UInt8[Tensor, "h w 3"], face: Mesh, *, pixels: int | None = None
    ) -> Float[Tensor, " d"]:
        """Embed one face.

        Args:
            picture: sRGB bytes.
            face: MediaPipe face mesh in it.
            pixels: How many pixels the cut-out is brought down to first; None keeps all.
        """
        cut = align_face(picture.numpy(), face)
        if pixels is not None and pixels < SIDE_PX:
            small = cv2.resize(cut, (pixels, pixels), interpolation=cv2.INTER_AREA)
            cut = cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
        seen = self.processor(cut, return_tensors="pt")["pixel_values"]
        found = self.model.vision_model(seen.to(self.device, torch.float32)).pooler_output[0]
        return torch.nn.functional.normalize(found, dim=0).cpu()


@dataclass(frozen=True)
class FaceLikeness:
    """Compares faces of a film with the photo's."""

    model: FaceModel
    photo: UInt8[Tensor, "h w 3"]
    """The photo."""
    face: Mesh
    """Its face."""
    _known: dict[int, Float[Tensor, " d"]] = field(default_factory=dict)

    def __call__(self, picture: UInt8[Tensor, "h w 3"], face: Mesh | None) -> float | None:
        """Give the cosine of both embeddings; None where the picture's face cannot be compared.

        Args:
            picture: A frame.
            face: Mesh of the face in it.
        """
        if face is None or not looks_here(face):
            return None
        steps = math.log2(min(cut_size(face), SIDE_PX)) * SIZES_PER_OCTAVE
        pixels = round(2 ** (round(steps) / SIZES_PER_OCTAVE))
        if pixels not in self._known:
            self._known[pixels] = self.model(self.photo, self.face, pixels=pixels)
        return float(self.model(picture, face) @ self._known[pixels])


def likeness_to(
    folder: Path, photo: UInt8[Tensor, "h w 3"], face: Mesh | None, *, device: torch.device
) -> FaceLikeness | None:
    """Read the weights and get ready to compare; None where the photo's own face does not do.

    Raises:
        MissingPartError: The extra or a part of the weights is missing.
        FileFormatError: A part is damaged, or another model's.
    """
    if face is None or not looks_here(face):
        return None
    return FaceLikeness(FaceModel.load(folder, device=device), photo, face)


def align_face(picture: UInt8[np.ndarray, "h w 3"], face: Mesh) -> UInt8[np.ndarray, "s s 3"]:
    """Turn, scale and cut a face out so that eyes and mouth are at `PLACES`; outside is white."""
    turned = _to_places(face)
    scale = float(np.linalg.norm(turned[0, :2]))
    if scale < 1:
        # Else what is shrunk would flicker with the grid.
        blur = 0.5 * math.sqrt(1 / scale**2 - 1)
        picture = cv2.GaussianBlur(picture, (0, 0), max(blur, 1e-3))
    return cv2.warpAffine(
        picture, turned, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    )


def looks_here(face: Mesh) -> bool:
    """Whether a face is turned to the camera far enough to be compared."""
    left, right, mouth = _marks(face)
    down = float(np.linalg.norm(mouth - (left + right) / 2))
    return float(np.linalg.norm(left - right)) > LEAST_TURN * down


def cut_size(face: Mesh) -> float:
    """Give how many pixels of the picture a side of the cut-out has."""
    turned = _to_places(face)
    return SIDE_PX / float(np.linalg.norm(turned[0, :2]))


def _marks(face: Mesh) -> Float[np.ndarray, "3 2"]:
    points = face[:, :2].numpy()
    return np.stack([points[list(pair)].mean(0) for pair in (LEFT_EYE, RIGHT_EYE, MOUTH)])


def _to_places(face: Mesh) -> Float[np.ndarray, "2 3"]:
    """Fit a turn, a scale and a shift from the picture to the cut-out, by least squares."""
    # Pixel centres lie at half integers here and at integers in cv2.
    found, wanted = _marks(face) - 0.5, PLACES * SIDE_PX - 0.5
    middle, goal = found.mean(0), wanted.mean(0)
    a, b = found - middle, wanted - goal
    size = max(float((a**2).sum()), 1e-9)
    cosine = float((a * b).sum()) / size
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / size
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.concatenate([turn, (goal - turn @ middle)[:, None]], 1)
