"""Depth Anything V2: the depth of a picture in metres."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.errors import FileFormatError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings

WEIGHTS: Final = "depth-anything-v2-metric-indoor-small"


@dataclass(frozen=True, kw_only=True)
class DepthAnything:
    """Picture -> depth.

    The metres are a guess from one picture, of a camera that is not told: what can be believed is
    how depths compare.

    References:
        Yang et al., "Depth Anything V2", NeurIPS 2024.
    """

    model: Any
    """DepthAnythingForDepthEstimation."""
    processor: Any
    """DPTImageProcessorPil."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "DepthAnything":
        """Read the published folder of a metric model.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, another model's, or gives no depth in metres.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        kind = transformers.DepthAnythingForDepthEstimation
        model = read_pretrained(kind, folder, torch.float32, weights=WEIGHTS)
        if model.config.depth_estimation_type != "metric":
            raise FileFormatError(
                f"the model in {folder} gives {model.config.depth_estimation_type} depth",
                why="that is one over the depth, of unknown scale and offset",
                fix=f"persona weights fetch {WEIGHTS}",
            )
        processor = read_settings(transformers.DPTImageProcessorPil, folder, weights=WEIGHTS)
        return DepthAnything(model=model.to(device), processor=processor, device=device)

    @torch.no_grad()
    def __call__(self, picture: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
        """Guess the depth of every pixel along the camera's axis [m].

        Args:
            picture: sRGB bytes.
        """
        seen = self.processor(picture.numpy(), return_tensors="pt")["pixel_values"]
        depth = self.model(seen.to(self.device, torch.float32)).predicted_depth
        return torch.nn.functional.interpolate(
            depth[:, None], picture.shape[:2], mode="bilinear", align_corners=False
        )[0, 0].cpu()
