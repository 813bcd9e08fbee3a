"""Cut the clothes of a generated person: other shapes, by other rules, than the tailor cuts."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull

from persona.evaluation.truth.fields import shell_field
from persona.evaluation.truth.form import Form
from persona.evaluation.truth.people import Shell, Tube
from persona.records.garment import Garment, Stiffness
from persona.synthesis.physics.pieces import whole_piece
from persona.synthesis.physics.refine import split_long_edges
from persona.synthesis.sample.mesh import clip, neighbor_mean, plain_mesh
from persona.synthesis.sample.noise import smoothstep

CONTEXT: Final = 0.05
"""Cloth kept beyond its edge while it is shaped [m]."""
LONGEST_EDGE: Final = 0.024
"""Longer edges of the body's mesh are split [m]."""
ROUNDS: Final = 45
"""Smoothings of a shell: it bridges hollows of some centimetres."""
SECTORS: Final = 64
"""Directions around an axis in which is looked how far cloth hangs out."""
STEP: Final = 0.012
"""Rows in which is looked [m]."""
ROW: Final = 0.016
"""Between the rings of a tube [m]."""
COLUMNS: Final = 88
"""Around a tube."""
SLICE: Final = 0.018
"""Half height of the slice of the body that a ring goes around [m]."""
HELD_M: Final = 0.022
"""Width of a waistband or collar [m]."""
THICKNESS: Final = {Stiffness.SOFT: 0.0025, Stiffness.MEDIUM: 0.0035, Stiffness.STIFF: 0.0045}
"""Distance from the skin [m]."""
LAYER_GAP: Final = 0.007
"""What each layer under it adds [m]."""


def cut_garment(form: Form, cut: Shell | Tube) -> Garment:
    """Cut one piece in T-pose."""
    return cut_shell(form, cut) if isinstance(cut, Shell) else cut_tube(form, cut)


def cut_shell(form: Form, cut: Shell) -> Garment:
    """Lift the skin, smooth it, let it fall straight and flare, and cut it where the piece ends."""
    inside = shell_field(form, cut, form.vertices)
    legs = cut.name == "bottom"
    chosen = inside > -CONTEXT
    if legs:
        chosen &= form.arm < 0.3
    faces = form.faces[chosen[form.faces].all(1)]
    used, faces = np.unique(faces, return_inverse=True)
    faces, finer = split_long_edges(form.vertices[used], faces.reshape(-1, 3), LONGEST_EDGE)
    skin, normals = finer @ form.vertices[used], finer @ form.normals[used]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    least = THICKNESS[cut.fabric.stiffness] + LAYER_GAP * cut.layer
    gap = np.maximum(_ease(form, cut, skin), least)
    points = _relaxed(skin + normals * gap[:, None], skin, normals, faces, least)
    points = _hung(form, cut, points, arm=finer @ form.arm[used])
    points = _relaxed(points, skin, normals, faces, least, rounds=4)
    if legs:
        points = _apart(form, points, skin)
    mesh = clip(
        plain_mesh(cut.name, points, skin, faces), shell_field(form, cut, points[np.unique(faces)])
    )
    values, faces = whole_piece(np.concatenate([mesh.vertices, mesh.rest], 1), mesh.faces)
    points, skin = values[:, :3], values[:, 3:]
    held = _held(form, cut, points)
    return _garment(cut, points, faces, form.weights_at(skin), held)


def _ease(form: Form, cut: Shell, skin: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    """Say how far cloth is cut from the skin: it lies on the shoulders and at the waistband."""
    if cut.name == "bottom":
        waist = form.trunk_height(cut.ends[0])
        return cut.ease * smoothstep(waist, waist - 0.12, skin[:, 1])
    top = form.joint("left_shoulder")[1]
    lying = smoothstep(top - 0.06, top + 0.03, skin[:, 1])
    sleeve = smoothstep(0.0, 0.08, np.abs(skin[:, 0]) - form.joint("left_shoulder")[0])
    return cut.ease * (1 - 0.75 * lying * (1 - sleeve))


def _relaxed(
    points: Float[ndarray, "n 3"],
    skin: Float[ndarray, "n 3"],
    normals: Float[ndarray, "n 3"],
    faces: ndarray,
    least: float,
    *,
    rounds: int = ROUNDS,
) -> Float[ndarray, "n 3"]:
    mean = neighbor_mean(faces, len(points))
    for _ in range(rounds):
        points = 0.5 * points + 0.5 * (mean @ points)
        out = ((points - skin) * normals).sum(1)
        points = points + normals * np.maximum(least - out, 0)[:, None]
    return points


def _hung(
    form: Form, cut: Shell, points: Float[ndarray, "n 3"], *, arm: Float[ndarray, " n"]
) -> Float[ndarray, "n 3"]:
    """Let a trunk or each leg fall straight from where it is widest above, and flare."""
    if cut.name == "top":
        start, end = form.joint("spine3")[1], form.trunk_height(cut.ends[0])
        axis = form.joint("spine2")[[0, 2]]
        line = np.stack([axis, axis])
        return _straight(points, arm < 0.25, line, (start, end), cut)
    start, end = form.leg_height(0.0) - 0.02, form.leg_height(cut.ends[1])
    for side, sign in (("left", 1), ("right", -1)):
        leg = (sign * points[:, 0] > 0) & (points[:, 1] < start + 0.04)
        line = np.stack([form.joint(f"{side}_{name}")[[0, 2]] for name in ("hip", "ankle")])
        points = _straight(points, leg, line, (start, end), cut)
    return points


def _straight(
    points: Float[ndarray, "n 3"],
    chosen: ndarray,
    line: Float[ndarray, "2 2"],
    span: tuple[float, float],
    cut: Shell,
) -> Float[ndarray, "n 3"]:
    """Move places outwards from an axis to the farthest that cloth above them reaches."""
    start, end = span
    share = np.clip((start - points[:, 1]) / (start - end), 0, 1)
    axis = line[0] * (1 - share[:, None]) + line[1] * share[:, None]
    flat = points[:, [0, 2]] - axis
    radius = np.linalg.norm(flat, axis=1)
    sector = np.floor((np.arctan2(flat[:, 1], flat[:, 0]) / (2 * np.pi) + 0.5) * SECTORS)
    sector = sector.astype(int) % SECTORS
    rows = max(2, int((start - end) / STEP) + 1)
    row = np.clip(((start - points[:, 1]) / STEP).astype(int), 0, rows - 1)
    here = chosen & (points[:, 1] <= start + 0.02)
    reach = np.zeros((rows, SECTORS))
    np.maximum.at(reach, (row[here], sector[here]), radius[here])
    reach = gaussian_filter(np.maximum.accumulate(reach, 0), (2, 1.5), mode=("nearest", "wrap"))
    far = np.maximum(reach[row, sector], radius)
    wanted = radius + cut.straight * (far - radius) + cut.flare * share**1.5
    grow = np.where(here, wanted / np.maximum(radius, 1e-6), 1.0)
    moved = points.copy()
    moved[:, [0, 2]] = axis + flat * grow[:, None]
    return np.where(here[:, None], moved, points)


def _apart(
    form: Form, points: Float[ndarray, "n 3"], skin: Float[ndarray, "n 3"]
) -> Float[ndarray, "n 3"]:
    """Keep trouser legs on their own side below the crotch."""
    low = skin[:, 1] < form.leg_height(0.0)
    side = np.sign(skin[:, 0])
    out = np.maximum(side * points[:, 0], np.minimum(0.003, side * skin[:, 0]))
    points = points.copy()
    points[:, 0] = np.where(low, side * out, points[:, 0])
    return points


def _held(form: Form, cut: Shell, points: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    """Hold a waistband; a top at its neck, and at its hem where that is a bodice's waist."""
    if cut.name == "bottom":
        return _band(form.trunk_height(cut.ends[0]) - points[:, 1])
    near_neck = np.linalg.norm(points - form.joint("neck"), axis=1)
    neck = _band(near_neck - cut.neck - 0.02)
    if cut.ends[0] < BODICE:
        return neck
    trunk = np.abs(points[:, 0]) < form.joint("left_shoulder")[0] + 0.02
    return np.maximum(
        neck, np.where(trunk, _band(points[:, 1] - form.trunk_height(cut.ends[0])), 0)
    )


BODICE: Final = 0.3
"""A top that ends higher than this is sewn or belted to what hangs below it."""


def _band(inside: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    return np.clip(2 - np.maximum(inside, 0) / HELD_M, 0, 1)


def cut_tube(form: Form, cut: Tube) -> Garment:
    """Hang rings around both legs: never inside the body's hull, wider to the hem, pleated."""
    top, hem = form.trunk_height(cut.waist), form.leg_height(cut.hem)
    heights = np.linspace(top, hem, max(3, 1 + round((top - hem) / ROW)))
    whole = cut.slit == 0
    turns = np.linspace(cut.slit, 2 * np.pi - cut.slit, COLUMNS, endpoint=not whole)
    ways = np.stack([np.sin(turns), np.cos(turns)], 1)  # from the front, to the left
    trunk = form.vertices[form.arm < 0.3]
    middle = trunk[np.abs(trunk[:, 1] - top) < 0.04][:, [0, 2]].mean(0)
    reach = np.stack([_reach(trunk, height, middle, ways) for height in heights])
    least = THICKNESS[cut.fabric.stiffness] + LAYER_GAP * cut.layer
    hung = np.maximum.accumulate(reach, 0) + least
    down = np.clip((top - heights - 0.05) / (top - hem - 0.05), 0, 1)[:, None]
    fold = np.cos(cut.pleats * turns)[None]
    radius = hung + cut.flare * down**1.1 + cut.pleat_depth * fold * np.sqrt(down)
    flat = middle + radius[..., None] * ways
    points = np.stack(
        [flat[..., 0], np.broadcast_to(heights[:, None], radius.shape), flat[..., 1]], -1
    ).reshape(-1, 3)
    held = _band(top - points[:, 1])
    weights = form.weights_at(points, no_arms=True)
    return _garment(cut, points, _grid(len(heights), whole=whole), weights, held, is_tube=True)


def _grid(rows: int, *, whole: bool) -> ndarray:
    """Give the triangles between rings; an open one is not closed in front."""
    row, column = np.meshgrid(
        np.arange(rows - 1), np.arange(COLUMNS if whole else COLUMNS - 1), indexing="ij"
    )
    ahead = (column + 1) % COLUMNS
    a, b = row * COLUMNS + column, row * COLUMNS + ahead
    c, d = a + COLUMNS, b + COLUMNS
    odd = ((row + column) % 2 == 1)[..., None]
    first = np.where(odd, np.stack([a, c, b], -1), np.stack([a, c, d], -1))
    second = np.where(odd, np.stack([b, c, d], -1), np.stack([a, d, b], -1))
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def _reach(
    body: Float[ndarray, "n 3"],
    height: float,
    middle: Float[ndarray, " 2"],
    ways: Float[ndarray, "c 2"],
) -> Float[ndarray, " c"]:
    """Measure how far the hull of a slice of the body reaches in every direction [m]."""
    flat = body[np.abs(body[:, 1] - height) < SLICE][:, [0, 2]] - middle
    planes = ConvexHull(flat).equations
    slope = ways @ planes[:, :2].T
    return np.where(slope > 1e-9, -planes[:, 2] / np.maximum(slope, 1e-9), np.inf).min(1)


def _garment(
    cut: Shell | Tube,
    points: Float[ndarray, "n 3"],
    faces: ndarray,
    weights: Float[ndarray, "n 55"],
    held: Float[ndarray, " n"],
    *,
    is_tube: bool = False,
) -> Garment:
    return Garment(
        name=cut.name,
        rest_vertices=torch.from_numpy(np.ascontiguousarray(points)).float(),
        faces=torch.from_numpy(np.ascontiguousarray(faces).astype(np.int64)),
        body_weights=torch.from_numpy(weights / weights.sum(1, keepdims=True)).float(),
        attachment=torch.from_numpy(held).float(),
        thickness_m=THICKNESS[cut.fabric.stiffness],
        stiffness=cut.fabric.stiffness,
        layer=cut.layer,
        is_tube=is_tube,
    )
