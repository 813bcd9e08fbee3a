"""Smooth curves through a few keys: how a clip says what a limb does over time."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from torch import Tensor

Keys = Sequence[tuple[float, float]]
"""Pairs (time or phase, value), times ascending."""


def loop_curve(phase: Float[Tensor, " t"], keys: Keys) -> Float[Tensor, " t"]:
    """Evaluate the periodic cubic spline through ``keys`` over one cycle.

    Value, velocity and acceleration close. It swings a little past its keys where they turn, as
    limbs do.

    Args:
        phase: Where to look [cycles]; whole cycles are dropped.
        keys: Phases in [0, 1) and values; the first is repeated one cycle later.

    Example:
        >>> loop_curve(torch.tensor([0.0, 1.5]), [(0.0, 1.0), (0.25, 0.0), (0.5, -1.0), (0.75, 0)])
        tensor([ 1., -1.])
    """
    first_phase, first_value = keys[0]
    phases, values = zip(*keys, (first_phase + 1.0, first_value), strict=True)
    spline = CubicSpline(phases, values, bc_type="periodic")
    return torch.from_numpy(spline(_as_numpy(phase))).to(phase)


def key_curve(time: Float[Tensor, " t"], keys: Keys) -> Float[Tensor, " t"]:
    """Evaluate the monotone cubic curve through ``keys``; it rests outside them.

    Between two equal keys it holds still, and it never passes its keys: for things that are
    placed, such as a foot or a raised hand.
    """
    times, values = zip(*keys, strict=True)
    if len(keys) == 1:
        return torch.full_like(time, values[0])
    # A far key on either side makes both ends flat.
    span = times[-1] - times[0]
    times = (times[0] - span, *times, times[-1] + span)
    values = (values[0], *values, values[-1])
    clipped = np.clip(_as_numpy(time), times[1], times[-2])
    return torch.from_numpy(PchipInterpolator(times, values)(clipped)).to(time)


def ease(time: Float[Tensor, " t"], start: float, end: float) -> Float[Tensor, " t"]:
    """Go from 0 at ``start`` to 1 at ``end``; both ends rest."""
    x = ((time - start) / (end - start)).clamp(0.0, 1.0)
    return x * x * x * (x * (6 * x - 15) + 10)


def window(
    time: Float[Tensor, " t"], rise: tuple[float, float], fall: tuple[float, float]
) -> Float[Tensor, " t"]:
    """Be 1 between ``rise`` and ``fall``, 0 outside, eased over both."""
    return ease(time, *rise) * (1 - ease(time, *fall))


def sine(phase: Float[Tensor, " t"], shift: float = 0.0) -> Float[Tensor, " t"]:
    """Give the sine of ``phase - shift`` [cycles]."""
    return torch.sin(2 * torch.pi * (phase - shift))


def _as_numpy(values: Float[Tensor, " t"]) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float64)
