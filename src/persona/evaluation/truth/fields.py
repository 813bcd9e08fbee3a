"""Where clothes end: distances inside their edges, in T-pose."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from persona.evaluation.truth.form import Form
from persona.evaluation.truth.people import Shell, Tight

NECK_HEIGHT = (0.080, 0.085)
"""Half height and half depth of a neck hole's ellipsoid [m]."""
COLLAR = 0.020
"""No top reaches higher than this above the neck joint [m]."""
SLOPE = 2.0
"""How steeply the collar's limit rises towards the shoulders [-]."""
TIGHT_WAIST = 0.45
"""Where leggings and leotards meet, 0 at the hips and 1 at the lowest ribs."""


def shell_field(form: Form, cut: Shell, points: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    """Say how far inside a shell's edges places near the skin lie [m]."""
    if cut.name == "bottom":
        waist, hem = form.trunk_height(cut.ends[0]), form.leg_height(cut.ends[1])
        return np.minimum(waist - points[:, 1], points[:, 1] - hem)
    return top_field(form, form.trunk_height(cut.ends[0]), cut.ends[1], cut.neck, points)


def top_field(
    form: Form, hem: float, sleeve: float, neck: float, points: Float[ndarray, "n 3"]
) -> Float[ndarray, " n"]:
    """Say how far inside a top's edges places lie [m]."""
    out = np.abs(points[:, 0])
    # Sleeves hang lower than nothing in T-pose: only the trunk has a hem.
    trunk = np.where(out > form.joint("left_shoulder")[0] + 0.05, 1.0, points[:, 1] - hem)
    around = points - (form.joint("neck") + np.array([0.0, 0.012, 0.022]))
    hole = np.linalg.norm(around / np.array([neck, *NECK_HEIGHT]), axis=1) - 1
    collar = form.joint("neck")[1] + COLLAR - points[:, 1] + SLOPE * np.maximum(0, out - neck)
    return np.minimum.reduce([trunk, form.arm_reach(sleeve) - out, hole * neck, collar])


def tight_field(form: Form, tight: Tight, points: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    """Say how far inside a tight piece's edges places on the skin lie [m]."""
    waist = form.trunk_height(TIGHT_WAIST)
    if tight.part == "lower":
        low = points[:, 1] - form.leg_height(tight.end)
        return np.minimum(waist - points[:, 1], low)
    return top_field(form, waist, tight.end, 0.09, points)
