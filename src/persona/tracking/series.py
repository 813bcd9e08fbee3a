"""Smooth numbers over time by how far each is trusted, back to rest where nothing is known."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import solveh_banded
from torch import Tensor

from persona.tracking.smoothness import LONGEST_STEP, Smoothness

REST_STEP: Final = 1.0
"""Time after which what is not seen has gone back to rest [s]."""


@dataclass(frozen=True)
class Habit:
    """What is known about a number before it is seen."""

    rest: Float[Tensor, " k"]
    """Where it usually is."""
    spread: float
    """How far from there it goes."""
    noise: float
    """Error of one measurement."""
    acceleration: float
    """Ordinary second derivative in time [1/s^2]."""


def smooth_series(
    values: Float[Tensor, "t k"],
    trust: Float[Tensor, " t"],
    habit: Habit,
    smoothness: Smoothness,
) -> Float[Tensor, "t k"]:
    """Find the smoothest series near the trusted values: one banded linear system (Whittaker 1923).

    Args:
        values: Measured.
        trust: 0 for frames in which nothing was measured, to 1.
        habit: Rest and sizes.
        smoothness: Steps of time and shots.
    """
    count = len(values)
    sure = (trust / habit.noise**2).double()
    # Seen or not, a frame knows its rest; the weight is that of a second's worth of frames.
    back = 1 / habit.spread**2 * LONGEST_STEP / REST_STEP
    bands = np.zeros((3, count))
    bands[0] = (sure + back).numpy()
    if count > 2:
        before, here, after = _differences(smoothness, habit.acceleration)
        for offset, weight in enumerate((before, here, after)):
            bands[0, offset : offset + count - 2] += weight**2
        bands[1, : count - 2] += before * here
        bands[1, 1 : count - 1] += here * after
        bands[2, : count - 2] += before * after
    goal = sure[:, None] * values.double() + back * habit.rest.double()
    lower = bands[: min(3, count)]
    return torch.from_numpy(solveh_banded(lower, goal.numpy(), lower=True))


def _differences(
    smoothness: Smoothness, acceleration: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weigh second differences of unevenly spaced times, none across a cut."""
    steps = smoothness.steps.numpy()
    both = (smoothness.linked[1:] & smoothness.linked[:-1]).numpy()
    unit = np.where(both, 2 / (acceleration * (steps[1:] + steps[:-1])), 0.0)
    before, after = unit / steps[:-1], unit / steps[1:]
    return before, -(before + after), after
