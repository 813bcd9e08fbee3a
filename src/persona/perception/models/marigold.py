"""Marigold: the normals of a picture, by a diffusion model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.config import read_json
from persona.core.errors import FileFormatError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings

WEIGHTS: Final = "marigold-normals-v0-1"
INDEX: Final = "model_index.json"
"""Of the published folder: how to sample."""
MAX_INDEX_BYTES: Final = 1 << 20
SAMPLING: Final = ("use_full_z_range", "default_denoising_steps", "default_processing_resolution")
"""What is taken from there."""
SEED: Final = 0
"""Of the noise: the same picture has the same normals."""
TO_CAMERA: Final = (1.0, -1.0, -1.0)
"""The model's axes are right, up and to the viewer; a camera's right, down and forward."""


@dataclass(frozen=True, kw_only=True)
class Marigold:
    """Picture -> normals.

    References:
        Ke et al., "Marigold: Affordable Adaptation of Diffusion-Based Image Generators for Image
        Analysis", 2025.
    """

    pipeline: Any
    """MarigoldNormalsPipeline."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "Marigold":
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        diffusers = require("diffusers", extra="diffusion", purpose="label frames")
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        index = read_json(folder / INDEX, max_bytes=MAX_INDEX_BYTES)
        absent = [name for name in SAMPLING if index.get(name) is None]
        if absent:
            raise FileFormatError(
                f"{folder / INDEX} does not state {', '.join(absent)}",
                why="the model was trained for one way to sample",
                fix=f"persona weights fetch {WEIGHTS}",
            )
        models = {
            "unet": diffusers.UNet2DConditionModel,
            "vae": diffusers.AutoencoderKL,
            "text_encoder": transformers.CLIPTextModel,
        }
        small = {"scheduler": diffusers.DDIMScheduler, "tokenizer": transformers.CLIPTokenizer}
        pipeline = diffusers.MarigoldNormalsPipeline(
            **{
                part: read_pretrained(kind, folder / part, torch.float32, weights=WEIGHTS)
                for part, kind in models.items()
            },
            **{
                part: read_settings(kind, folder / part, weights=WEIGHTS)
                for part, kind in small.items()
            },
            prediction_type="normals",
            **{name: index[name] for name in SAMPLING},
        )
        pipeline.set_progress_bar_config(disable=True)
        return Marigold(pipeline=pipeline.to(device))

    def __call__(self, picture: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
        """Give a unit normal for every pixel, in the camera's frame: x right, y down, z forward.

        Args:
            picture: sRGB bytes.
        """
        noise = torch.Generator(self.pipeline.device).manual_seed(SEED)
        seen = self.pipeline(
            picture.permute(2, 0, 1)[None].float() / 255, generator=noise, output_type="pt"
        )
        towards = seen.prediction[0].permute(1, 2, 0).cpu() * torch.tensor(TO_CAMERA)
        return torch.nn.functional.normalize(towards, dim=-1)
