"""Hair for the sample person: a cap on the scalp and many combed strands over it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from persona.body.skeleton import JOINT_IDS
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.look import SampleLook
from persona.synthesis.sample.mesh import Mesh, clip, plain_mesh
from persona.synthesis.sample.noise import gradient_noise, smoothstep

STRAND_COUNT = 26_000
"""Drawn hairs: a real head has four times as many, each a quarter as wide."""
STRAND_WIDTH = 0.0011
"""Of a drawn hair [m]; about one pixel before the picture is averaged down."""
SEGMENTS = 14
"""Straight pieces of a hair."""
TIP = 0.35
"""Width of a hair at its end, of that at its root [-]."""


@dataclass(frozen=True, kw_only=True)
class _Style:
    length: float
    """Of a hair at the crown [m]."""
    lift: float
    """How far hair stands off the scalp in the middle of its length [m]."""
    gravity: float
    """Pull down against the combing direction [-]."""
    part: float
    """Where the hair parts [m] to the person's left of the middle."""
    back: float
    """How much it is combed backwards [-]."""
    jitter: float
    """Disorder of directions [-]."""


STYLES: dict[str, _Style] = {
    "short": _Style(length=0.060, lift=0.013, gravity=0.30, part=0.035, back=0.6, jitter=0.22),
    "bob": _Style(length=0.24, lift=0.024, gravity=1.0, part=0.012, back=0.25, jitter=0.12),
    "long": _Style(length=0.40, lift=0.026, gravity=1.0, part=-0.01, back=0.55, jitter=0.12),
}
"""How hair of each style grows."""


@dataclass(frozen=True, kw_only=True)
class _Head:
    """Where a head is, in T-pose, and how to get from there to the pose."""

    center: Float[ndarray, " 3"]
    height: float
    rotation: Float[ndarray, "3 3"]
    shift: Float[ndarray, " 3"]

    def posed(self, rest: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
        return (rest @ self.rotation.T + self.shift).astype(np.float32)


def grow_hair(figure: Figure, look: SampleLook, *, count: int = STRAND_COUNT) -> list[Mesh]:
    """Make the cap and ``count`` strands of a style, in the pose of the figure.

    Fewer strands are wider, so that they cover the head as well.
    """
    head = _find_head(figure)
    return [_cap(figure, look, head), _strands(figure, look, head, count)]


def scalp_field(figure: Figure, rest: Float[ndarray, "n 3"], *, seed: int) -> Float[ndarray, " n"]:
    """Distance inside the hair line [m], by direction from the middle of the head."""
    head = _find_head(figure)
    way = (rest - head.center) / head.height
    up = np.arctan2(way[:, 1], np.linalg.norm(way[:, [0, 2]], axis=1))
    around = np.arctan2(np.abs(way[:, 0]), way[:, 2])
    # Angles from straight ahead to straight back, and the elevation of the hair line there.
    turns = np.radians([0, 25, 45, 62, 78, 95, 112, 140, 180])
    line = np.radians([38, 37, 31, 20, 0, -2, -20, -36, -42])
    rough = 0.05 * gradient_noise(rest * 60, seed=seed) + 0.04 * gradient_noise(
        rest * 150, seed=seed
    )
    inside = (up - np.interp(around, turns, line) + rough) * 0.09
    return np.where(rest[:, 1] > head.center[1] - 0.16, inside, -1.0)


def _find_head(figure: Figure) -> _Head:
    marks = figure.face_marks
    top = float(figure.rest[:, 1].max())
    brow = marks[:10].mean(0)
    at = JOINT_IDS["head"]
    on_head = (figure.weights[:, at] > 0.9) & (figure.rest[:, 1] > brow[1])
    middle = figure.rest[on_head]
    depth = 0.5 * (middle[:, 2].min() + middle[:, 2].max())
    center = np.array([0.0, brow[1] + 0.012, depth])
    solid = figure.weights[:, at] > 0.98
    a, b = figure.rest[solid], figure.vertices[solid]
    u, _, v = np.linalg.svd((b - b.mean(0)).T @ (a - a.mean(0)))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    return _Head(
        center=center.astype(np.float32),
        height=top - float(marks[39, 1]),
        rotation=rotation.astype(np.float32),
        shift=(b.mean(0) - rotation @ a.mean(0)).astype(np.float32),
    )


def _cap(figure: Figure, look: SampleLook, head: _Head) -> Mesh:
    """Lift the scalp a little: what shows between the strands."""
    field = scalp_field(figure, figure.rest, seed=look.seed + 31)
    on_head = _hairy(figure)
    faces = figure.faces[((field > -0.02) & on_head)[figure.faces].all(1)]
    lift = STYLES[look.hair_style].lift * 0.55 * smoothstep(0.0, 0.03, field) + 0.001
    points = figure.vertices + figure.normals * lift[:, None]
    mesh = plain_mesh("hair", points, figure.rest, faces)
    return clip(mesh, scalp_field(figure, mesh.rest, seed=look.seed + 31))


def _hairy(figure: Figure) -> Bool[ndarray, " n"]:
    """Vertices on which hair may grow: the head, less ears, eyes and mouth."""
    bald = figure.eyeballs | figure.mouth_inside | figure.ears
    return (figure.weights[:, JOINT_IDS["head"]] > 0.5) & ~bald


def _roots(
    figure: Figure, look: SampleLook, rng: np.random.Generator, count: int
) -> tuple[Float[ndarray, "s 3"], Float[ndarray, "s 3"]]:
    """Pick places on the scalp by area, with the normals there (T-pose)."""
    field = scalp_field(figure, figure.rest, seed=look.seed + 31)
    on_head = _hairy(figure) & (field > 0)
    faces = figure.faces[on_head[figure.faces].all(1)]
    a, b, c = (figure.rest[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    area = np.linalg.norm(cross, axis=1)
    pick = rng.choice(len(faces), count, p=area / area.sum())
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = a[pick] + u[:, None] * (b - a)[pick] + v[:, None] * (c - a)[pick]
    return points, cross[pick] / area[pick][:, None]


def _combing(points: Float[ndarray, "s 3"], head: _Head, style: _Style) -> Float[ndarray, "s 3"]:
    """Give the direction hair is combed in: away from the parting, back, and off the face."""
    way = (points - head.center) / 0.1
    side = np.tanh((points[:, 0] - style.part) / 0.030)
    top = smoothstep(0.2, 0.9, way[:, 1])
    over_skull = smoothstep(0.085, 0.045, np.abs(points[:, 0]))
    flow = np.zeros_like(points)
    flow[:, 0] = side * (0.9 * top + 0.15) * over_skull
    flow[:, 1] = -style.gravity * (1.15 - top * over_skull) - 0.15
    flow[:, 2] = -style.back * (0.4 + 0.6 * top)
    face = smoothstep(0.15, 0.50, way[:, 2]) * smoothstep(0.65, 0.3, way[:, 1])
    # Hair over the forehead goes up and back before it falls.
    front = smoothstep(0.25, 0.60, way[:, 2]) * smoothstep(0.25, 0.55, way[:, 1])
    flow[:, 1] += 0.9 * style.gravity * front
    flow[:, 2] -= 0.9 * front
    beside = smoothstep(0.100, 0.075, np.abs(points[:, 0]))
    flow[:, 0] += np.sign(points[:, 0]) * 2.0 * face * beside
    flow[:, 2] -= 1.6 * face
    return flow


def _strands(figure: Figure, look: SampleLook, head: _Head, count: int) -> Mesh:
    rng = np.random.default_rng(look.seed + 32)
    style = STYLES[look.hair_style]
    roots, normals = _roots(figure, look, rng, count)
    solid = (figure.weights[:, JOINT_IDS["head"]] > 0.3) & ~figure.eyeballs & ~figure.mouth_inside
    solid &= ~figure.ears
    near_body = solid | (figure.rest[:, 1] > figure.rest_joints[JOINT_IDS["spine3"], 1])
    tree = cKDTree(figure.rest[near_body])
    skin, skin_normals = figure.rest[near_body], _rest_normals(figure)[near_body]
    edge = np.clip(scalp_field(figure, roots, seed=look.seed + 31) / 0.02, 0.35, 1)
    length = (
        style.length * rng.uniform(0.8, 1.05, count) * (edge if look.hair_style == "short" else 1.0)
    )
    clump = np.stack([gradient_noise(roots * 45, seed=look.seed + 33 + k) for k in range(3)], 1)
    stray = rng.normal(size=(count, 3)) * style.jitter
    points, path = roots.copy(), [roots]
    heading = normals * 0.8
    for k in range(SEGMENTS):
        share = (k + 1) / SEGMENTS
        flow = _combing(points, head, style) + stray * 0.6 + clump * (0.5 + style.jitter)
        _, nearest = tree.query(points)
        out = skin_normals[nearest]
        close = smoothstep(0.06, 0.02, np.linalg.norm(points - skin[nearest], axis=1))
        rising = np.einsum("ij,ij->i", flow, out) * close
        flow = flow - out * np.maximum(rising, 0)[:, None]  # combed along the skin, not off it
        flow /= np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-6)
        heading = 0.55 * heading + 0.45 * flow
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        points = points + heading * (length / SEGMENTS)[:, None]
        _, nearest = tree.query(points)
        away = np.einsum("ij,ij->i", points - skin[nearest], skin_normals[nearest])
        rise = style.lift * edge * (0.40 + 0.60 * np.sin(np.pi * min(share, 0.5)))
        rise = rise * rng.uniform(0.75, 1.1, count) if k == 0 else rise
        # Hair lies in a layer: not in the skin, and near the skull not far off it either.
        near = smoothstep(0.075, 0.035, np.linalg.norm(points - skin[nearest], axis=1))
        lift = np.maximum(rise - away, 0) - 0.8 * near * np.maximum(away - 1.35 * rise, 0)
        points = points + skin_normals[nearest] * lift[:, None]
        path.append(points)
    return _ribbons(
        np.stack(path, 1), rng, head, width=STRAND_WIDTH * np.sqrt(STRAND_COUNT / count)
    )


def _rest_normals(figure: Figure) -> Float[ndarray, "n 3"]:
    from persona.synthesis.sample.mesh import vertex_normals

    return vertex_normals(figure.rest, figure.faces)


def _ribbons(
    path: Float[ndarray, "s k 3"], rng: np.random.Generator, head: _Head, *, width: float
) -> Mesh:
    """Give every strand a width across the view, which is along -z, narrowing to its tip."""
    count, knots, _ = path.shape
    posed = head.posed(path.reshape(-1, 3)).reshape(path.shape)
    tangents = np.gradient(posed, axis=1)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=2, keepdims=True), 1e-9)
    across = np.cross(tangents, np.array([0.0, 0.0, 1.0]))
    across /= np.maximum(np.linalg.norm(across, axis=2, keepdims=True), 1e-6)
    taper = width * np.linspace(1.0, TIP, knots)[None, :, None]
    sides = np.stack([posed - 0.5 * taper * across, posed + 0.5 * taper * across], 2)
    base = np.arange(count * knots).reshape(count, knots)[:, :-1].ravel() * 2
    faces: Int[ndarray, "f 3"] = np.concatenate(
        [np.stack([base, base + 1, base + 2], 1), np.stack([base + 1, base + 3, base + 2], 1)]
    )
    shade = np.repeat(rng.random(count), knots * 2)
    return Mesh(
        material="strands",
        vertices=sides.reshape(-1, 3).astype(np.float32),
        rest=np.repeat(path.reshape(-1, 3), 2, 0).astype(np.float32),
        faces=faces,
        tangents=np.repeat(tangents.reshape(-1, 3), 2, 0).astype(np.float32),
        shade=shade.astype(np.float32),
    )
