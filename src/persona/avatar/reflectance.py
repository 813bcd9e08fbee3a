"""Group coloured points by what they are made of, whatever light falls on them."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

CLEAN: Final = 4.5
"""Ashman's D from which two heaps are two materials and not one in light and shade: their distance
in standard deviations. An even spread cut in half has 3.5, a normal one 2.7."""
MIN_SHARE: Final = 0.03
"""Least share of a group that is a material of its own."""
MIN_COUNT: Final = 40
"""Least points of a material."""
MAX_SPLITS: Final = 3
"""Times a part is divided, into at most eight materials."""
CHROMA_GAIN: Final = 2.0
"""How much more a change of hue says about material than one of brightness."""


def reflectance_features(
    linear: Float[Tensor, "n 3"], log_shade: Float[Tensor, " n"]
) -> Float[Tensor, "n 3"]:
    """Describe colours so that materials lie apart: two ratios light cannot change, and albedo.

    Args:
        linear: Linear colours as lit, above zero.
        log_shade: Natural logarithm of how bright the light is there, as far as it is known.
    """
    red, green, blue = linear.log().unbind(1)
    brightness = torch.stack([red, green, blue]).mean(0) - log_shade
    return torch.stack([CHROMA_GAIN * (red - green), CHROMA_GAIN * (blue - green), brightness], 1)


def split_materials(features: Float[Tensor, "n f"], parts: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Divide each part into materials wherever its colours fall into clearly separate heaps.

    Each group is cut across its direction of largest spread, where that parts it best, as long as
    the halves are clearly two. Colours that change gradually stay together: they may be shade.

    Returns:
        Ids of materials from 0, each within one part.
    """
    ids = torch.zeros_like(parts)
    found = 0
    for part in parts.unique().tolist():
        waiting = [((parts == part).nonzero()[:, 0], 0)]
        while waiting:
            rows, depth = waiting.pop()
            halves = _halves(features[rows]) if depth < MAX_SPLITS else None
            if halves is None:
                ids[rows] = found
                found += 1
            else:
                waiting += [(rows[halves], depth + 1), (rows[~halves], depth + 1)]
    return ids


def medians(values: Float[Tensor, " n"], groups: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Give each point the median of its group."""
    out = torch.empty_like(values)
    for group in groups.unique().tolist():
        members = groups == group
        out[members] = values[members].median()
    return out


def _halves(features: Float[Tensor, "n f"]) -> Tensor | None:
    """Say which points lie in the upper heap; None where there is one heap only."""
    count = len(features)
    least = max(MIN_COUNT, int(MIN_SHARE * count))
    if count < 2 * least:
        return None
    centred = features - features.mean(0)
    axis = torch.linalg.eigh(centred.T @ centred)[1][:, -1]
    along = (centred @ axis).double().sort().values
    # Between two heaps the variance within both is least (Otsu 1979).
    places = torch.arange(least, count - least + 1, device=features.device)
    sums, squares = along.cumsum(0), along.square().cumsum(0)
    low_mean = sums[places - 1] / places
    high_mean = (sums[-1] - sums[places - 1]) / (count - places)
    low_var = squares[places - 1] / places - low_mean.square()
    high_var = (squares[-1] - squares[places - 1]) / (count - places) - high_mean.square()
    within = places * low_var + (count - places) * high_var
    best = int(within.argmin())
    spread = (low_var[best] + high_var[best]).clamp_min(1e-8).sqrt()
    if 2**0.5 * (high_mean[best] - low_mean[best]) / spread < CLEAN:
        return None
    return (centred @ axis).double() >= along[places[best]]
