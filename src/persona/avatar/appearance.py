"""Tell apart what a person looks like and the light of the photo they were seen in."""

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.light import Light
from persona.avatar.photo_light import SHADE_RANGE, estimate_light, share_of_light
from persona.avatar.posing import CanonicalGaussians
from persona.avatar.relief import Relief, find_relief
from persona.avatar.soft_shadows import soft_shadows
from persona.geometry.rotations import quaternion_to_matrix
from persona.images.colors import from_linear, luminance, to_linear
from persona.records.observation import Part

BLACK: Final = 1e-6
"""Keeps a ratio of luminances finite where everything is black."""
HALF_REACH: Final = 0.06
"""Distance from what the photo shows where half of its shade went into completed colours [m]."""
NEIGHBOURS: Final = 8
"""Seen Gaussians whose shade a completed one takes."""


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
    robustly to what the photo shows; and what is left and darkens a material softly, without
    changing its hue, is a cast shadow. Prints and folds fit none of these and stay in the albedo.
    The scale that photo and model leave open keeps the person's mean luminance.

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
        log_shade[parts == part] *= share_of_light(fit.relative[within], log_shade[shown][within])
    shadows = soft_shadows(
        linear[shown],
        fit.relative - log_shade[shown],
        fit.materials,
        rest_means=canonical.means[shown],
        rest_normals=rest_normals[shown],
    )
    # Skin shines: what is bright there is no light to take out, a forehead would turn dark.
    skin = parts[shown] == int(Part.SKIN)
    log_shade[shown] += torch.where(skin, shadows.clamp_max(0), shadows)
    log_shade = log_shade.clamp(*(math.log(bound) for bound in SHADE_RANGE))
    shade = _carried(log_shade.exp(), canonical.means, parts, seen)
    albedo = linear / shade[:, None]
    # Which is darker, the light or the person? Nobody knows; the mean over the person stays.
    before, after = luminance(linear[seen]).mean(), luminance(albedo[seen]).mean()
    kept = (before + BLACK) / (after + BLACK)
    light = replace(fit.light, coefficients=fit.light.coefficients / kept)
    return Appearance(albedo=kept * albedo, light=light, relief=relief)


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
