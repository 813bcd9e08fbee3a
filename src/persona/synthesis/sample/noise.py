"""Smooth random fields over space, the same for the same seed: cloth folds, skin, hair."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

TABLE_SIZE = 256
"""Entries of the hash table, a power of two; the field repeats after as many cells."""
MASK = TABLE_SIZE - 1
"""Keeps what lies within the table of a sum."""


def gradient_noise(points: Float[ndarray, "n 3"], *, seed: int) -> Float[ndarray, " n"]:
    """Evaluate gradient noise, about [-1, 1], with one feature a unit of length.

    References:
        Perlin, "Improving noise", SIGGRAPH 2002.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(TABLE_SIZE).astype(np.int32)
    gradients = rng.normal(size=(TABLE_SIZE, 3)).astype(np.float32)
    gradients = (gradients / np.linalg.norm(gradients, axis=1, keepdims=True)).T.copy()
    cell = np.floor(points).astype(np.int32)
    inside = (points - cell).astype(np.float32)
    fade = inside**3 * (inside * (inside * 6 - 15) + 10)
    total = np.zeros(len(points), np.float32)
    # A row for each axis: NumPy is slow along the short axis of tall arrays.
    low = (cell % TABLE_SIZE).T.copy()
    steps = (low, (low + 1) % TABLE_SIZE)
    ways = (inside.T.copy(), inside.T - 1)
    shares = (1 - fade.T, fade.T.copy())
    for x, y, z in np.ndindex(2, 2, 2):
        key = order[order[steps[x][0]] + steps[y][1] & MASK]
        key = order[key + steps[z][2] & MASK]
        share = shares[x][0] * shares[y][1] * shares[z][2]
        dx, dy, dz = gradients[:, key]
        total += share * (dx * ways[x][0] + dy * ways[y][1] + dz * ways[z][2])
    return 1.6 * total  # brings the extremes of gradient noise to about +-1


def layered_noise(
    points: Float[ndarray, "n 3"], *, seed: int, octaves: int = 3
) -> Float[ndarray, " n"]:
    """Add octaves of gradient noise, each twice as fine and half as strong."""
    layers = [gradient_noise(points * 2.0**k, seed=seed + k) * 0.5**k for k in range(octaves)]
    return np.sum(layers, axis=0)


def ridges(points: Float[ndarray, "n 3"], *, seed: int) -> Float[ndarray, " n"]:
    """Give creases: sharp crests where gradient noise crosses zero, in [0, 1]."""
    return np.clip(1 - 2.2 * np.abs(gradient_noise(points, seed=seed)), 0, 1) ** 1.5


def smoothstep(low: float, high: float, x: Float[ndarray, "*n"]) -> Float[ndarray, "*n"]:
    """Go smoothly from 0 at ``low`` to 1 at ``high``; the two may be swapped."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
