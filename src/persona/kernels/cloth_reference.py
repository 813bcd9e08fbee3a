"""Move cloth in plain numpy, in double precision: the specification of one small step."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from persona.kernels.cloth_mesh import ClothBody, ClothContacts, ClothMesh, ClothRules

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

GENTLE = 0.2
"""Share of ``max_push`` by which cloth pushes cloth: both sides give way, over many steps."""


def cloth_substep(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Tensor,
    velocities: Tensor,
    targets: Tensor,
    skin: tuple[Tensor, Tensor, Tensor],
    contacts: ClothContacts,
    seconds: float,
    *,
    rules: ClothRules,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Make one step; see `persona.kernels.cloth.cloth_substep`."""
    del threads
    cloth = _Cloth.of(mesh, positions, targets)
    _move_on(cloth, mesh, _floats(velocities), seconds, rules)
    colors = _colors(mesh)
    for color, springs in enumerate(colors):
        damping = 0.0 if color < mesh.edge_color_count else rules.bend_damping / seconds
        _keep_lengths(cloth, mesh, springs, seconds, damping)
    _stay_on_leash(cloth, mesh, rules.stretch_limit)
    for (vertex, face), side in zip(contacts.pairs.tolist(), contacts.sides.tolist(), strict=True):
        _part_pair(cloth, mesh, vertex, face, side, rules)
    near = contacts.near.numpy().astype(np.int64)
    leeways = [_Leeway(cloth.x.copy(), np.full(len(near), -np.inf)) for _ in near.T]
    for _ in range(rules.stretch_sweeps):
        for springs in colors[: mesh.edge_color_count]:
            _limit_stretch(cloth, mesh, springs, rules.stretch_limit)
        for skins, leeway in zip(near.T, leeways, strict=True):
            _keep_out(cloth, _Skin.of(body, skin), skins, leeway, rules)
    ways = (cloth.x - cloth.before) / seconds
    speeds = np.linalg.norm(ways, axis=1, keepdims=True)
    ways = ways * np.minimum(1, rules.max_speed / np.maximum(speeds, 1e-30))
    return torch.from_numpy(cloth.x).to(positions), torch.from_numpy(ways).to(positions)


@dataclass
class _Cloth:
    """Vertices in the middle of a step."""

    x: Array
    before: Array
    w: Array
    targets: Array
    thickness: Array

    @classmethod
    def of(cls, mesh: ClothMesh, positions: Tensor, targets: Tensor) -> "_Cloth":
        x = _floats(positions)
        masses, thickness = _floats(mesh.inverse_masses), _floats(mesh.thickness)
        return cls(x.copy(), x.copy(), masses, _floats(targets), thickness)


@dataclass
class _Leeway:
    """Where vertices were last measured against skin, and how far they may go untouched."""

    since: Array
    way: Array


@dataclass
class _Skin:
    """The body around a step."""

    faces: Ids
    earlier: Array
    now: Array
    normals: Array

    @classmethod
    def of(cls, body: ClothBody, skin: tuple[Tensor, Tensor, Tensor]) -> "_Skin":
        return cls(body.faces.numpy().astype(np.int64), *(_floats(values) for values in skin))


def _move_on(
    cloth: _Cloth, mesh: ClothMesh, velocities: Array, seconds: float, rules: ClothRules
) -> None:
    """Fly on under gravity and drag; held vertices go to their targets, pulled ones towards them.

    The pull is implicit: ``x += k w h^2 / (1 + k w h^2) (target - x)`` cannot overshoot.
    """
    free = cloth.w > 0
    fallen = velocities - np.array([0, rules.gravity * seconds, 0])
    flown = cloth.x + seconds * np.exp(-rules.drag * seconds) * fallen
    hold = (_floats(mesh.holds) * cloth.w * seconds**2)[:, None]
    pulled = flown + hold / (1 + hold) * (cloth.targets - flown)
    cloth.x = np.where(free[:, None], pulled, cloth.targets)


def _colors(mesh: ClothMesh) -> list[slice]:
    begin = mesh.color_begin
    return [slice(a, b) for a, b in itertools.pairwise(begin)]


def _ends(cloth: _Cloth, mesh: ClothMesh, springs: slice) -> tuple[Ids, Ids, Array, Array, Array]:
    """Give both ends of a colour's springs, the way between them, its length, and w_i + w_j."""
    i, j = mesh.springs[springs].numpy().astype(np.int64).T
    way = cloth.x[i] - cloth.x[j]
    return i, j, way, np.linalg.norm(way, axis=1), cloth.w[i] + cloth.w[j]


def _keep_lengths(
    cloth: _Cloth, mesh: ClothMesh, springs: slice, seconds: float, damping: float
) -> None:
    """Solve springs of one colour: ``-(C + g dC) / ((1 + g) w + a / h^2)`` along each."""
    i, j, way, size, w = _ends(cloth, mesh, springs)
    along = way / np.maximum(size, 1e-30)[:, None]
    moved = (cloth.x[i] - cloth.before[i]) - (cloth.x[j] - cloth.before[j])
    error = size - _floats(mesh.lengths)[springs] + damping * (along * moved).sum(1)
    soft = _floats(mesh.compliances)[springs] / seconds**2
    push = np.where(w > 0, -error / np.maximum((1 + damping) * w + soft, 1e-30), 0.0)
    cloth.x[i] += (cloth.w[i] * push)[:, None] * along
    cloth.x[j] -= (cloth.w[j] * push)[:, None] * along


def _stay_on_leash(cloth: _Cloth, mesh: ClothMesh, limit: float) -> None:
    anchors = mesh.anchors.numpy().astype(np.int64)
    ids = np.flatnonzero((anchors >= 0) & (cloth.w > 0))
    ends = cloth.x[anchors[ids]]
    way = cloth.x[ids] - ends
    size = np.linalg.norm(way, axis=1)
    longest = limit * _floats(mesh.anchor_lengths)[ids]
    cloth.x[ids] = ends + way * np.minimum(1, longest / np.maximum(size, 1e-30))[:, None]


def _limit_stretch(cloth: _Cloth, mesh: ClothMesh, springs: slice, limit: float) -> None:
    i, j, way, size, w = _ends(cloth, mesh, springs)
    over = np.maximum(size - limit * _floats(mesh.lengths)[springs], 0)
    push = np.where(w > 0, -over / np.maximum(w * size, 1e-30), 0.0)
    cloth.x[i] += (cloth.w[i] * push)[:, None] * way
    cloth.x[j] -= (cloth.w[j] * push)[:, None] * way


def _part_pair(
    cloth: _Cloth, mesh: ClothMesh, i: int, face: int, side: float, rules: ClothRules
) -> None:
    """Push a vertex and a face apart, each by its share, and let them rub."""
    corners = mesh.faces[face].numpy().astype(np.int64)
    a, b, c = cloth.x[corners]
    shares = nearest_shares(cloth.x[i][None], a[None], b[None], c[None])[0]
    away = cloth.x[i] - shares @ cloth.x[corners]
    normal = side * _unit(np.cross(b - a, c - a))
    distance = away @ normal
    if not (shares > 0).all():
        if distance <= 0:
            return
        distance, normal = np.linalg.norm(away), _unit(away)
    gap = (cloth.thickness[i] + cloth.thickness[corners[0]]) / 2
    w = shares * cloth.w[corners]
    weight = cloth.w[i] + shares @ w
    if distance >= gap or weight <= 0:
        return
    push = min(gap - distance, GENTLE * rules.max_push)
    slid = cloth.x[i] - cloth.before[i] - shares @ (cloth.x[corners] - cloth.before[corners])
    parting = slid @ normal
    sideways = slid - parting * normal
    grip = min(1.0, rules.cloth_friction * push / max(np.linalg.norm(sideways), 1e-30))
    shift = (push * normal - grip * sideways) / weight
    forgiven = (push - np.clip(-parting, 0, push)) / weight * normal
    cloth.x[i] += cloth.w[i] * shift
    cloth.before[i] += cloth.w[i] * forgiven
    cloth.x[corners] -= w[:, None] * shift
    cloth.before[corners] -= w[:, None] * forgiven


def _keep_out(cloth: _Cloth, skin: _Skin, near: Ids, leeway: _Leeway, rules: ClothRules) -> None:
    """Push out of the skin along its smooth normal, rub against its motion, throw nothing.

    From deeper inside than the thickness the shortest way out is taken. Who was clear of a face by
    more than it has moved since, in the rounds of a substep, is not measured again.
    """
    gone = np.linalg.norm(cloth.x - leeway.since, axis=1)
    ids = np.flatnonzero((near >= 0) & (gone >= leeway.way))
    corners = skin.faces[near[ids]]
    x = cloth.x[ids]
    shares = nearest_shares(x, *(skin.now[corners[:, k]] for k in range(3)))

    def on_skin(values: Array) -> Array:
        return np.einsum("nk,nkd->nd", shares, values[corners])

    away, normal = x - on_skin(skin.now), _unit(on_skin(skin.normals))
    sign = np.where((away * normal).sum(1) < 0, -1, 1)
    far = np.linalg.norm(away, axis=1)
    deep = (sign < 0) & (far > cloth.thickness[ids])
    normal = np.where(deep[:, None], _unit(-away), normal)
    depth = cloth.thickness[ids] - sign * far
    leeway.since[ids], leeway.way[ids] = x, -depth
    push = np.clip(depth, 0, rules.max_push)
    slid = (x - cloth.before[ids]) - on_skin(skin.now - skin.earlier)
    parting = (slid * normal).sum(1)
    sideways = slid - parting[:, None] * normal
    size = np.maximum(np.linalg.norm(sideways, axis=1), 1e-30)
    # Held vertices leave the skin, and go nowhere else.
    grip = np.where(cloth.w[ids] > 0, np.minimum(1, rules.friction * push / size), 0.0)
    cloth.x[ids] += push[:, None] * normal - grip[:, None] * sideways
    stopped = np.where(cloth.w[ids] > 0, np.clip(-parting, 0, push), push)
    cloth.before[ids] += (push - stopped)[:, None] * normal


def nearest_shares(p: Array, a: Array, b: Array, c: Array) -> Array:
    """Give the barycentric coordinates of the points of triangles nearest to ``p``, row by row."""
    ab, ac, ap = b - a, c - a, p - a
    wide = np.cross(ab, ac)
    area2 = np.maximum((wide**2).sum(1), 1e-60)
    of_b = (np.cross(ap, ac) * wide).sum(1) / area2
    of_c = (np.cross(ab, ap) * wide).sum(1) / area2
    best = np.stack([1 - of_b - of_c, of_b, of_c], 1)
    outside = ~(best > 0).all(1)
    nearest = np.full(len(p), np.inf)
    corners = (a, b, c)
    for k in range(3):
        start, edge = corners[k], corners[(k + 1) % 3] - corners[k]
        along = ((p - start) * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-60)
        along = np.clip(along, 0, 1)
        away = ((start + along[:, None] * edge - p) ** 2).sum(1)
        take = outside & (away < nearest)
        nearest[take] = away[take]
        best[take] = 0.0
        best[take, k], best[take, (k + 1) % 3] = 1 - along[take], along[take]
    return best


def _unit(values: Array) -> Array:
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-30)


def _floats(values: Tensor) -> Array:
    return values.detach().double().numpy()
