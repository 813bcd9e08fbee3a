"""A knee-length skirt for the sample person: one tube of cloth that widens to the hem, in folds."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull

from persona.body.skeleton import JOINT_IDS
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.look import SampleLook
from persona.synthesis.sample.mesh import Mesh, plain_mesh, with_hem
from persona.synthesis.sample.noise import smoothstep

ROWS, COLUMNS = 90, 240
"""Points down and around."""
GAP = (0.002, 0.009)
"""Least distance from the body at the waist, under the top, and below it [m]."""
WAIST = 0.01
"""How far above the hips the skirt begins; the top hangs over that [m]."""
COVERED = 0.06
"""Height of what the top hangs over [m]."""
FLARE = 0.075
"""How much farther out the hem hangs than the legs reach [m]."""
FOLDS = 11
"""Folds around the hem."""
FOLD_DEPTH = 0.009
"""Depth of a fold at the hem [m]."""
ABOVE_KNEE = 0.04
"""Where the skirt ends [m]."""
HEM = 0.003
"""Strength of the cloth at its edges [m]."""
ARM_SHARE = 0.3
"""Vertices that arms carry by more than this are none to go around."""
ARM_JOINTS = (16, 17, 18, 19, 20, 21, *range(25, 55))
"""Shoulders to fingers."""


def skirt_ends(figure: Figure) -> tuple[float, float]:
    """Give waist and hem as worn [m]."""
    waist = float(figure.joints[JOINT_IDS["left_hip"], 1]) + WAIST
    knees = figure.joints[[JOINT_IDS["left_knee"], JOINT_IDS["right_knee"]], 1]
    return waist, float(knees.max()) + ABOVE_KNEE


def skirt_field(figure: Figure) -> Float[ndarray, " n"]:
    """Distance inside the skirt's edges for every vertex of the body [m]."""
    waist, hem = skirt_ends(figure)
    inside = np.minimum(waist - figure.vertices[:, 1], figure.vertices[:, 1] - hem)
    arms = figure.weights[:, list(ARM_JOINTS)].sum(1) > ARM_SHARE
    return np.where(arms, -1.0, inside)


def skirt(figure: Figure, look: SampleLook) -> Mesh:
    """Hang a tube around both legs: never inside the hull of the body's slice, wider at the hem."""
    waist, hem = skirt_ends(figure)
    body = figure.vertices[figure.weights[:, list(ARM_JOINTS)].sum(1) < ARM_SHARE]
    heights = np.linspace(waist, hem, ROWS)
    angles = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    ways = np.stack([np.cos(angles), np.sin(angles)], 1)
    middle = body[np.abs(body[:, 1] - waist) < 0.05][:, [0, 2]].mean(0)
    reach = np.stack([_reach(body, height, middle, ways) for height in heights])
    # Cloth falls straight from the hips: it never comes in again.
    hung = np.maximum.accumulate(reach, axis=0)
    down = np.clip((waist - heights - COVERED) / (waist - hem - COVERED), 0, 1)[:, None]
    gap = np.interp(waist - heights, [0.5 * COVERED, COVERED], GAP)[:, None]
    fold = np.sin(FOLDS * angles + 1.7 * np.sin(2 * angles + look.seed))[None]
    hung = gaussian_filter1d(hung, 3, axis=0, mode="nearest")
    hung = gaussian_filter1d(hung, 4, axis=1, mode="wrap")
    radius = np.maximum(hung, reach) + gap + FLARE * down**1.2 + FOLD_DEPTH * fold * down**2
    flat = middle + radius[..., None] * ways
    points = np.stack(
        [flat[..., 0], np.broadcast_to(heights[:, None], radius.shape), flat[..., 1]], -1
    ).reshape(-1, 3)
    rest = points + np.array([0.0, figure.rest_floor, 0.0])
    row, column = np.meshgrid(np.arange(ROWS - 1), np.arange(COLUMNS), indexing="ij")
    ahead = (column + 1) % COLUMNS
    a, b = row * COLUMNS + column, row * COLUMNS + ahead
    c, d = a + COLUMNS, b + COLUMNS
    faces = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)]
    )
    return with_hem(plain_mesh("bottom", points, rest, faces), thickness=HEM)


def skirt_stitch(figure: Figure, height: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
    """Say how strongly the hem's seam shows at heights as worn [m], 0 to 1."""
    _, hem = skirt_ends(figure)
    return smoothstep(0.0025, 0.0010, np.abs(height - hem - 0.02))


def _reach(
    body: Float[ndarray, "n 3"],
    height: float,
    middle: Float[ndarray, " 2"],
    ways: Float[ndarray, "c 2"],
) -> Float[ndarray, " c"]:
    """Measure how far the hull of a slice of the body reaches in every direction [m]."""
    flat = body[np.abs(body[:, 1] - height) < 0.015][:, [0, 2]] - middle
    planes = ConvexHull(flat).equations
    slope = ways @ planes[:, :2].T
    return np.where(slope > 1e-9, -planes[:, 2] / np.maximum(slope, 1e-9), np.inf).min(1)
