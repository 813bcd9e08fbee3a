"""PoseNet: pictures of a skeleton become what is added behind the UNet's first convolution."""

from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

PLAN: Final = (
    *((3, 3, 3, 1), (3, 16, 4, 2), (16, 16, 3, 1), (16, 32, 4, 2)),
    *((32, 32, 3, 1), (32, 64, 4, 2), (64, 64, 3, 1), (64, 128, 3, 1)),
)
"""Channels in, channels out, kernel, stride of each convolution, all padded by 1."""
FIRST_SCALE: Final = 2.0
"""What the learned scale starts at."""


class PoseNet(nn.Module):
    """Skeleton pictures in [-1, 1] -> features at an eighth of their size.

    The names of its parts are those of the published checkpoint: 16 tensors of ``conv_layers``, two
    of ``final_proj``, and ``scale``. A new one adds nothing: its last layer is zero.

    References:
        Zhang et al., "MimicMotion", arXiv 2406.19680, section 3.2.
    """

    def __init__(self, noise_latent_channels: int = 320) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside, kernel, stride in PLAN:
            layers += [nn.Conv2d(inside, outside, kernel, stride, padding=1), nn.SiLU()]
        self.conv_layers = nn.Sequential(*layers)
        self.final_proj = nn.Conv2d(PLAN[-1][1], noise_latent_channels, 1)
        self.scale = nn.Parameter(torch.full((1,), FIRST_SCALE))
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.final_proj.weight)
        nn.init.zeros_(self.final_proj.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, pictures: Float[Tensor, "*batch 3 h w"]) -> Float[Tensor, "n c y x"]:
        """Encode pictures; leading axes are flattened into one."""
        flat = pictures.flatten(0, -4)
        return self.final_proj(self.conv_layers(flat)) * self.scale


class PoseConv2d(nn.Conv2d):
    """A convolution that adds what it was handed; its weights keep the names of a plain one."""

    pose: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Convolve, and add the pose where there is one."""
        out = super().forward(input)
        return out if self.pose is None else out + self.pose


def accept_pose(unet: Any) -> Any:
    """Let a UNet take a pose through its first convolution, whose weights it keeps."""
    old = unet.conv_in
    if isinstance(old, PoseConv2d):
        return unet
    new = PoseConv2d(
        old.in_channels,
        old.out_channels,
        old.kernel_size,
        old.stride,
        old.padding,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    new.weight, new.bias = old.weight, old.bias
    unet.conv_in = new
    return unet
