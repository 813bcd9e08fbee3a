"""Where each garment begins and ends on a body in T-pose: signed distances to its edges."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from persona.body.skeleton import JOINT_IDS
from persona.records.wardrobe import Wardrobe
from persona.synthesis.physics.rest_body import RestBody

ARMPIT = 0.10
"""How far armpits lie below the shoulders' joints [m]."""
HEAD_SHARE = 0.3
"""Skin that the head carries by more than this is bare [-]."""
NATURAL_WAIST = 0.80
"""Trousers begin here, when a top that hangs over them hides where [trunk]."""
HIGHEST_WAIST = 0.35
"""Nothing that is held at a waist begins above this place [trunk]."""
TUCK = 0.04
"""How far a top goes on under what covers its end [trunk]."""
COLLAR_RADIUS = 0.08
"""Half the width of a neckline [m]."""
BACK_DROP = 0.03
"""How far behind a neckline lies below the neck's joint [m]."""
STAND = 0.02
"""A neckline without a collar ends at most this far above the neck's joint [m]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cloth:
    """Points of cloth in T-pose, to ask where they lie."""

    points: Float[ndarray, "n 3"]
    """Positions [m]."""
    weights: Float[ndarray, "n 55"]
    """Skinning shares."""


def trousers_field(rest: RestBody, wardrobe: Wardrobe, cloth: Cloth) -> Float[ndarray, " n"]:
    """Measure how far cloth lies inside two trouser legs [m]; negative outside."""
    x, y = cloth.points[:, 0], cloth.points[:, 1]
    hems = np.where(x > 0, *(rest.leg_height(hem) for hem in wardrobe.hems))
    return np.minimum(lower_top(rest, wardrobe) - y, y - hems)


def lower_top(rest: RestBody, wardrobe: Wardrobe) -> float:
    """Find the height at which a lower garment begins [m]."""
    return rest.trunk_height(float(np.clip(wardrobe.waist, HIGHEST_WAIST, NATURAL_WAIST)))


def top_field(
    rest: RestBody, wardrobe: Wardrobe, cloth: Cloth, *, hem: float, sleeves: tuple[float, float]
) -> Float[ndarray, " n"]:
    """Measure how far cloth lies inside a top [m]; negative outside.

    Args:
        rest: The body.
        wardrobe: Whose neckline counts.
        cloth: What is to be cut.
        hem: Height where the top ends [m].
        sleeves: Where sleeves end, left and right [bones].
    """
    x, y = cloth.points[:, 0], cloth.points[:, 1]
    reach = np.where(x > 0, *(rest.arm_reach(sleeve) for sleeve in sleeves))
    # Sleeves, and armholes where there are none, end above the armpits: flanks stay covered.
    flank = 3 * np.maximum(0, rest.trunk_height(0) - ARMPIT - y)
    field = np.minimum.reduce(
        [y - hem, reach - np.abs(x) + flank, _neckline(rest, wardrobe, cloth)]
    )
    head = cloth.weights[:, [JOINT_IDS["head"], JOINT_IDS["jaw"]]].sum(1) > HEAD_SHARE
    return np.where(head, -1.0, field)


def top_hem(rest: RestBody, wardrobe: Wardrobe) -> float:
    """Find the height at which a top ends, a little under what covers it [m]."""
    tucked = wardrobe.upper_hem <= wardrobe.waist and wardrobe.waist < 0.95
    return rest.trunk_height(wardrobe.upper_hem + (TUCK if tucked else 0.0))


def _neckline(rest: RestBody, wardrobe: Wardrobe, cloth: Cloth) -> Float[ndarray, " n"]:
    """Measure how far below the neckline cloth lies [m].

    Low necklines are cut by half an ellipse hung from the neck's joint, deeper in front than
    behind; collars end level.
    """
    joint = rest.joint("neck")
    shoulders = rest.trunk_height(0)
    front = shoulders + wardrobe.neck * (rest.chin - shoulders)
    x, y, z = cloth.points.T
    across = np.abs(x)
    level = max(front, joint[1] + STAND) - y + 2 * np.maximum(0, across - COLLAR_RADIUS)
    if front >= joint[1]:
        return level
    ahead = np.clip((z - joint[2] + 0.03) / 0.06, 0, 1)
    drop = BACK_DROP + (max(joint[1] - front, BACK_DROP) - BACK_DROP) * ahead
    below = np.maximum(joint[1] - y, 0) / drop
    ellipse = (np.hypot(across / COLLAR_RADIUS, below) - 1) * np.minimum(COLLAR_RADIUS, drop)
    return np.minimum(ellipse, level)
