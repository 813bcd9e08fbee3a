"""The soft shadow under a person that puts them on the floor."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.records.gaussians import Gaussians

SAMPLES: Final = 400
"""Points of the person that darken the floor; enough for a smooth spot."""
REACH: Final = 0.45
"""Height above the floor at which a point's shadow has faded to 1/e [m]."""
SHARPEST: Final = 0.035
"""Standard deviation of the shadow of a point on the floor [m]."""
SPREAD: Final = 0.22
"""Growth of that deviation with height: light from a bright sky."""
DARKNESS: Final = 0.30
"""How much light a body on the floor takes away at most, roughly."""


def contact_shadow(means: Float[Tensor, "n 3"]) -> Gaussians:
    """Give black Gaussians flat on the floor (y = 0), dark under points that are near to it [m]."""
    step = max(1, len(means) // SAMPLES)
    points = means[::step]
    height = points[:, 1].clamp(min=0.0)
    spread = SHARPEST + SPREAD * height
    # Coverage of the floor by one point falls with the area over which it is spread.
    near = torch.exp(-height / REACH) * (SHARPEST / spread)
    opacity = DARKNESS * near / max(1.0, float(near.sum()) / 12.0)
    zero = torch.zeros_like(height)
    floor = torch.stack([points[:, 0], zero, points[:, 2]], 1)
    thin = torch.full_like(height, 1e-6)
    return Gaussians(
        means=floor,
        covariances=torch.stack([spread**2, zero, zero, thin, zero, spread**2], 1),
        opacities=opacity,
        colors=torch.zeros_like(floor),
        normals=torch.tensor([0.0, 1.0, 0.0]).expand_as(floor),
    )
