"""Swin2SR: the face of a picture, twice as large."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from persona.core.errors import FileFormatError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings
from persona.perception.detectors import Picture, SmallPicture

WEIGHTS: Final = "swin2sr-classical-sr-x2-64"
UPSCALE: Final = 2
"""How much larger pictures become [-]."""


@dataclass(frozen=True, kw_only=True)
class Swin2Sr:
    """Picture -> the same, twice as large.

    References:
        Conde et al., "Swin2SR: SwinV2 Transformer for Compressed Image Super-Resolution and
        Restoration", ECCV Workshops 2022.
    """

    model: Any
    """Swin2SRForImageSuperResolution."""
    processor: Any
    """Swin2SRImageProcessorPil."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "Swin2Sr":
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, another model's, or enlarges by another factor.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        kind = transformers.Swin2SRForImageSuperResolution
        model = read_pretrained(kind, folder, torch.float32, weights=WEIGHTS)
        if model.config.upscale != UPSCALE:
            raise FileFormatError(
                f"the model in {folder} makes pictures {model.config.upscale} times as large",
                why=f"faces are enlarged by {UPSCALE} here",
                fix=f"persona weights fetch {WEIGHTS}",
            )
        processor = read_settings(transformers.Swin2SRImageProcessorPil, folder, weights=WEIGHTS)
        return Swin2Sr(model=model.to(device), processor=processor, device=device)

    @torch.no_grad()
    def __call__(self, picture: Picture) -> SmallPicture:
        """Enlarge a picture, a face's for example.

        Args:
            picture: sRGB bytes.
        """
        seen = self.processor(picture, return_tensors="pt")["pixel_values"]
        made = self.model(seen.to(self.device, torch.float32)).reconstruction[0]
        height, width = picture.shape[:2]
        kept = made[:, : UPSCALE * height, : UPSCALE * width].permute(1, 2, 0)
        return (kept.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
