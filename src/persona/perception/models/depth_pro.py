"""Depth Pro: the depth of a picture in metres, with sharp edges."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.optional import require
from persona.core.pretrained import read_pretrained
from persona.perception.models.pictures import EVEN, normalized

WEIGHTS: Final = "depth-pro"
NEAREST, FARTHEST = 1e-4, 1e4
"""Depths that are told apart [m]."""


@dataclass(frozen=True, kw_only=True)
class DepthPro:
    """Picture -> depth; slower than Depth Anything, and finer at hair and fingers.

    Its processor needs torchvision, so that the picture is prepared here.

    References:
        Bochkovskii et al., "Depth Pro: Sharp Monocular Metric Depth in Less Than a Second",
        ICLR 2025.
    """

    model: Any
    """DepthProForDepthEstimation."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "DepthPro":
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        kind = transformers.DepthProForDepthEstimation
        model = read_pretrained(kind, folder, torch.float32, weights=WEIGHTS)
        return DepthPro(model=model.to(device), device=device)

    @torch.no_grad()
    def __call__(self, picture: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
        """Guess the depth of every pixel along the camera's axis [m].

        Args:
            picture: sRGB bytes.
        """
        config = self.model.config
        side = round(config.patch_size / min(config.scaled_images_ratios))
        pixels = normalized(picture.permute(2, 0, 1)[None].to(self.device, torch.float32), EVEN)
        seen = self.model(_resized(pixels, (side, side)))
        inverse = seen.predicted_depth
        if seen.field_of_view is not None:
            # The model gives one over the depth as if the focal length were the picture's width.
            width = 2 * torch.tan(0.5 * torch.deg2rad(seen.field_of_view))
            inverse = inverse * width.view(-1, 1, 1)
        larger = _resized(inverse[:, None], (picture.shape[0], picture.shape[1]))
        return (1 / larger.clamp(1 / FARTHEST, 1 / NEAREST))[0, 0].cpu()


def _resized(values: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> Tensor:
    return torch.nn.functional.interpolate(values, size, mode="bilinear", align_corners=False)
