"""Tops and trousers: the body's own skin, lifted, smoothed and cut where the garment ends."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from persona.geometry import meshes
from persona.synthesis.physics.clearance import Cover, same_side
from persona.synthesis.physics.cut import cut
from persona.synthesis.physics.edges import Cloth
from persona.synthesis.physics.pieces import areas, open_edges, whole_piece
from persona.synthesis.physics.refine import split_long_edges
from persona.synthesis.physics.rest_body import RestBody

CONTEXT = 0.05
"""Cloth kept beyond its own edge while it is smoothed [m], so that hems hang straight."""
ROUNDS = 120
"""Smoothings: hollows about 10 cm wide are bridged."""
LONGEST_EDGE = 0.019
"""Longer edges of the body's mesh are split [m]: about 14,000 vertices for a dressed person."""
LEAST_AREA = 0.03
"""Less cloth is no garment [m^2]; the briefest shorts have twice as much."""
LEG_GAP = 0.003
"""Least distance between the cloth of both legs [m]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """A piece of cloth before it becomes a garment."""

    vertices: Float[ndarray, "n 3"]
    """T-pose [m]."""
    faces: Int[ndarray, "f 3"]
    """Counter-clockwise from outside."""
    weights: Float[ndarray, "n 55"]
    """Skinning shares; rows sum to one."""
    skin: Float[ndarray, "n 3"]
    """The place on the body each vertex was lifted from [m]."""


def lifted_skin(
    rest: RestBody,
    cover: Cover,
    *,
    field: Callable[[Cloth], Float[ndarray, " n"]],
    gap: Float[ndarray, " v"],
    thickness: float,
    crotch: float | None = None,
) -> Sheet | None:
    """Lift the skin where ``field`` is positive, and let it bridge what is hollow.

    Args:
        rest: The body in T-pose.
        cover: What to keep clear of: skin, and what is worn under it.
        field: Says how far inside the garment's edges cloth lies [m].
        gap: How far the cloth stands off there [m].
        thickness: Least distance from the skin [m].
        crotch: Below this height the halves of the body are kept apart [m]; None for tops.

    Returns:
        None when nothing of the body lies inside.
    """
    on_skin = field(Cloth(points=rest.vertices, weights=rest.weights))
    faces = rest.faces[(on_skin[rest.faces] > -CONTEXT).all(1)]
    if not len(faces) or not (on_skin[faces] > 0).any():
        return None
    used, faces = np.unique(faces, return_inverse=True)
    faces, finer = split_long_edges(rest.vertices[used], faces.reshape(-1, 3), LONGEST_EDGE)
    base, weights = finer @ rest.vertices[used], finer @ rest.weights[used]
    lift = finer @ gap[used]
    side = np.zeros(len(base), np.int64)
    if crotch is not None:
        side = np.where(base[:, 1] < crotch, np.sign(base[:, 0]), 0).astype(np.int64)
    vertices = _draped(base, faces, cover, lift=lift, thickness=thickness, side=side)
    values = np.concatenate([vertices, weights, base], 1)
    values, faces, _ = cut(values, faces, field(Cloth(points=vertices, weights=weights)))
    values, faces = whole_piece(values, faces)
    if areas(values[:, :3], faces).sum() < LEAST_AREA:
        return None
    weights = np.clip(values[:, 3:58], 0, None)
    return Sheet(
        vertices=values[:, :3],
        faces=faces,
        weights=weights / weights.sum(1, keepdims=True),
        skin=values[:, 58:],
    )


def _draped(
    base: Float[ndarray, "n 3"],
    faces: Int[ndarray, "f 3"],
    cover: Cover,
    *,
    lift: Float[ndarray, " n"],
    thickness: float,
    side: Int[ndarray, " n"],
) -> Float[ndarray, "n 3"]:
    """Lift along the normals, then smooth and push out in turn."""
    normals = meshes.vertex_normals(torch.from_numpy(base), torch.from_numpy(faces)).numpy()
    laplacian = meshes.uniform_laplacian(torch.from_numpy(faces), len(base))
    mean = sp.csr_array(sp.identity(len(base)) - laplacian)
    rim = _rim(faces)
    free = np.ones((len(base), 1), bool)
    free[rim] = False
    points = base + normals * np.maximum(lift, thickness)[:, None]
    least = np.maximum(0.75 * lift, thickness)
    # Thighs that touch leave no room: the skin counts more than the gap.
    inner = np.minimum(LEG_GAP / 2, side * base[:, 0])
    for _ in range(ROUNDS):
        points = np.where(free, 0.4 * points + 0.6 * (mean @ points), points)
        out = ((points - base) * normals).sum(1)
        points = points + normals * np.maximum(least - out, 0)[:, None]
        points = same_side(points, side, inner)
    for _ in range(3):
        points = np.where(free, mean @ points, points)  # pushing out leaves pimples
        points = same_side(cover.pushed(points, thickness), side, inner)
    return points


def _rim(faces: Int[ndarray, "f 3"]) -> Int[ndarray, " n"]:
    """List the vertices on open edges."""
    return np.unique(open_edges(faces))
