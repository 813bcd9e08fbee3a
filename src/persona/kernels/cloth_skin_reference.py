"""Find the skin that cloth minds by trying every face, in plain numpy: the specification."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from persona.kernels.cloth_mesh import SKINS, ClothBody, ClothMesh
from persona.kernels.cloth_reference import nearest_shares

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]

ABOVE = 5e-4
"""Skin is buried where a point so far above it lies inside the body [m]."""
CROWD = 0.06
"""Skin that has other skin so near before it is in a crease [m]."""
DEEPEST = 0.15
"""From deeper inside nobody finds out [m]."""
WALL_REACH = 0.02
"""Farthest other wall of a crease [m]; as thin as toes are."""
TURNED = 0.5
"""Cosine between the normals of the walls of a crease, at most [-]."""


def nearest_skin(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Tensor,
    skin: Tensor,
    *,
    reach: float,
    threads: int | None = None,
) -> Tensor:
    """Try every face for every vertex; see `persona.kernels.cloth.nearest_skin`."""
    del mesh, threads
    found = np.full((len(positions), SKINS), -1, np.int32)
    if len(body.faces):
        surface = _Surface.of(body, skin)
        for i, p in enumerate(positions.detach().double().numpy()):
            found[i] = surface.minded_by(p, reach)
    return torch.from_numpy(found)


@dataclass
class _Surface:
    """The body's skin at one moment, and what of it counts."""

    corners: Array
    """Of every face (f,3,3) [m]."""
    corner_normals: Array
    """Smooth unit normals there (f,3,3)."""
    buried: Flags
    """Faces inside the body (f)."""
    creased: Flags
    """Faces with other skin before them (f)."""

    @classmethod
    def of(cls, body: ClothBody, skin: Tensor) -> "_Surface":
        points = skin.detach().double().numpy()
        faces = body.faces.numpy().astype(np.int64)
        corners = points[faces]
        wide = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = np.zeros_like(points)
        for k in range(3):
            np.add.at(normals, faces[:, k], wide)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        buried, crowded = np.zeros(len(points), bool), np.zeros(len(points), bool)
        for i in np.unique(faces):
            winding, first = crossings(points[i] + ABOVE * normals[i], normals[i], corners)
            buried[i] = winding > 0
            crowded[i] = buried[i] or first < CROWD
        return cls(corners, normals[faces], buried[faces].all(1), crowded[faces].any(1))

    def minded_by(self, p: Array, reach: float) -> tuple[int, int]:
        """Give the two faces that a point minds, or -1."""
        shares = nearest_shares(np.broadcast_to(p, (len(self.corners), 3)), *self._three())
        away = p - np.einsum("fk,fkd->fd", shares, self.corners)
        normals = np.einsum("fk,fkd->fd", shares, self.corner_normals)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        far, behind = np.linalg.norm(away, axis=1), (away * normals).sum(1) < 0

        def nearest(counts: Flags, within: float) -> int:
            distances = np.where(counts & ~self.buried, far, np.inf)
            face = int(distances.argmin())
            return face if distances[face] < within else -1

        first = nearest(np.ones_like(behind), reach)
        if first < 0 or not self.creased[first]:
            return first, -1
        winding, _ = crossings(p, normals[first], self.corners)
        if winding > 0:
            out = nearest(behind, DEEPEST)
            first = out if out >= 0 else first
        turned = normals @ normals[first] <= TURNED
        return first, nearest(turned & (behind == (winding > 1)), WALL_REACH)

    def _three(self) -> tuple[Array, Array, Array]:
        return self.corners[:, 0], self.corners[:, 1], self.corners[:, 2]


def crossings(p: Array, way: Array, corners: Array) -> tuple[int, float]:
    """Follow the coordinate axis nearest to a direction to infinity, and count skins.

    Args:
        p: Where to start (3) [m].
        way: The direction (3).
        corners: Of the faces (f,3,3) [m].

    Returns:
        How often a closed surface goes around the point, and the distance to the first skin [m].
    """
    axis = int(np.abs(way).argmax())
    forward = way[axis] >= 0
    u, v = (axis + 1) % 3, (axis + 2) % 3
    flat = corners[:, :, [u, v]] - p[[u, v]]
    a, b = flat[:, [1, 2, 0]], flat[:, [2, 0, 1]]
    areas = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    hit = (areas > 0).all(1) | (areas < 0).all(1)
    areas = areas[hit]
    shares = areas / areas.sum(1, keepdims=True)
    along = (shares * corners[hit][:, :, axis]).sum(1) - p[axis]
    along = along if forward else -along
    ahead = along > 0
    leaving = (areas[ahead, 0] > 0) == forward
    return int(leaving.sum() - (~leaving).sum()), float(along[ahead].min(initial=np.inf))
