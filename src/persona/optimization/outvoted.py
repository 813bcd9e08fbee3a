"""What an arm's outline borrows: pixels beside it, of another part than the rest of its slice."""

import numpy as np

from persona.optimization.limbs import Limb, along

SLICE = 0.02
"""Length of a slice across an arm [m]."""
MINORITY = 0.4
"""A part that fewer of a slice's Gaussians than this show is that of something else [-]."""
ENOUGH = 12
"""Voters without which a slice decides nothing."""
ARMS = (Limb.LEFT_ARM, Limb.RIGHT_ARM)


def outvoted(
    rest: np.ndarray, limb: np.ndarray, part: np.ndarray, voters: np.ndarray
) -> np.ndarray:
    """Find Gaussians of arms whose pixels show a part that hardly any of their slice's voters do.

    A sleeve ends all around the arm, so a slice is of one cloth or bare. An arm that hangs before
    a shirt, fitted a pixel off, would otherwise carry a strip of the shirt away with it.

    Args:
        rest: Places on the body in the rest pose (n, 3) [m].
        limb: `Limb` of each (n,).
        part: `Part` of the pixel at which each lies (n,).
        voters: Which of them the photo shows squarely (n,).

    Returns:
        Which of them lie at pixels of something else (n,).
    """
    found = np.zeros(len(rest), bool)
    for arm in ARMS:
        rows = np.where(limb == arm)[0]
        if not voters[rows].any():
            continue
        place = np.floor(along(arm, rest[rows]) / SLICE).astype(int)
        place -= place.min()
        kinds, kind = np.unique(part[rows], return_inverse=True)
        votes = np.zeros((place.max() + 1, len(kinds)))
        np.add.at(votes, (place[voters[rows]], kind[voters[rows]]), 1)
        total = votes.sum(1, keepdims=True)
        few = (votes < MINORITY * total) & (total >= ENOUGH)
        found[rows] = few[place, kind]
    return found
