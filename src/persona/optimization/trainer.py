"""The loop: fit Gaussians to the photo without touching what the photo does not show."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera
from persona.kernels import project_oriented, rasterize
from persona.optimization.cloud import PhotoCloud
from persona.optimization.facing import COLOR_FACING, GEOMETRY_FACING
from persona.optimization.limbs import Limb
from persona.optimization.objective import PHOTO_TERMS, State, evaluate_terms
from persona.optimization.visibility import Visibility

TIE_NEIGHBORS = 6
"""Neighbours a Gaussian is tied to."""
FIRST_LOGIT = 3.0
"""Opacity 0.95: opaque, with room to move."""
FAINTEST_LOGIT = -4.0
"""At the outline a Gaussian may fade away."""
SOLID_LOGIT = 2.2
"""... elsewhere it stays at least 0.9 opaque: what shines through is a hole from another side."""
LEAST_GROWTH = -1.0
"""Most that a Gaussian at the outline may shrink, as a logarithm."""
SOLID_GROWTH = -0.25
"""... and one that is smaller than the photo's detail: its neighbours must still overlap."""
DETAIL_PX = 0.5
"""Deviation of a Gaussian that draws the finest detail of the photo [px]."""
MOST_GROWTH = 0.5
"""Most that a Gaussian may grow, as a logarithm."""
AROUND_PX = 2
"""What the photo shows within so many pixels bounds a Gaussian's colour [px]."""
OVERSHOOT = 0.15
"""How far beyond that a head's may go, so that blurred eyes come out sharp [sRGB]."""
EMPTY = 1e-3
"""Coverage below which a pixel shows nothing."""
HAND_LEEWAY = 0.12
"""Most that a hand's colours may leave the first guess [sRGB]."""
LOG_EVERY = 25
"""Steps between two entries of the history."""


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
    steady_share: float = 0.4
    """Share of the steps after which rates fall, to a tenth at the end."""
    max_shift: float = 0.012
    """Most a centre may leave its surface along an axis [m]."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the photo taught."""

    cloud: PhotoCloud
    """The same rows, moved and resized."""
    colors: Float[Tensor, "n 3"]
    """sRGB in [0, 1]."""
    opacities: Float[Tensor, " n"]
    """In [0, 1]."""
    history: tuple[dict[str, float], ...]
    """Residuals of the terms every `LOG_EVERY` steps."""


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

    Args:
        cloud: Gaussians in the photo's pose.
        colors: First guess, seen and completed [sRGB].
        visibility: What the photo shows of each.
        target: The photo's colours, continued beyond the outline.
        mask: The person.
        camera: The camera of both.
        config: How long and how hard.
        threads: Threads of the native kernels.
        tick: Called with the number of steps done.

    Raises:
        OptimizationError: A term of the objective is no longer a number.
    """
    unknowns = _Unknowns(cloud, colors, visibility, config, camera, target)
    pairs = _neighbor_pairs(cloud)
    tether = _color_tether(visibility)
    wanted = _wanted(unknowns, visibility, target.permute(2, 0, 1), camera, threads)
    history = []
    for step in range(config.steps):
        drawn, alpha = unknowns.draw(camera, threads)
        state = State(
            drawn=drawn,
            alpha=alpha,
            target=wanted,
            mask=mask,
            shift=unknowns.shift,
            growth=unknowns.growth,
            recolor=unknowns.color - colors,
            tether=tether,
            pairs=pairs,
        )
        loss, residuals = evaluate_terms(PHOTO_TERMS, state, step)
        unknowns.step(loss, share_done=step / config.steps)
        if step % LOG_EVERY == 0 or step == config.steps - 1:
            history.append(residuals)
        tick(step + 1)
    return unknowns.trained(tuple(history))


class _Unknowns:
    """The parameters, which of them may move, and how far.

    Adam turns the smallest leaked gradient into a full step, so Gaussians that the photo does not
    show get none at all: otherwise a shirt's print slowly appears on its back.
    """

    def __init__(
        self,
        cloud: PhotoCloud,
        colors: Float[Tensor, "n 3"],
        visibility: Visibility,
        config: TrainConfig,
        camera: Camera,
        target: Image,
    ) -> None:
        self.cloud, self.config = cloud, config
        self.shift = torch.zeros(cloud.count, 3, requires_grad=True)
        self.growth = torch.zeros(cloud.count, 3, requires_grad=True)
        self.color = colors.clone().requires_grad_()
        self.logit = torch.full((cloud.count,), FIRST_LOGIT, requires_grad=True)
        self.rates = (
            config.mean_rate,
            config.scale_rate,
            config.color_rate,
            config.opacity_rate,
        )
        parameters = (self.shift, self.growth, self.color, self.logit)
        groups = [{"params": [p], "lr": r} for p, r in zip(parameters, self.rates, strict=True)]
        self.adam = torch.optim.Adam(groups, eps=1e-15, fused=True)
        movable = visibility.exposed & (visibility.facing > GEOMETRY_FACING)
        movable = ((movable & ~visibility.mirrored) | visibility.shapes_rim).float()
        paintable = (visibility.believed & (visibility.facing > COLOR_FACING)).float()
        self.allowed = (movable[:, None], movable[:, None], paintable[:, None], movable)
        rim = visibility.shapes_rim
        self.faintest = torch.where(rim, FAINTEST_LOGIT, SOLID_LOGIT)
        # On a face Gaussians lie closer than pixels: smaller ones would only leave gaps.
        pixel = camera.project(cloud.means)[1] / camera.focal_px
        useful = (DETAIL_PX * pixel).log()[:, None] - cloud.log_scales
        solid = useful.clamp(LEAST_GROWTH, SOLID_GROWTH)
        self.smallest = torch.where(rim[:, None], LEAST_GROWTH, solid)
        leeway = _color_leeway(visibility, cloud.limb)
        darkest, lightest = _shown_around(target, visibility.pixels, cloud.limb == Limb.HEAD)
        self.darkest = (colors - leeway).maximum(darkest.minimum(colors)).clamp(0, 1)
        self.lightest = (colors + leeway).minimum(lightest.maximum(colors)).clamp(0, 1)

    def draw(
        self, camera: Camera, threads: int, *, colors: Float[Tensor, "n 3"] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw the current Gaussians; premultiplied colours (3, h, w) and coverage (h, w).

        In their own colours, or in ``colors``.
        """
        means2d, conics, depths = project_oriented(
            self.cloud.means + self.shift,
            self.cloud.quats_wxyz,
            (self.cloud.log_scales + self.growth).exp(),
            camera,
            threads=threads,
        )
        return rasterize(
            means2d,
            conics,
            torch.sigmoid(self.logit),
            self.color if colors is None else colors,
            depths,
            width=camera.width,
            height=camera.height,
            threads=threads,
        )

    def step(self, loss: Float[Tensor, ""], *, share_done: float) -> None:
        """Take one step of Adam with what is allowed to move, and stay within bounds."""
        steady = self.config.steady_share
        decay = 0.1 ** max(0.0, (share_done - steady) / (1 - steady))
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * decay
        self.adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            parameters = (self.shift, self.growth, self.color, self.logit)
            for parameter, allowed in zip(parameters, self.allowed, strict=True):
                if parameter.grad is not None:
                    parameter.grad.mul_(allowed)
            self.adam.step()
            self.color.copy_(self.color.maximum(self.darkest).minimum(self.lightest))
            self.growth.copy_(self.growth.maximum(self.smallest).clamp_(max=MOST_GROWTH))
            self.shift.clamp_(-self.config.max_shift, self.config.max_shift)
            self.logit.copy_(self.logit.maximum(self.faintest).clamp_(max=6.0))

    def trained(self, history: tuple[dict[str, float], ...]) -> Trained:
        """Freeze the current values."""
        with torch.no_grad():
            moved = replace(
                self.cloud,
                means=self.cloud.means + self.shift,
                log_scales=self.cloud.log_scales + self.growth,
            )
            opacities = torch.sigmoid(self.logit)
        return Trained(
            cloud=moved, colors=self.color.detach(), opacities=opacities, history=history
        )


def _wanted(
    unknowns: _Unknowns,
    visibility: Visibility,
    target: Float[Tensor, "3 h w"],
    camera: Camera,
    threads: int,
) -> Float[Tensor, "3 h w"]:
    """Ask for the photo, but not where the near half of a turned face is believed more.

    What lies beside it would be pulled across to resemble a far half that nothing else may.
    """
    if not visibility.mirrored.any():
        return target.contiguous()
    with torch.no_grad():
        drawn, alpha = unknowns.draw(camera, threads)
        flags = visibility.mirrored.float()[:, None].expand(-1, 3).contiguous()
        shown, _ = unknowns.draw(camera, threads, colors=flags)
        share = shown / alpha.clamp(min=EMPTY)
        return (share * drawn / alpha.clamp(min=EMPTY) + (1 - share) * target).contiguous()


def _color_tether(visibility: Visibility) -> Float[Tensor, " n"]:
    """Hold colours faster the more the surface turns away: its pixels are few and mixed."""
    facing = visibility.facing.numpy()
    price = np.interp(facing, [0.1, 0.3, 0.5, 0.75], [20.0, 6.0, 1.0, 0.1])
    price = np.where(visibility.seen.numpy(), price, np.maximum(price, 5.0))
    return torch.from_numpy(price).float()


def _shown_around(
    target: Image, pixels: Float[Tensor, "n 2"], head: Bool[Tensor, " n"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Find the darkest and the lightest that the photo shows about each pixel, channel by channel.

    Colours beyond them cancel each other in the photo's own view alone: half a step aside they are
    pepper and salt. Gaussians of a head are blurrier than eyes are, and may go a little farther.
    """
    height, width = target.shape[:2]
    column = pixels[:, 0].long().clamp(0, width - 1)
    row = pixels[:, 1].long().clamp(0, height - 1)
    window = np.ones((2 * AROUND_PX + 1,) * 2, np.uint8)
    low, high = cv2.erode(target.numpy(), window), cv2.dilate(target.numpy(), window)
    free = head.float()[:, None] * OVERSHOOT
    return torch.from_numpy(low)[row, column] - free, torch.from_numpy(high)[row, column] + free


def _color_leeway(visibility: Visibility, limb: Int[Tensor, " n"]) -> Float[Tensor, "n 1"]:
    """Bound how far a colour may move: little where the surface turns away, and on hands.

    There a few pixels speak for many Gaussians, and the last ones that may be painted would
    overshoot to make up for those behind them that may not. Fingers are never where the fit has
    them to the pixel, and would take on what is beside them.
    """
    leeway = np.interp(visibility.facing.numpy(), [0.2, 0.4, 0.5], [0.05, 0.15, 1.0])
    in_hand = np.isin(limb.numpy(), (Limb.LEFT_HAND, Limb.RIGHT_HAND))
    leeway = np.where(in_hand, np.minimum(leeway, HAND_LEEWAY), leeway)
    return torch.from_numpy(leeway).float()[:, None]


def _neighbor_pairs(cloud: PhotoCloud) -> tuple[Tensor, Tensor]:
    """List each Gaussian with its nearest neighbours once; skin inside clothes has its own."""
    place = torch.cat([cloud.means, cloud.inner.float()[:, None]], 1).numpy()
    ids = cKDTree(place).query(place, TIE_NEIGHBORS + 1)[1][:, 1:]
    first = torch.arange(len(ids)).repeat_interleave(TIE_NEIGHBORS)
    second = torch.from_numpy(ids.ravel())
    once = first < second
    return first[once], second[once]
