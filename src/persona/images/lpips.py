"""LPIPS on VGG-16 or AlexNet: how unlike two pictures look to people, from the user's weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor, nn

from persona.core.errors import FileFormatError, InputError
from persona.core.pickles import read_pickled_arrays


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """One convolution of a trunk, followed by a rectifier."""

    number: int
    """Its place in torchvision's list of features."""
    taken: int
    """Channels in."""
    given: int
    """Channels out."""
    side: int = 3
    """Of its kernel [px]."""
    stride: int = 1
    """Step [px]."""
    padding: int = 1
    """Zeros around [px]."""


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A network that classifies pictures, cut into five stages whose features are compared."""

    name: str
    """What people call it."""
    files: tuple[str, ...]
    """Names of its weights as torchvision gives them away, trained on ImageNet."""
    linear_files: tuple[str, ...]
    """Names of the LPIPS project's weights of its five stages, version 0.1."""
    pool: int
    """Side of the window whose largest value is kept between stages, in steps of 2 [px]."""
    pooled: tuple[int, ...]
    """Numbers of the stages that begin with such a halving."""
    least_side: int
    """Smallest picture that leaves something at the last stage [px]."""
    stages: tuple[tuple[Convolution, ...], ...]
    """Convolutions of each stage."""


def _vgg(*entries: tuple[int, int, int]) -> tuple[Convolution, ...]:
    return tuple(Convolution(number=n, taken=taken, given=given) for n, taken, given in entries)


VGG: Final = Trunk(
    name="VGG-16",
    files=("vgg16.safetensors", "vgg16.pth", "vgg16-397923af.pth"),
    linear_files=("lpips_vgg.safetensors", "lpips_vgg.pth", "vgg.pth"),
    pool=2,
    pooled=(1, 2, 3, 4),
    least_side=16,
    stages=(
        _vgg((0, 3, 64), (2, 64, 64)),
        _vgg((5, 64, 128), (7, 128, 128)),
        _vgg((10, 128, 256), (12, 256, 256), (14, 256, 256)),
        _vgg((17, 256, 512), (19, 512, 512), (21, 512, 512)),
        _vgg((24, 512, 512), (26, 512, 512), (28, 512, 512)),
    ),
)
"""The trunk that losses use."""
ALEX: Final = Trunk(
    name="AlexNet",
    files=("alexnet.safetensors", "alexnet.pth", "alexnet-owt-7be5be79.pth"),
    linear_files=("lpips_alex.safetensors", "lpips_alex.pth", "alex.pth"),
    pool=3,
    pooled=(1, 2),
    least_side=31,
    stages=(
        (Convolution(number=0, taken=3, given=64, side=11, stride=4, padding=2),),
        (Convolution(number=3, taken=64, given=192, side=5, padding=2),),
        (Convolution(number=6, taken=192, given=384),),
        (Convolution(number=8, taken=384, given=256),),
        (Convolution(number=10, taken=256, given=256),),
    ),
)
"""The trunk that papers report; it halves before the second and third stage only."""
MEAN: Final = (0.485, 0.456, 0.406)
"""Mean of ImageNet's colours."""
DEVIATION: Final = (0.229, 0.224, 0.225)
"""Their deviation."""
TINY: Final = 1e-10
"""Added to a feature's length before it is divided by."""
MOST_BYTES: Final = 600 << 20
"""Largest file: torchvision's has 528 MB, most of it for naming things."""
SECONDS: Final = 60
"""Processor time for reading one."""


class Lpips(nn.Module):
    """Distance of two pictures by the features that a trunk finds in them.

    Args:
        weights: Weights and biases by torchvision's names, ``features.0.weight`` and so on.
        linear: What each feature counts, ``lin0.model.1.weight`` and so on.
        trunk: Whose weights they are.

    References:
        Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
        CVPR 2018; version 0.1 with trained linear weights.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], linear: Mapping[str, Tensor], *, trunk: Trunk = VGG
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.kernels = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer in (layer for stage in trunk.stages for layer in stage):
            self.kernels.append(_fixed(weights[f"features.{layer.number}.weight"]))
            self.biases.append(_fixed(weights[f"features.{layer.number}.bias"]))
        names = [f"lin{k}.model.1.weight" for k in range(len(trunk.stages))]
        self.linear = nn.ParameterList(_fixed(linear[name]) for name in names)

    def forward(
        self, picture: Float[Tensor, "3 h w"], target: Float[Tensor, "3 h w"]
    ) -> Float[Tensor, ""]:
        """Give the distance; 0 for equal pictures. Both sRGB in [0, 1], `Trunk.least_side` or more.

        Raises:
            InputError: The pictures are smaller than that.
        """
        if min(picture.shape[1:]) < self.trunk.least_side:
            raise InputError(
                f"the pictures are {picture.shape[2]} x {picture.shape[1]} pixels",
                why=f"{self.trunk.name} needs at least {self.trunk.least_side} a side",
                fix="compare larger pictures",
            )
        pair = torch.stack([picture, target])
        # Not as buffers: a module's types are not known, and they are six numbers.
        pair = (pair - pair.new_tensor(MEAN)[:, None, None]) / pair.new_tensor(DEVIATION)[
            :, None, None
        ]
        total = picture.new_zeros(())
        done = 0
        for number, stage in enumerate(self.trunk.stages):
            if number in self.trunk.pooled:
                pair = torch.nn.functional.max_pool2d(pair, self.trunk.pool, stride=2)
            for layer in stage:
                kernel, bias = self.kernels[done], self.biases[done]
                pair = torch.nn.functional.conv2d(
                    pair, kernel, bias, stride=layer.stride, padding=layer.padding
                ).relu()
                done += 1
            unit = pair / (pair.square().sum(1, keepdim=True).sqrt() + TINY)
            apart = (unit[0] - unit[1]).square()
            total = total + (apart * self.linear[number][0]).sum(0).mean()
        return total


def load_lpips(folder: Path, trunk: Trunk = VGG) -> Lpips:
    """Read a trunk and the linear weights from a folder.

    Args:
        folder: Holds one file of `Trunk.files` and one of `Trunk.linear_files`, as their projects
            give them away or as safetensors.
        trunk: Which one.

    Raises:
        FileFormatError: One is missing, damaged, or holds something else.
    """
    shapes = {}
    for layer in (layer for stage in trunk.stages for layer in stage):
        shape = (layer.given, layer.taken, layer.side, layer.side)
        shapes[f"features.{layer.number}.weight"] = shape
        shapes[f"features.{layer.number}.bias"] = (layer.given,)
    widths = [stage[-1].given for stage in trunk.stages]
    linear = {f"lin{k}.model.1.weight": (1, width, 1, 1) for k, width in enumerate(widths)}
    weights = _read(folder, trunk, trunk.files, shapes)
    return Lpips(weights, _read(folder, trunk, trunk.linear_files, linear), trunk=trunk)


def has_lpips(folder: Path, trunk: Trunk = VGG) -> bool:
    """Say whether a folder holds files with the names of a trunk's weights."""
    groups = (trunk.files, trunk.linear_files)
    return all(any((folder / name).is_file() for name in names) for names in groups)


def _read(
    folder: Path, trunk: Trunk, names: tuple[str, ...], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Read the tensors of given names and shapes from the first file that is there."""
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise FileFormatError(
            f"{folder} holds none of {', '.join(names)}",
            why=f"LPIPS needs {trunk.name} and its own linear weights, and none are shipped",
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
