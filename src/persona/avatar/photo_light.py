"""Find the light that people of few materials were photographed in."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.avatar.light import Light
from persona.avatar.reflectance import medians, reflectance_features, split_materials
from persona.geometry.harmonics import DEGREES, evaluate_harmonics
from persona.images.colors import luminance

ROUNDS: Final = 12
"""Times that light and reflectance are fitted in turn; the light then changes by less than 1 %."""
SPLIT_ROUNDS: Final = (0, 3, 6)
"""Rounds before which materials are found anew, under the light known by then."""
OUTLIER: Final = 0.25
"""Difference of log luminance from the material in this light that a print, a fold or a cast shadow
passes, and that counts half [-]: about a quarter."""
SPREAD: Final = (0.0, 0.45, 0.2)
"""How far shade is expected to swing about its mean by light of degree 0, 1 and 2 [-]."""
NOISE: Final = 0.25
"""Texture and folds, as a swing of luminance [-]."""
SAMPLES: Final = 200
"""Patches of surface that say something of their own about the light; neighbours agree."""
DARKEST, BRIGHTEST = 0.004, 0.9
"""Linear colours that the photo still tells apart; darker is noise, brighter is clipped."""
LOG_RANGE: Final = (-2.0, 1.0)
"""Log luminance over that of the material which may still be shade [-]."""
SHADE_RANGE: Final = (0.5, 2.0)
"""Shade of the photo that is undone; beyond it noise would be blown up."""
GAIN_SPREAD: Final = 0.5
"""How far from 1 a part's share in the light is expected: satin has more, what is clipped less."""


@dataclass(frozen=True, kw_only=True)
class LightFit:
    """Light, and what it was found from."""

    light: Light
    """Grey, of mean shade 1 over the points."""
    relative: Float[Tensor, " n"]
    """Logarithm of each point's luminance over that of its material in even light."""
    materials: Int[Tensor, " n"]
    """Which material each point is of."""


def estimate_light(
    normals: Float[Tensor, "n 3"], linear: Float[Tensor, "n 3"], parts: Int[Tensor, " n"]
) -> LightFit:
    """Estimate second-order light from coloured points of few materials.

    Args:
        normals: Unit, world frame, towards the viewer.
        linear: Linear colours, as lit.
        parts: What they show; different parts are different materials.
    """
    basis = evaluate_harmonics(normals)
    colors = linear.clamp_min(DARKEST)
    logs = luminance(colors).log()
    weights = ((logs.exp() > DARKEST) & (linear.amax(1) < BRIGHTEST)).to(logs)
    # Where all is clipped or black, all count alike and the light stays nearly even.
    weights = weights if bool(weights.any()) else torch.ones_like(weights)
    prior = _prior().to(basis)
    even = Light.even().coefficients[:, 0].to(basis)
    coefficients, log_shade = even, torch.zeros_like(logs)
    materials, log_albedo = parts, torch.zeros_like(logs)
    for turn in range(ROUNDS):
        if turn in SPLIT_ROUNDS:
            materials = split_materials(reflectance_features(colors, log_shade), parts)
        log_albedo = medians(logs - log_shade, materials)
        residual = logs - log_albedo - log_shade
        # Cauchy: what fits neither material nor light is left to the albedo.
        trust = weights / (1 + (residual / OUTLIER).square())
        share = trust / trust.sum()
        # Seen relative to its material, luminance is the shade, and that is linear in the light.
        target = (logs - log_albedo).clamp(*LOG_RANGE).exp() - basis @ even
        normal = basis.T @ (share[:, None] * basis) + prior
        coefficients = even + torch.linalg.solve(normal, basis.T @ (share * target))
        shade = (basis @ coefficients).clamp(*SHADE_RANGE)
        coefficients = coefficients / shade.mean()
        log_shade = (shade / shade.mean()).log()
    light = Light(coefficients=coefficients[:, None].expand(-1, 3).contiguous())
    return LightFit(light=light, relative=logs - log_albedo, materials=materials)


def share_of_light(
    relative: Float[Tensor, " n"], log_shade: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Say how much of the light one part shows, from none to all of it.

    White cloth that the photo nearly clips, or fur, is less shaded than a matt surface; taking all
    of the light out of it would paint its negative.

    Args:
        relative: As `LightFit.relative`, of one part.
        log_shade: Logarithm of the shade a matt surface would have there.
    """
    deviation = log_shade - log_shade.median()
    trust = 1 / (1 + ((relative - deviation) / OUTLIER).square())
    trust = trust / trust.sum()
    doubt = NOISE**2 / SAMPLES / GAIN_SPREAD**2
    slope = (trust * deviation * relative).sum() + doubt
    return (slope / ((trust * deviation.square()).sum() + doubt)).clamp(0, 1)


def _prior() -> Float[Tensor, "9 9"]:
    """Give the pull of the light towards an even one, as much as its swing is doubted."""
    spread = torch.tensor([SPREAD[degree] for degree in DEGREES])
    # A function of unit norm swings by 1 / sqrt(4 pi) about its mean.
    variance = spread.square() * 4 * torch.pi
    pull = torch.where(variance > 0, NOISE**2 / SAMPLES / variance.clamp_min(1e-9), 0.0)
    return pull.diag()
