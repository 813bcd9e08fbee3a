"""The parts that MimicMotion is put together from, read strictly from their published layouts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from persona.core.config import read_json
from persona.core.errors import FileFormatError, MissingPartError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained
from persona.synthesis.diffusion.checkpoint import load_parts, load_strictly
from persona.synthesis.diffusion.pose_net import PoseNet, accept_pose

EXTRA: Final = "diffusion"
"""Extra that installs what is needed here."""
BASE: Final = "svd-xt-1.1"
"""Name of the weights of the folder."""
CHECKPOINT: Final = "MimicMotion_1-1.pth"
"""Name of the published checkpoint."""
MAX_CONFIG_BYTES: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """How pictures are normalised for the image encoder."""

    image_mean: tuple[float, ...]
    """Per channel, of colours in [0, 1]."""
    image_std: tuple[float, ...]
    """Likewise."""


@dataclass(frozen=True, kw_only=True)
class Components:
    """Everything MimicMotion needs, under the names that its publishers use."""

    unet: Any
    """diffusers' UNetSpatioTemporalConditionModel with a `PoseConv2d` in front."""
    vae: Any
    """diffusers' AutoencoderKLTemporalDecoder."""
    image_encoder: Any
    """transformers' CLIPVisionModelWithProjection."""
    scheduler: Any
    """diffusers' EulerDiscreteScheduler."""
    feature_extractor: Any
    """Anything with ``image_mean`` and ``image_std``."""
    pose_net: Any
    """A `PoseNet`."""


def load_components(
    base: Path, checkpoint: Path, *, dtype: torch.dtype = torch.bfloat16
) -> Components:
    """Read SVD-XT 1.1's folder and MimicMotion's checkpoint.

    Args:
        base: Folder of `svd-xt-1.1` as published: unet, vae, image_encoder, scheduler,
            feature_extractor. Of the UNet only its settings are read.
        checkpoint: ``MimicMotion_1-1.pth``, or the folder it is in, or the safetensors that was
            made of it.
        dtype: What to compute in.

    Raises:
        MissingPartError: The extra is not installed, or a file is missing.
        FileFormatError: A file is damaged, or not what its name promises.
    """
    diffusers = require("diffusers", extra=EXTRA, purpose="generate frames")
    transformers = require("transformers", extra=EXTRA, purpose="generate frames")
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        _config(base, name)
    settings = _config(base, "unet")
    with torch.device("meta"):
        unet = _built(diffusers.UNetSpatioTemporalConditionModel, settings, base / "unet")
        pose_net = PoseNet(settings.get("block_out_channels", (320,))[0])
    file = checkpoint / CHECKPOINT if checkpoint.is_dir() else checkpoint
    parts = load_parts(file, ("unet", "pose_net"))
    load_strictly(unet, parts["unet"], dtype=dtype, what=f"unet of {file.name}")
    load_strictly(pose_net, parts["pose_net"], dtype=dtype, what=f"pose_net of {file.name}")
    return Components(
        unet=accept_pose(unet).eval(),
        vae=read_pretrained(
            diffusers.AutoencoderKLTemporalDecoder, base / "vae", dtype, weights=BASE
        ),
        image_encoder=read_pretrained(
            transformers.CLIPVisionModelWithProjection,
            base / "image_encoder",
            dtype,
            weights=BASE,
        ),
        scheduler=diffusers.EulerDiscreteScheduler.from_config(_config(base, "scheduler")),
        feature_extractor=_normalization(base),
        pose_net=pose_net.eval(),
    )


def _config(base: Path, part: str) -> dict[str, Any]:
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    path = base / part / name
    if not path.is_file():
        raise MissingPartError(
            f"{path} is missing",
            why="it is part of SVD-XT 1.1 as published, which MimicMotion stands on",
            fix="persona weights fetch svd-xt-1.1",
        )
    return read_json(path, max_bytes=MAX_CONFIG_BYTES)


def _built(kind: Any, settings: dict[str, Any], where: Path) -> Any:
    try:
        return kind.from_config(settings)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise FileFormatError(
            f"{where / 'config.json'} describes no {kind.__name__}: {error}",
            why="it was changed, or belongs to another model",
            fix="persona weights verify svd-xt-1.1",
        ) from error


def _normalization(base: Path) -> Normalization:
    path = base / "feature_extractor" / "preprocessor_config.json"
    if not path.is_file():
        raise MissingPartError(
            f"{path} is missing",
            why="it says how pictures are normalised for the image encoder",
            fix="persona weights fetch svd-xt-1.1",
        )
    values = read_json(path, max_bytes=MAX_CONFIG_BYTES)
    mean, std = values.get("image_mean"), values.get("image_std")
    if not all(isinstance(v, list) and len(v) == 3 for v in (mean, std)):
        raise FileFormatError(
            f"{path} names no mean and deviation of three channels",
            why="pictures are normalised with them",
            fix="persona weights verify svd-xt-1.1",
        )
    return Normalization(image_mean=tuple(mean), image_std=tuple(std))
