"""Find cast shadows: what darkens one material softly and without changing its hue."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.avatar.photo_light import DARKEST, OUTLIER
from persona.avatar.reflectance import medians
from persona.avatar.relief import find_relief

SHADOW_CELL_M: Final = 0.04
"""How large a patch is that lies in one cast shadow or out of it [m]; folds are finer."""
SHADOW_ROUNDS: Final = 3
"""Times that a patch forgets what is unlike it."""
SAME_HUE: Final = 0.1
"""Change of log red or blue over green that passes as light from another side of the room [-]."""


def soft_shadows(
    linear: Float[Tensor, "n 3"],
    left_over: Float[Tensor, " n"],
    materials: Int[Tensor, " n"],
    *,
    rest_means: Float[Tensor, "n 3"],
    rest_normals: Float[Tensor, "n 3"],
) -> Float[Tensor, " n"]:
    """Find the cast shadows that lie on people.

    A print is sharp, a beard, make-up or a worn knee changes hue: they stay what they are.

    Args:
        linear: Linear colours, as lit.
        left_over: Log luminance that neither material nor light explains.
        materials: Which material each is of.
        rest_means: Centres in the rest pose [m].
        rest_normals: Unit, in the rest pose.

    Returns:
        Logarithm of the shadow.
    """
    sizes = dict.fromkeys(materials.unique().tolist(), SHADOW_CELL_M)
    patches = find_relief(rest_means, rest_normals, materials, sizes=sizes)
    red, green, blue = linear.clamp_min(DARKEST).log().unbind(1)
    hue = torch.stack([red - green, blue - green], 1)
    hue = hue - torch.stack([medians(column, materials) for column in hue.unbind(1)], 1)
    values = torch.cat([left_over[:, None], hue], 1)
    smooth = torch.zeros_like(values)
    for _ in range(SHADOW_ROUNDS):
        trust = 1 / (1 + ((left_over - smooth[:, 0]) / OUTLIER).square())
        smooth = patches.average(values, trust)
    unlike = smooth[:, 1:].square().sum(1) / SAME_HUE**2
    return smooth[:, 0] / (1 + unlike)
