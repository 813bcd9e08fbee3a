"""Tell apart what a person looks like and the light of the photo they were seen in."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.light import Light
from persona.avatar.posing import CanonicalGaussians
from persona.avatar.reflectance import reflectance_features, split_materials
from persona.avatar.relief import Relief, find_relief
from persona.geometry.harmonics import DEGREES, evaluate_harmonics
from persona.geometry.rotations import quaternion_to_matrix
from persona.images.colors import from_linear, luminance, to_linear
from persona.records.observation import Part

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
BLACK: Final = 1e-6
"""Keeps a ratio of luminances finite where everything is black."""
HALF_REACH: Final = 0.06
"""Distance from what the photo shows where half of its shade went into completed colours [m]."""
NEIGHBOURS: Final = 8
"""Seen Gaussians whose shade a completed one takes."""


GAIN_SPREAD: Final = 0.5
"""How far from 1 a part's share in the light is expected: satin has more, what is clipped less."""


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Colours without light, and the light of the photo, one row a Gaussian."""

    albedo: Float[Tensor, "n 3"]
    """Linear reflectance, not negative, on the scale at which the person's mean luminance is the
    photo's; above 1 where something shone."""
    light: Light
    """What the photo was lit by, world frame, over the photo's pose. Grey: the colour of light
    and of people cannot be told apart in one photo."""
    relief: Relief
    """The surface that light sees."""

    def relit(self, normals: Float[Tensor, "n 3"], light: Light) -> Float[Tensor, "n 3"]:
        """Give the colours under another light.

        Args:
            normals: Unit normals in the pose that is drawn, world frame.
            light: What falls on the person.

        Returns:
            sRGB in [0, 1].
        """
        return from_linear(self.albedo * light.shade(self.relief.smooth(normals)))


def split_light(
    canonical: CanonicalGaussians,
    normals: Float[Tensor, "n 3"],
    parts: Int[Tensor, " n"],
    seen: Bool[Tensor, " n"],
) -> Appearance:
    """Split a person's colours into albedo and the light of the photo.

    A matt surface of one material is as bright as the light from where it faces. So: second-order
    light on the posed normals, reflectance constant within each material, fitted in turn and
    robustly to what the photo shows; prints, folds and cast shadows fit neither and stay in the
    albedo. The scale that photo and model leave open keeps the person's mean luminance.

    Hair is not matt and says nothing about the light. Where everything shown faces one way, light
    and reflectance cannot be told apart and the light stays nearly even.

    Args:
        canonical: The Gaussians at rest, coloured as in the photo.
        normals: Unit, in the photo's pose, world frame.
        parts: What each shows, as a `records.observation.Part`.
        seen: Whether the photo shows it; the colours of the others were completed.
    """
    rest_normals = quaternion_to_matrix(canonical.quats_wxyz)[..., 2]
    relief = find_relief(canonical.means, rest_normals, parts)
    linear = to_linear(canonical.colors)
    shown = seen & (parts != int(Part.HAIR))
    if not bool(shown.any()):
        return Appearance(albedo=linear, light=Light.even().to(linear.device), relief=relief)
    smooth = relief.smooth(normals)
    fit = estimate_light(smooth[shown], linear[shown], parts[shown])
    log_shade = luminance(fit.light.shade(smooth)).clamp(*SHADE_RANGE).log()
    for part in parts[shown].unique().tolist():
        within = parts[shown] == part
        log_shade[parts == part] *= _gain(fit.relative[within], log_shade[shown][within])
    shade = _carried(log_shade.exp(), canonical.means, parts, seen)
    albedo = linear / shade[:, None]
    # Which is darker, the light or the person? Nobody knows; the mean over the person stays.
    before, after = luminance(linear[seen]).mean(), luminance(albedo[seen]).mean()
    kept = (before + BLACK) / (after + BLACK)
    light = replace(fit.light, coefficients=fit.light.coefficients / kept)
    return Appearance(albedo=kept * albedo, light=light, relief=relief)


@dataclass(frozen=True, kw_only=True)
class LightFit:
    """Light, and what it was found from."""

    light: Light
    """Grey, of mean shade 1 over the points."""
    relative: Float[Tensor, " n"]
    """Logarithm of each point's luminance over that of its material in even light."""


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
        log_albedo = _medians(logs - log_shade, materials)
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
    return LightFit(light=light, relative=logs - log_albedo)


def _gain(relative: Float[Tensor, " n"], log_shade: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Say how much of the light one part shows, from none to all of it.

    White cloth that the photo nearly clips, or fur, is less shaded than a matt surface; taking all
    of the light out of it would paint its negative.
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


def _medians(values: Float[Tensor, " n"], groups: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Give each point the median of its group."""
    out = torch.empty_like(values)
    for group in groups.unique().tolist():
        members = groups == group
        out[members] = values[members].median()
    return out


def _carried(
    shade: Float[Tensor, " n"],
    means: Float[Tensor, "n 3"],
    parts: Int[Tensor, " n"],
    seen: Bool[Tensor, " n"],
) -> Float[Tensor, " n"]:
    """Guess the photo's shade that stands in each colour; where the photo shows it, it is known.

    Completed colours were copied or spread from what the photo shows of the same part. Close to
    that, they carry its shade, so that no seam appears; far away, the mean shade of the part.
    """
    out = shade.clone()
    for part in parts.unique().tolist():
        members = parts == part
        source, target = members & seen, members & ~seen
        known = shade[source] if bool(source.any()) else shade[seen]
        out[target] = known.mean()
        if not (bool(source.any()) and bool(target.any())):
            continue
        count = min(NEIGHBOURS, len(known))
        tree = cKDTree(means[source].cpu().numpy())
        distance, ids = tree.query(means[target].cpu().numpy(), range(1, count + 1))
        near = known[torch.from_numpy(ids).to(known.device)].mean(1)
        share = 0.5 ** (torch.from_numpy(distance[:, 0]).to(known) / HALF_REACH)
        out[target] = share * near + (1 - share) * known.mean()
    return out
