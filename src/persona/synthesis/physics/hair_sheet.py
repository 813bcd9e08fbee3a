"""Hair that hangs below the chin, as one soft sheet around the back of neck and shoulders."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from persona.body.skinning import blend_transforms
from persona.synthesis.physics.clearance import Cover
from persona.synthesis.physics.rest_body import RestBody
from persona.synthesis.physics.shell import Sheet
from persona.synthesis.physics.tube import grid_faces

SPACING = 0.012
"""Distance of the sheet's points [m]."""
ROOTS = 0.06
"""Height above the chin at which the sheet is rooted in the head [m]."""
FACE_FREE = 0.30
"""Turn from straight ahead that stays free on both sides: hair hangs beside a face [turns/2 pi]."""
LEAST_POINTS = 40
"""Points of hair below the chin that make a sheet."""
CLEAR = 0.004
"""Least distance from the skin [m]."""


def hair_sheet(
    rest: RestBody, cover: Cover, hair: Float[ndarray, "n 3"], *, length: float
) -> Sheet | None:
    """Hang a sheet where hair was seen: a grid of angles around the neck and heights.

    Args:
        rest: The body in T-pose.
        cover: What to keep clear of: skin and clothes.
        hair: Points of the hair's surface, brought to T-pose [m].
        length: How far it hangs below the chin [m].

    Returns:
        None when there is too little hair below the chin.
    """
    low, high = rest.chin - length, rest.chin + ROOTS
    middle = rest.joint("neck")
    around = hair[(hair[:, 1] > low - SPACING) & (hair[:, 1] < high + SPACING)]
    if (around[:, 1] < rest.chin).sum() < LEAST_POINTS or high - low < 3 * SPACING:
        return None
    off = around[:, [0, 2]] - middle[[0, 2]]
    # Angle 0 is straight back, growing to the person's left.
    angle = np.arctan2(off[:, 0], -off[:, 1])
    widest = np.pi * (1 - FACE_FREE)
    reach = float(np.clip(np.quantile(np.abs(angle), 0.97), 0.4 * np.pi, widest))
    radius = np.linalg.norm(off, axis=1)
    usual = float(np.median(radius))
    rows = 1 + round((high - low) / SPACING)
    columns = 1 + round(2 * reach * usual / SPACING)
    heights, angles = np.linspace(high, low, rows), np.linspace(-reach, reach, columns)
    grid = _radii(around[:, 1], angle, radius, heights, angles, usual)
    ways = np.stack([np.sin(angles), np.zeros(columns), -np.cos(angles)], 1)
    points = middle + grid[..., None] * ways
    points[..., 1] = heights[:, None]
    vertices = cover.pushed(points.reshape(-1, 3), CLEAR)
    faces = grid_faces(rows, columns, closed=False)
    weights = np.zeros((len(vertices), 55))
    below = np.clip((rest.chin - vertices[:, 1]) / 0.12, 0, 1)
    weights[:, 15], weights[:, 9] = 1 - below, below
    return Sheet(vertices=vertices, faces=faces, weights=weights, skin=vertices)


def hair_at_rest(
    points: Float[Tensor, "n 3"],
    weights: Float[Tensor, "n 55"],
    T_posed_rest: Float[Tensor, "55 4 4"],
) -> Float[ndarray, "n 3"]:
    """Bring points of a hair shell from the photo's pose to T-pose [m].

    Args:
        points: World frame [m].
        weights: Which bones carry them; rows sum to one.
        T_posed_rest: Takes rest points to the photo's pose.
    """
    linear, shift = blend_transforms(T_posed_rest, weights)
    return torch.linalg.solve(linear, (points - shift)[..., None])[..., 0].double().numpy()


def _radii(
    y: Float[ndarray, " n"],
    angle: Float[ndarray, " n"],
    radius: Float[ndarray, " n"],
    heights: Float[ndarray, " r"],
    angles: Float[ndarray, " c"],
    usual: float,
) -> Float[ndarray, "r c"]:
    """Average the hair's distance from the neck's axis over the grid; smooth where none is."""
    row = np.abs(heights[:, None] - y[None]).argmin(0)
    column = np.abs(angles[:, None] - angle[None]).argmin(0)
    total, count = np.zeros((len(heights), len(angles))), np.zeros((len(heights), len(angles)))
    np.add.at(total, (row, column), radius)
    np.add.at(count, (row, column), 1.0)
    spread = 2.5
    weight = gaussian_filter(count, spread) + 1e-3
    return (gaussian_filter(total, spread) + 1e-3 * usual) / weight
