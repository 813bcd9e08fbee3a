"""Cut simple garments around a body without a photo: for tests, soaks and benchmarks."""

from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from persona.body import SmplxBody
from persona.geometry.meshes import subdivision_matrix, uniform_laplacian, vertex_normals
from persona.records.garment import Garment, Stiffness

Floats = NDArray[np.float64]

GAP: Final = 0.006
"""Distance of a skirt's rings from the convex outline of the body [m]."""
FLARE: Final = 0.3
"""How fast a skirt widens downwards below the hips [m/m]."""
EASE: Final = 0.02
"""Distance of a loose shirt from the skin [m]."""
SMOOTHINGS: Final = 12
"""Rounds that take the navel and the armpits' folds out of a shirt."""
EVENINGS: Final = 60
"""Rounds that even out its edges: a body's mesh is a hundred times finer at the navel."""
COLLAR: Final = 0.15
"""Half width of the neck's opening, which is held; sleeves end farther out [m]."""
BAND: Final = 0.02
"""Half height of the slice of skin that a ring goes around [m]."""


def cut_skirt(
    body: SmplxBody,
    rest: Float[Tensor, "b 3"],
    *,
    around: int = 140,
    rows: int = 60,
    length: float = 0.55,
    stiffness: Stiffness = Stiffness.MEDIUM,
    layer: int = 0,
) -> Garment:
    """Cut a flared tube from the waist down, held at the waist by its first two rows.

    Args:
        body: Whose parts say where the legs are.
        rest: Its vertices in T-pose [m].
        around: Vertices of a ring.
        rows: Rings.
        length: From waist to hem [m].
        stiffness: Of the cloth.
        layer: Over what it lies.
    """
    legs = body.regions.mask("hips", "torso", "left_thigh", "right_thigh", "left_shin")
    legs = legs | body.regions.mask("right_shin")
    skin = rest[legs].double().numpy()
    waist = float(body.joints_template[3, 1])  # spine1
    hips = float(body.joints_template[1, 1])
    middle = skin[np.abs(skin[:, 1] - waist) < BAND][:, [0, 2]].mean(0)
    angles = 2 * np.pi * np.arange(around) / around
    directions = np.stack([np.sin(angles), np.cos(angles)], 1)
    heights = np.linspace(waist, waist - length, rows)
    radius = np.zeros(around)
    rings = []
    for height in heights:
        flat = skin[np.abs(skin[:, 1] - height) < BAND][:, [0, 2]] - middle
        outline = _convex_radius(flat, directions) + GAP
        widened = radius + FLARE * length / rows if height < hips else np.zeros(around)
        radius = np.maximum(outline, widened)
        ring = middle + radius[:, None] * directions
        rings.append(np.stack([ring[:, 0], np.full(around, height), ring[:, 1]], 1))
    attachment = np.zeros((rows, around))
    attachment[:2] = 1.0
    vertices = torch.from_numpy(np.concatenate(rings)).float()
    return Garment(
        name="skirt",
        rest_vertices=vertices,
        faces=_tube(around, rows),
        body_weights=_weights_below(body, rest, vertices),
        attachment=torch.from_numpy(attachment.ravel()).float(),
        thickness_m=0.004,
        stiffness=stiffness,
        layer=layer,
        is_tube=True,
    )


def cut_shirt(
    body: SmplxBody,
    rest: Float[Tensor, "b 3"],
    *,
    ease: float = EASE,
    levels: int = 1,
    stiffness: Stiffness = Stiffness.MEDIUM,
    layer: int = 0,
) -> Garment:
    """Cut a loose shirt: the skin of trunk and upper arms, smoothed and moved outwards.

    Args:
        body: Whose parts are covered.
        rest: Its vertices in T-pose [m].
        ease: How far it lies from the skin [m].
        levels: How often its triangles are divided by four.
        stiffness: Of the cloth.
        layer: Over what it lies.
    """
    covered = body.regions.mask("torso", "left_upper_arm", "right_upper_arm", "hips")
    covered = covered & (rest[:, 1] > float(body.joints_template[1, 1]) + 0.01)  # hip
    faces = body.faces[covered[body.faces].all(1)]
    kept, renumbered = faces.unique(return_inverse=True)
    finer, matrix = subdivision_matrix(renumbered.reshape(-1, 3), len(kept), levels)
    vertices = matrix @ rest[kept].double().numpy()
    weights = torch.from_numpy(matrix @ body.weights[kept].double().numpy()).float()
    average = uniform_laplacian(finer, len(vertices))
    skin = vertices.copy()
    for _ in range(SMOOTHINGS * 4**levels):
        vertices = vertices - 0.5 * (average @ vertices)
        vertices += _out_of(vertices, skin, finer)
    normals = vertex_normals(torch.from_numpy(vertices), finer).numpy()
    points = torch.from_numpy(_evened(vertices + ease * normals, average, finer)).float()
    collar = _rim(finer) & (skin[:, 1] > float(body.joints_template[9, 1]))  # spine3
    collar = collar & (np.abs(skin[:, 0]) < COLLAR)
    held = torch.from_numpy(collar)
    return Garment(
        name="shirt",
        rest_vertices=points,
        faces=finer,
        body_weights=weights / weights.sum(1, keepdim=True),
        attachment=held.float(),
        thickness_m=0.004,
        stiffness=stiffness,
        layer=layer,
    )


def _evened(points: Floats, average: sp.csr_array, faces: Tensor) -> Floats:
    """Slide vertices along the surface until edges are of like length; the rim stays."""
    inner = ~_rim(faces)[:, None]
    for _ in range(EVENINGS):
        normals = vertex_normals(torch.from_numpy(points), faces).numpy()
        way = average @ points
        sideways = way - (way * normals).sum(1, keepdims=True) * normals
        points = points - 0.5 * inner * sideways
    return points


def _rim(faces: Tensor) -> NDArray[np.bool_]:
    """Mark the vertices at the borders of a mesh."""
    sides = np.concatenate([faces[:, k].numpy() for k in ([0, 1], [1, 2], [2, 0])])
    pairs, shared = np.unique(np.sort(sides, 1), axis=0, return_counts=True)
    rim = np.zeros(int(faces.max()) + 1, bool)
    rim[pairs[shared == 1]] = True
    return rim


def _out_of(vertices: Floats, skin: Floats, faces: Tensor) -> Floats:
    """Give the way back out for vertices that smoothing moved under the skin."""
    normals = vertex_normals(torch.from_numpy(skin), faces).numpy()
    depth = np.maximum(0, ((skin - vertices) * normals).sum(1))
    return depth[:, None] * normals


def _convex_radius(points: Floats, directions: Floats) -> Floats:
    """Measure the convex outline of flat points along directions from the origin.

    The outline is where all half planes meet: ``r(a) = min over b of s(b) / cos(a - b)``, with
    ``s(b)`` how far the points reach along b.
    """
    reach = (points @ directions.T).max(0)
    cosines = directions @ directions.T
    return np.where(cosines > 0.2, reach / np.maximum(cosines, 0.2), np.inf).min(1)


def _tube(around: int, rows: int) -> Tensor:
    """Give the triangles of rings joined downwards, seen from outside counter-clockwise."""
    ids = np.arange(around * rows).reshape(rows, around)
    right = np.roll(ids, -1, 1)
    a, b, c, d = (part.ravel() for part in (ids[:-1], right[:-1], right[1:], ids[1:]))
    even = ((np.arange(rows - 1)[:, None] + np.arange(around)) % 2 == 0).ravel()
    first = np.where(even[:, None], np.stack([a, d, b], 1), np.stack([a, d, c], 1))
    second = np.where(even[:, None], np.stack([b, d, c], 1), np.stack([a, c, b], 1))
    return torch.from_numpy(np.concatenate([first, second]))


def _weights_below(
    body: SmplxBody, rest: Float[Tensor, "b 3"], points: Float[Tensor, "v 3"]
) -> Float[Tensor, "v 55"]:
    """Take the skinning shares of the nearest skin that is no hand."""
    ids = (~body.regions.mask("left_hand", "right_hand")).nonzero()[:, 0]
    nearest = cKDTree(rest[ids].double().numpy()).query(points.double().numpy())[1]
    return body.weights[ids[torch.from_numpy(nearest)]]
