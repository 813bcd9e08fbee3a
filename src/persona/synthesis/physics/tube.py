"""Skirts, dresses and coats: one tube around both legs, on a regular grid of its own."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull

from persona.synthesis.physics.clearance import Cover, Skin
from persona.synthesis.physics.rest_body import RestBody
from persona.synthesis.physics.shell import Sheet

SPACING = 0.012
"""Distance of the grid's rows [m], and about that of its columns."""
COLUMNS = 96
"""Points around a ring: 1.2 cm apart on a hem of 1.15 m."""
SLICE = 0.015
"""Half the height of the slice of the body that a ring must go around [m]."""
DEPTH_SHARE = 0.8
"""How much of what a skirt flares sideways it flares to front and back [-]."""
FITTED = 0.15
"""How far below its top a tube still widens to what the photo shows [m]."""
MOST_FLARE = 0.35
"""Most that a hem stands off the legs: a ball gown [m]."""
ARM_JOINTS = (16, 17, 18, 19, 20, 21, *range(25, 55))
"""Shoulders to fingers: a skirt goes around none of them."""


def tube(
    rest: RestBody,
    skin: Skin,
    *,
    top: float,
    hem: float,
    half_width: Callable[[Float[ndarray, " r"]], Float[ndarray, " r"]],
    gap: float,
    cover: Cover | None = None,
) -> Sheet | None:
    """Hang a tube from the waist around both legs.

    Every ring is an ellipse as wide as the photo shows it, but never inside the hull of the body's
    own slice: cloth bridges from leg to leg.

    Args:
        rest: The body in T-pose.
        skin: Its surface, to be carried by.
        top: Height where it begins [m].
        hem: Height where it ends [m].
        half_width: Height [m] -> half the outline's width there [m]; 0 where that is unknown.
        gap: Least distance from the body [m].
        cover: What to keep clear of; None for the skin alone.

    Returns:
        None when the hem is not below the top.
    """
    if top - hem < 2 * SPACING:
        return None
    count = 1 + round((top - hem) / SPACING)
    heights = np.linspace(top, hem, count)
    angles = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    bare = (rest.weights[:, list(ARM_JOINTS)].sum(1) < 0.5) & _outside(rest)
    rings = [_ring(rest.vertices[bare], height, angles) for height in heights]
    radius = np.stack([ring for ring, _ in rings]) + gap
    middle = gaussian_filter1d(np.stack([center for _, center in rings]), 3, axis=0)
    wanted = np.asarray(half_width(heights))
    flare = np.maximum(wanted - radius[:, [0, COLUMNS // 2]].max(1), 0)
    flare = np.minimum(flare, MOST_FLARE) * np.clip((top - heights) / FITTED, 0, 1)
    ellipse = radius + flare[:, None] * (np.cos(angles) ** 2 + DEPTH_SHARE * np.sin(angles) ** 2)
    smooth = gaussian_filter1d(ellipse, 2, axis=0, mode="nearest")
    smooth = np.maximum(gaussian_filter1d(smooth, 2, axis=1, mode="wrap"), radius)
    ring = np.stack([np.cos(angles), np.zeros(COLUMNS), np.sin(angles)], 1)
    points = middle[:, None] + smooth[..., None] * ring
    points[..., 1] = heights[:, None]
    vertices = (cover or skin).pushed(points.reshape(-1, 3), gap)
    return Sheet(
        vertices=vertices,
        faces=grid_faces(count, COLUMNS, closed=True),
        weights=skirt_shares(rest, skin, vertices),
        skin=vertices,
    )


def _outside(rest: RestBody) -> ndarray:
    """Mark vertices that belong to the outer skin."""
    marks = np.zeros(len(rest.vertices), bool)
    marks[rest.faces] = True
    return marks


def _ring(
    vertices: Float[ndarray, "v 3"], height: float, angles: Float[ndarray, " c"]
) -> tuple[Float[ndarray, " c"], Float[ndarray, " 3"]]:
    """Measure how far the hull of a slice of the body reaches in every direction; its middle."""
    reach = SLICE
    near = np.abs(vertices[:, 1] - height) < reach
    while near.sum() < 12:
        reach *= 1.5
        near = np.abs(vertices[:, 1] - height) < reach
    flat = vertices[near][:, [0, 2]]
    middle = np.array([0.0, (flat[:, 1].min() + flat[:, 1].max()) / 2])
    planes = ConvexHull(flat - middle).equations
    ways = np.stack([np.cos(angles), np.sin(angles)], 1)
    slope = ways @ planes[:, :2].T
    away = np.where(slope > 1e-9, -planes[:, 2] / np.maximum(slope, 1e-9), np.inf).min(1)
    return away, np.array([0.0, height, middle[1]])


def grid_faces(rows: int, columns: int, *, closed: bool) -> Int[ndarray, "f 3"]:
    """Triangulate a grid whose rows run down and whose columns run from +x to +z.

    Diagonals alternate, so that cloth bends alike to both sides.
    """
    last = columns if closed else columns - 1
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(last), indexing="ij")
    ahead = (column + 1) % columns
    a, b = row * columns + column, row * columns + ahead
    c, d = a + columns, b + columns
    even = ((row + column) % 2 == 0)[..., None]
    first = np.where(even, np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(even, np.stack([b, d, c], -1), np.stack([a, d, c], -1))
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def skirt_shares(
    rest: RestBody, skin: Skin, vertices: Float[ndarray, "n 3"]
) -> Float[ndarray, "n 55"]:
    """Share a skirt between both legs: each side follows its leg, front and back follow both."""
    shares = skin.shares(vertices)
    hips = rest.joint("left_hip")
    half = float(hips[0])
    # Level where it meets the thighs' fronts, so that a lifted thigh does not come out of it.
    left = np.clip(0.5 + 0.5 * vertices[:, 0] / half, 0, 1)
    left = left * left * (3 - 2 * left)
    mixed = shares.copy()
    for one, other in ((1, 2), (4, 5), (7, 8), (10, 11)):
        both = shares[:, one] + shares[:, other]
        mixed[:, one], mixed[:, other] = both * left, both * (1 - left)
    return mixed / mixed.sum(1, keepdims=True)
