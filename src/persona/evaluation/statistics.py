"""Means with confidence: what another choice of frames, or of people, would have given.

Neighbouring frames look alike, so that frames are drawn again in runs of `RUN`, not one by one:
otherwise a film at 60 frames a second would be twice as sure of itself as at 30. Over subjects,
people are drawn again first, then runs of their frames. Every person counts alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

RUN: Final = 10
"""Frames that are drawn again together."""
DRAWS: Final = 1000
"""Times everything is drawn again."""
CONFIDENCE: Final = 0.95
"""Share of them that lies inside the interval."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and how far it can be trusted."""

    mean: float
    """Over frames, or over subjects' means."""
    low: float
    """Lower end of the interval of `CONFIDENCE`."""
    high: float
    """Upper end."""
    count: int
    """Frames behind it."""


def over_frames(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """Estimate the mean of one subject's frames, in their order."""
    array = np.asarray(values, np.float64)
    draws = _redrawn(array, np.random.default_rng(seed), DRAWS)
    return _estimate(float(array.mean()), draws, len(array))


def over_subjects(values: Sequence[Sequence[float]], *, seed: int = 0) -> Estimate:
    """Estimate the mean over subjects of their frames' means."""
    arrays = [np.asarray(frames, np.float64) for frames in values]
    rng = np.random.default_rng(seed)
    # Each subject's means under redrawn frames, of which each draw of people takes one a person.
    means = np.stack([_redrawn(array, rng, DRAWS) for array in arrays])
    who = rng.integers(len(arrays), size=(len(arrays), DRAWS))
    draws = means[who, np.arange(DRAWS)[None]].mean(0)
    mean = float(np.mean([array.mean() for array in arrays]))
    return _estimate(mean, draws, sum(map(len, arrays)))


def _redrawn(
    values: Float[ndarray, " n"], rng: np.random.Generator, draws: int
) -> Float[ndarray, " d"]:
    """Give the means of series put together from runs of the given one, wrapped at its end."""
    count = len(values)
    run = min(RUN, max(1, count // 2))
    runs = math.ceil(count / run)
    starts = rng.integers(count, size=(draws, runs))
    at = (starts[..., None] + np.arange(run)).reshape(draws, -1)[:, :count] % count
    return values[at].mean(1)


def _estimate(mean: float, draws: Float[ndarray, " d"], count: int) -> Estimate:
    # By rank, not between ranks: equal pictures have an infinite PSNR.
    ranked = np.sort(draws)
    cut = round((1 - CONFIDENCE) / 2 * (len(ranked) - 1))
    low, high = ranked[cut], ranked[-1 - cut]
    return Estimate(mean=mean, low=float(low), high=float(high), count=count)
