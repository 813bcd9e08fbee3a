"""LPIPS on VGG-16: how unlike two pictures look to people, from weights that the user has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor, nn

from persona.core.errors import FileFormatError
from persona.core.pickles import read_pickled_arrays

VGG_NAMES: Final = ("vgg16.safetensors", "vgg16.pth", "vgg16-397923af.pth")
"""Names of torchvision's VGG-16, trained on ImageNet."""
LINEAR_NAMES: Final = ("lpips_vgg.safetensors", "lpips_vgg.pth", "vgg.pth")
"""Names of the LPIPS project's weights of its five stages, version 0.1."""
STAGES: Final = (
    ((0, 3, 64), (2, 64, 64)),
    ((5, 64, 128), (7, 128, 128)),
    ((10, 128, 256), (12, 256, 256), (14, 256, 256)),
    ((17, 256, 512), (19, 512, 512), (21, 512, 512)),
    ((24, 512, 512), (26, 512, 512), (28, 512, 512)),
)
"""Convolutions of each stage: number in torchvision's list, channels in, channels out."""
MEAN: Final = (0.485, 0.456, 0.406)
"""Mean of ImageNet's colours."""
DEVIATION: Final = (0.229, 0.224, 0.225)
"""Their deviation."""
TINY: Final = 1e-10
"""Added to a feature's length before it is divided by."""
LEAST_SIDE: Final = 16
"""Smallest picture that four halvings leave something of [px]."""
MOST_BYTES: Final = 600 << 20
"""Largest file: torchvision's has 528 MB, most of it for naming things."""
SECONDS: Final = 60
"""Processor time for reading one."""


class Lpips(nn.Module):
    """Distance of two pictures by the features that VGG-16 finds in them.

    Args:
        vgg: Weights and biases by torchvision's names, ``features.0.weight`` and so on.
        linear: What each feature counts, ``lin0.model.1.weight`` and so on.

    References:
        Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
        CVPR 2018; version 0.1 with trained linear weights.
    """

    def __init__(self, vgg: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.kernels = nn.ParameterList()
        self.biases = nn.ParameterList()
        for number, _, _ in (entry for stage in STAGES for entry in stage):
            self.kernels.append(_fixed(vgg[f"features.{number}.weight"]))
            self.biases.append(_fixed(vgg[f"features.{number}.bias"]))
        names = [f"lin{k}.model.1.weight" for k in range(len(STAGES))]
        self.linear = nn.ParameterList(_fixed(linear[name]) for name in names)

    def forward(
        self, picture: Float[Tensor, "3 h w"], target: Float[Tensor, "3 h w"]
    ) -> Float[Tensor, ""]:
        """Give the distance; 0 for equal pictures. Both sRGB in [0, 1], at least 16 x 16."""
        pair = torch.stack([picture, target])
        # Not as buffers: a module's types are not known, and they are six numbers.
        pair = (pair - pair.new_tensor(MEAN)[:, None, None]) / pair.new_tensor(DEVIATION)[
            :, None, None
        ]
        total = picture.new_zeros(())
        done = 0
        for number, stage in enumerate(STAGES):
            if number:
                pair = torch.nn.functional.max_pool2d(pair, 2)
            for _ in stage:
                kernel, bias = self.kernels[done], self.biases[done]
                pair = torch.nn.functional.conv2d(pair, kernel, bias, padding=1).relu()
                done += 1
            unit = pair / (pair.square().sum(1, keepdim=True).sqrt() + TINY)
            apart = (unit[0] - unit[1]).square()
            total = total + (apart * self.linear[number][0]).sum(0).mean()
        return total


def load_lpips(folder: Path) -> Lpips:
    """Read VGG-16 and the linear weights from a folder.

    Args:
        folder: Holds one file of `VGG_NAMES` and one of `LINEAR_NAMES`, as their projects give
            them away or as safetensors.

    Raises:
        FileFormatError: One is missing, damaged, or holds something else.
    """
    vgg = {}
    for number, taken, given in (entry for stage in STAGES for entry in stage):
        vgg[f"features.{number}.weight"] = (given, taken, 3, 3)
        vgg[f"features.{number}.bias"] = (given,)
    widths = [stage[-1][2] for stage in STAGES]
    linear = {f"lin{k}.model.1.weight": (1, width, 1, 1) for k, width in enumerate(widths)}
    return Lpips(_read(folder, VGG_NAMES, vgg), _read(folder, LINEAR_NAMES, linear))


def _read(
    folder: Path, names: tuple[str, ...], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Read the tensors of given names and shapes from the first file that is there."""
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise FileFormatError(
            f"{folder} holds none of {', '.join(names)}",
            why="LPIPS needs VGG-16 and its own linear weights, and none are shipped",
            fix="put both there, or leave LPIPS out: MS-SSIM and GMSD then stand in for it",
        )
    found = _arrays(path, shapes)
    wrong = [n for n, shape in shapes.items() if n not in found or found[n].shape != shape]
    if wrong:
        raise FileFormatError(
            f"{path.name} lacks {wrong[0]} of shape {shapes[wrong[0]]}",
            why=f"{len(wrong)} of {len(shapes)} tensors are not as they should be",
            fix="check that it is the file its name says",
        )
    tensors = {n: torch.from_numpy(found[n].astype(np.float32)) for n in shapes}
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise FileFormatError(
            f"{path.name} holds numbers that are not finite",
            why="every distance would be none",
            fix="fetch it again",
        )
    return tensors


def _arrays(path: Path, wanted: Mapping[str, object]) -> Mapping[str, NDArray[np.generic]]:
    if path.suffix != ".safetensors":
        return read_pickled_arrays(path, most=MOST_BYTES, seconds=SECONDS, wanted=tuple(wanted))
    if path.stat().st_size > MOST_BYTES:
        raise FileFormatError(
            f"{path.name} has {path.stat().st_size >> 20} MB",
            why=f"such files have at most {MOST_BYTES >> 20} MB",
            fix="check where it comes from",
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise FileFormatError(
            f"{path.name} could not be read: {error}",
            why="it should be a file of safetensors",
            fix="fetch it again; it is damaged or something else",
        ) from error


def _fixed(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)
