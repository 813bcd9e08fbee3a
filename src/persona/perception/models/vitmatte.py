"""ViTMatte: a mask's border as soft as hair is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings
from persona.perception.detectors import Picture, Plane
from persona.perception.models.pictures import mask_box

WEIGHTS: Final = "vitmatte-small-composition-1k"
BAND: Final = 0.012
"""Half the width of what is in doubt along the mask's border, share of the person's height: a
lock of hair."""
SURE: Final = 0.05
"""Coverage that is this far from none and from all is in doubt, too."""
MARGIN: Final = 0.05
"""Free space around the person in what the model sees, share of the longer side."""
NOBODY, DOUBT, PERSON = 0, 128, 255
"""A trimap's three values."""


@dataclass(frozen=True, kw_only=True)
class VitMatte:
    """Picture, mask -> mask with soft edges.

    What is well inside or outside the mask stays as it is: a hole in the mask is not filled.

    References:
        Yao et al., "ViTMatte: Boosting Image Matting with Pre-trained Plain Vision Transformers",
        Information Fusion 2024.
    """

    model: Any
    """VitMatteForImageMatting."""
    processor: Any
    """VitMatteImageProcessorPil."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "VitMatte":
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        kind = transformers.VitMatteForImageMatting
        model = read_pretrained(kind, folder, torch.float32, weights=WEIGHTS)
        processor = read_settings(transformers.VitMatteImageProcessorPil, folder, weights=WEIGHTS)
        return VitMatte(model=model.to(device), processor=processor, device=device)

    @torch.no_grad()
    def __call__(self, picture: Picture, mask: Plane) -> Plane:
        """Give coverage by the person.

        Args:
            picture: The whole picture.
            mask: Coverage as known by now.
        """
        rows, columns = around(mask)
        doubt = trimap(mask)[rows, columns]
        seen = self.processor(picture[rows, columns], trimaps=doubt, return_tensors="pt")
        alphas = self.model(seen["pixel_values"].to(self.device, torch.float32)).alphas
        alpha = alphas[0, 0, : doubt.shape[0], : doubt.shape[1]].cpu().numpy().clip(0, 1)
        refined = np.zeros(mask.shape, np.float32)
        refined[rows, columns] = np.where(doubt == DOUBT, alpha, doubt / PERSON)
        return refined


def trimap(mask: Plane) -> UInt8[np.ndarray, "h w"]:
    """Say where the person surely is, where surely not, and where it is in doubt."""
    box = mask_box(mask)
    reach = max(2, round(BAND * (box[3] - box[1])))
    inside = (mask > 0.5).astype(np.uint8)
    # Beyond the picture's border the person goes on.
    within = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    near = cv2.distanceTransform(within, cv2.DIST_L2, 5)
    near += cv2.distanceTransform(1 - within, cv2.DIST_L2, 5)
    unsure = (near[1:-1, 1:-1] <= reach) | ((mask > SURE) & (mask < 1 - SURE))
    return np.where(unsure, DOUBT, inside * PERSON).astype(np.uint8)


def around(mask: Plane) -> tuple[slice, slice]:
    """Give rows and columns around the person, within the picture."""
    left, top, right, bottom = mask_box(mask)
    room = MARGIN * max(right - left, bottom - top)
    return (
        slice(max(int(top - room), 0), int(bottom + room) + 1),
        slice(max(int(left - room), 0), int(right + room) + 1),
    )
