"""Small mixtures of Lab colours: fit one to samples, ask how likely other colours are."""

from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Float

COLOUR_NOISE = 2.0
"""Spread of one colour that even a flat surface has [Lab units]."""
Mixture: TypeAlias = list[tuple[float, np.ndarray, np.ndarray]]
"""(share, mean, whitening matrix) of each colour."""


def fit_mixture(
    samples: Float[np.ndarray, "n 3"], *, colours: int = 3, noise: float = COLOUR_NOISE
) -> Mixture:
    """Describe samples by up to ``colours`` normal distributions, the same way every time."""
    thin = np.ascontiguousarray(samples[:: max(len(samples) // 300, 1)], np.float32)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0.0)
    cv2.setRNGSeed(0)
    groups = min(colours, len(thin))
    _, member, _ = cv2.kmeans(thin, groups, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    mixture = []
    for group in range(groups):
        own = thin[member[:, 0] == group]
        if len(own) < min(5, len(thin)):
            continue
        centred = own - own.mean(0)
        spread = centred.T @ centred / len(own) + noise**2 * np.eye(3)
        whiten = np.linalg.cholesky(np.linalg.inv(spread)).astype(np.float32)
        mixture.append((len(own) / len(thin), own.mean(0), whiten))
    return mixture


def log_density(values: Float[np.ndarray, "n 3"], mixture: Mixture) -> Float[np.ndarray, " n"]:
    """Log density of colours under a mixture, up to a constant; never below a floor."""
    density = np.full(len(values), 1e-6)
    for share, mean, whiten in mixture:
        off = (values - mean) @ whiten
        volume = float(np.prod(np.diag(whiten)))
        density += share * volume * np.exp(-0.5 * (off * off).sum(-1))
    return np.log(density)
