"""Move cloth frame by frame in plain numpy, every contact looked for by trying all faces."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from persona.geometry.meshes import vertex_normals
from persona.kernels.cloth import check_frame
from persona.kernels.cloth_mesh import ClothBody, ClothContacts, ClothMesh, ClothRules
from persona.kernels.cloth_reference import cloth_substep, nearest_shares
from persona.kernels.cloth_skin_reference import nearest_skin

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

PAIRS = 6
"""Nearest faces of cloth that a vertex minds."""
FACING = 0.5
"""Cosine from which a vertex stands over a face rather than beside it [-]."""
TURNED_AWAY = -0.3
"""Cosine between outsides that look at each other, at most [-]."""
APART = 1.5
"""Reaches that two places of one piece are apart in the cut before they push each other [-]."""


class ReferenceCloth:
    """Cloth on the way; see `persona.kernels.cloth.ClothRun`."""

    def __init__(self, mesh: ClothMesh, body: ClothBody, positions: Tensor) -> None:
        self._mesh, self._body = mesh, body
        self._positions, self._velocities = positions.clone(), torch.zeros_like(positions)

    def frame(
        self,
        body: tuple[Tensor, Tensor],
        targets: tuple[Tensor, Tensor],
        seconds: float,
        *,
        rules: ClothRules,
    ) -> None:
        """Move on by a frame."""
        check_frame(self._mesh, self._body, body, targets, seconds)
        pairs, sides = torch.zeros(0, 2, dtype=torch.int64), self._positions.new_zeros(0)
        normals = [vertex_normals(skin, self._body.faces.long()) for skin in body]
        for substep in range(rules.substeps):
            begin, end = substep / rules.substeps, (substep + 1) / rules.substeps
            earlier, now = torch.lerp(*body, begin), torch.lerp(*body, end)
            skin = earlier, now, torch.lerp(normals[0], normals[1], end)
            if substep % rules.look_every == 0:
                pairs, sides = _find_pairs(self._mesh, self._positions, rules)
            where = (self._mesh, self._body, self._positions)
            contacts = ClothContacts(
                near=nearest_skin(*where, now, reach=rules.body_reach),
                pairs=pairs,
                sides=sides,
            )
            self._positions, self._velocities = cloth_substep(
                *where,
                self._velocities,
                torch.lerp(*targets, end),
                skin,
                contacts,
                seconds / rules.substeps,
                rules=rules,
            )

    @property
    def positions(self) -> Tensor:
        """A copy of where the vertices are."""
        return self._positions.clone()

    @property
    def velocities(self) -> Tensor:
        """A copy of how fast they are."""
        return self._velocities.clone()

    def stop(self) -> None:
        """Take away all speed."""
        self._velocities.zero_()

    @property
    def bytes(self) -> int:
        """Memory that is held between frames."""
        return 2 * self._positions.nbytes


def run_cloth(
    mesh: ClothMesh, body: ClothBody, positions: Tensor, *, threads: int | None = None
) -> ReferenceCloth:
    """Set cloth down; see `persona.kernels.cloth.run_cloth`."""
    del threads
    return ReferenceCloth(mesh, body, positions)


def _find_pairs(mesh: ClothMesh, positions: Tensor, rules: ClothRules) -> tuple[Tensor, Tensor]:
    """Give each vertex the nearest faces of other cloth within reach, and its side of them."""
    x, rest = positions.double().numpy(), mesh.rest.double().numpy()
    faces = mesh.faces.numpy().astype(np.int64)
    outside = vertex_normals(positions.double(), mesh.faces.long()).numpy()
    layers, garments = mesh.layers.numpy(), mesh.garments.numpy()
    a, b, c = (x[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    pairs: list[tuple[int, int]] = []
    sides: list[float] = []
    for i in range(len(x) if rules.cloth_reach > 0 else 0):
        other = layers[faces[:, 0]] != layers[i]
        reach = np.where(other, rules.layer_reach, rules.cloth_reach)
        cut = np.linalg.norm(rest[faces] - rest[i], axis=2).min(1)
        apart = (garments[faces[:, 0]] != garments[i]) | (cut >= APART * reach)
        shares = nearest_shares(np.broadcast_to(x[i], a.shape), a, b, c)
        away = x[i] - np.einsum("fk,fkd->fd", shares, x[faces])
        far = np.linalg.norm(away, axis=1)
        height = (away * normals).sum(1)
        side = np.where(height < 0, -1.0, 1.0) * (np.abs(height) >= FACING * far)
        # The order of layers says where to be; outsides that look at each other both stay outside.
        by_layer = np.where(
            normals @ outside[i] < TURNED_AWAY, 1.0, np.sign(layers[i] - layers[faces[:, 0]])
        )
        side = np.where(other, by_layer * (shares > 0).all(1), side)
        near = np.flatnonzero(apart & (far < reach) & (side != 0))
        for face in near[np.argsort(far[near], kind="stable")][:PAIRS]:
            pairs.append((i, int(face)))
            sides.append(float(side[face]))
    ids = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    return ids, positions.new_tensor(sides)
