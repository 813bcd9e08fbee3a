"""Colour cloth of generated people by places in T-pose, so that a pattern moves with its cloth."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from persona.evaluation.truth.people import Fabric
from persona.synthesis.sample.noise import smoothstep
from persona.synthesis.sample.paint import mixed, paint_cloth

TRIM = 0.018
"""Width of the darker edge of every piece [m]."""
AROUND = 0.15
"""Radius at which angles around the body become lengths [m]."""


def paint_fabric(
    fabric: Fabric,
    rest: Float[ndarray, "p 3"],
    inside: Float[ndarray, " p"],
    *,
    shoulder: float,
    seed: int,
) -> Float[ndarray, "p 3"]:
    """Colour places of a piece.

    Args:
        fabric: What it is made of.
        rest: Places in T-pose [m].
        inside: How far inside the piece's edges they lie [m].
        shoulder: How far out sleeves begin [m].
        seed: Of its uneven dye.
    """
    colors = paint_cloth(rest, fabric.color, seed=seed, rib=300)
    if fabric.pattern != "plain":
        second = paint_cloth(rest, fabric.second, seed=seed, rib=300)
        colors = mixed(colors, second, _pattern(fabric, rest, shoulder))
    return mixed(colors, colors * 0.72, smoothstep(TRIM, TRIM - 0.004, inside))


def _pattern(fabric: Fabric, rest: Float[ndarray, "p 3"], shoulder: float) -> Float[ndarray, " p"]:
    out = np.abs(rest[:, 0])
    sleeve = out > shoulder
    along = np.where(sleeve, out, rest[:, 1])
    across = np.where(sleeve, rest[:, 1], np.arctan2(rest[:, 0], rest[:, 2]) * AROUND)
    if fabric.pattern == "stripes":
        return _bars(along, fabric.size, 0.35)
    if fabric.pattern == "checks":
        return 0.5 * _bars(along, fabric.size, 0.3) + 0.5 * _bars(across, fabric.size, 0.3)
    if fabric.pattern == "dots":
        u, v = (np.mod(x / fabric.size, 1) - 0.5 for x in (along, across))
        return smoothstep(0.24, 0.18, np.hypot(u, v))
    if fabric.pattern == "panels":
        sides = smoothstep(0.55, 0.62, np.abs(rest[:, 0]) / (np.abs(rest[:, 2]) + AROUND))
        return np.where(sleeve, 1.0, sides)
    raise ValueError(f"{fabric.pattern} is no pattern")


def _bars(along: Float[ndarray, " p"], size: float, share: float) -> Float[ndarray, " p"]:
    """Mark bars that take a share of every repetition."""
    place = np.abs(np.mod(along / size, 1) - 0.5) * 2
    return smoothstep(1 - share - 0.06, 1 - share + 0.06, place)
