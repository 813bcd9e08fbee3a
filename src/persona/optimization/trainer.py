"""The loop: fit Gaussians to the photo without touching what the photo does not show."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera
from persona.kernels import project_oriented, rasterize
from persona.optimization.cloud import PhotoCloud
from persona.optimization.visibility import COLOR_FACING, GEOMETRY_FACING, Visibility

TIE_NEIGHBORS = 6
"""Neighbours a Gaussian is tied to."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how hard to fit the photo."""

    steps: int = 350
    """Iterations; the error flattens near 300."""
    mean_rate: float = 2e-4
    """Step of a centre [m]."""
    scale_rate: float = 0.012
    """Step of a log scale [-]."""
    color_rate: float = 0.012
    """Step of a colour [sRGB]."""
    opacity_rate: float = 0.02
    """Step of an opacity's logit [-]."""
    max_shift: float = 0.012
    """Most a centre may leave its surface [m]."""
    tie_weight: float = 400.0
    """Price of neighbours that move apart [1/m^2]."""
    stay_weight: float = 30.0
    """Price of leaving the surface [1/m^2]."""
    scale_weight: float = 0.004
    """Price of growing or shrinking [-]."""
    color_weight: float = 0.02
    """Price of leaving the completed colour, growing where the surface turns away [-]."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the photo taught."""

    cloud: PhotoCloud
    """The same rows, moved and resized."""
    colors: Float[Tensor, "n 3"]
    """sRGB in [0, 1]."""
    opacities: Float[Tensor, " n"]
    """In [0, 1]."""
    losses: tuple[float, ...]
    """Image error of some iterations, for the report."""


def train_on_photo(
    cloud: PhotoCloud,
    colors: Float[Tensor, "n 3"],
    visibility: Visibility,
    *,
    target: Image,
    mask: Mask,
    camera: Camera,
    config: TrainConfig,
    threads: int,
    tick: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Fit colours, sizes and small shifts to the photo.

    Adam turns the smallest leaked gradient into a full step, so Gaussians that the photo does not
    show get none at all: otherwise a shirt's print slowly appears on its back.
    """
    count = cloud.count
    shift = torch.zeros(count, 3, requires_grad=True)
    growth = torch.zeros(count, 3, requires_grad=True)
    color = colors.clone().requires_grad_()
    logit = torch.full((count,), 3.0, requires_grad=True)
    rates = (config.mean_rate, config.scale_rate, config.color_rate, config.opacity_rate)
    parameters = (shift, growth, color, logit)
    adam = torch.optim.Adam(
        [{"params": [p], "lr": rate} for p, rate in zip(parameters, rates, strict=True)],
        eps=1e-15,
        fused=True,
    )
    movable = visibility.exposed & (visibility.facing > GEOMETRY_FACING)
    movable = (movable | visibility.shapes_rim).float()
    paintable = (visibility.exposed & (visibility.facing > COLOR_FACING)).float()
    tether = _color_tether(visibility, config.color_weight)
    a, b = _neighbor_pairs(cloud.means)
    wanted = target.permute(2, 0, 1).contiguous()
    losses = []
    for step in range(config.steps):
        decay = 0.1 ** max(0.0, (step / config.steps - 0.4) / 0.6)
        for group, rate in zip(adam.param_groups, rates, strict=True):
            group["lr"] = rate * decay
        moved = cloud.means + shift
        means2d, conics, depths = project_oriented(
            moved, cloud.quats_wxyz, (cloud.log_scales + growth).exp(), camera, threads=threads
        )
        drawn, alpha = rasterize(
            means2d,
            conics,
            torch.sigmoid(logit),
            color,
            depths,
            width=camera.width,
            height=camera.height,
            threads=threads,
        )
        # Measured against what alpha covers, not against the mask: else colours at the rim would
        # make up for an outline that is a little too wide, in the opposite tone.
        residual = drawn - alpha * wanted
        image_error = 0.5 * residual.abs().mean() + 5 * residual.square().mean()
        loss = image_error + 0.5 * (alpha - mask).abs().mean()
        loss = loss + (tether * (color - colors).square().sum(1)).mean()
        if step % 4 == 0:
            ties = (shift[a] - shift[b]).square().sum(1).mean()
            shape = config.tie_weight * ties + config.stay_weight * shift.square().sum(1).mean()
            grown = (growth[a] - growth[b]).square().sum(1).mean() + growth.square().sum(1).mean()
            loss = loss + 4 * (shape + config.scale_weight * grown)
        adam.zero_grad()
        loss.backward()
        for parameter, allowed in zip(
            parameters, (movable, movable, paintable, movable), strict=True
        ):
            parameter.grad.mul_(allowed.reshape(-1, *([1] * (parameter.dim() - 1))))
        adam.step()
        with torch.no_grad():
            color.clamp_(0, 1)
            growth.clamp_(-1.0, 0.5)
            shift.clamp_(-config.max_shift, config.max_shift)
            logit.clamp_(-4.0, 6.0)
        if step % 50 == 0 or step == config.steps - 1:
            losses.append(float(image_error.detach()))
        tick(step + 1)
    return Trained(
        cloud=replace(
            cloud,
            means=(cloud.means + shift).detach(),
            log_scales=(cloud.log_scales + growth).detach(),
        ),
        colors=color.detach(),
        opacities=torch.sigmoid(logit).detach(),
        losses=tuple(losses),
    )


def _color_tether(visibility: Visibility, weight: float) -> Float[Tensor, " n"]:
    """Hold colours faster the more the surface turns away: its pixels are few and mixed."""
    facing = visibility.facing.numpy()
    price = np.interp(facing, [0.1, 0.3, 0.5, 0.75], [20.0, 6.0, 1.0, 0.1])
    price = np.where(visibility.seen.numpy(), price, np.maximum(price, 5.0))
    return torch.from_numpy(weight * price).float()


def _neighbor_pairs(means: Float[Tensor, "n 3"]) -> tuple[Tensor, Tensor]:
    """List each Gaussian with its nearest neighbours once."""
    ids = cKDTree(means.numpy()).query(means.numpy(), TIE_NEIGHBORS + 1)[1][:, 1:]
    first = torch.arange(len(ids)).repeat_interleave(TIE_NEIGHBORS)
    second = torch.from_numpy(ids.ravel())
    once = first < second
    return first[once], second[once]
