"""Clothes for the sample person: shells around the posed body that bridge its hollows and fold."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull, cKDTree

from persona.body.skeleton import JOINT_IDS
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.look import SampleLook
from persona.synthesis.sample.mesh import (
    Mesh,
    boundary_edges,
    clip,
    midpoint_subdivided,
    neighbor_mean,
    plain_mesh,
    vertex_normals,
    with_hem,
)
from persona.synthesis.sample.noise import gradient_noise, ridges, smoothstep
from persona.synthesis.sample.skirt import skirt, skirt_field

SKIN_SMOOTHING = 12
"""Times the skin is smoothed before cloth is laid on it."""
CONTEXT = 0.04
"""Cloth kept beyond its own edge while it is smoothed [m], so that hems hang straight."""
HEAD_SHARE = 0.3
"""Skin that the head carries by more than this is bare."""
HEM = 0.004
"""Strength of cloth shown at open edges [m]."""
SOLE_HEIGHT = 0.026
"""Of a trainer's sole [m]."""
SOLE_POINTS = 96
"""Around a sole."""


def dress(figure: Figure, look: SampleLook) -> tuple[list[Mesh], Bool[ndarray, " n"]]:
    """Make top, trousers or skirt, and shoes, and say which body vertices they hide.

    Returns:
        The garments, and a flag per body vertex: well inside a garment, not to be drawn.
    """
    skirted = look.lower == "skirt"
    fields = {
        "top": _top_field(figure, look, figure.rest, figure.vertices),
        "bottom": skirt_field(figure) if skirted else _bottom_field(figure, figure.rest),
        "shoes": shoe_field(figure, figure.rest),
    }
    # However low a chin hangs, no cloth grows on it.
    head = figure.weights[:, [JOINT_IDS["head"], JOINT_IDS["jaw"]]].sum(1) > HEAD_SHARE
    fields["top"] = np.where(head, -1.0, fields["top"])
    garments = [
        _top(figure, look, fields["top"]),
        skirt(figure, look) if skirted else _bottom(figure, look, fields["bottom"]),
        *shoes(figure, fields["shoes"]),
    ]
    hidden = (fields["top"] > 0.012) | (fields["bottom"] > 0.012) | (fields["shoes"] > 0.012)
    return garments, hidden


def _heights(figure: Figure) -> dict[str, float]:
    rest = figure.rest_joints
    return {
        "floor": figure.rest_floor,
        "ankle": float(rest[JOINT_IDS["left_ankle"], 1]),
        "hip": float(rest[JOINT_IDS["left_hip"], 1]),
        "pelvis": float(rest[JOINT_IDS["pelvis"], 1]),
        "neck": float(rest[JOINT_IDS["neck"], 1]),
    }


def _top_field(
    figure: Figure,
    look: SampleLook,
    rest: Float[ndarray, "n 3"],
    posed: Float[ndarray, "n 3"],
) -> Float[ndarray, " n"]:
    """Distance inside the top's edges [m]: in T-pose, but the hem is level as worn."""
    joints = figure.rest_joints
    heights = _heights(figure)
    hem = posed[:, 1] - (figure.joints[JOINT_IDS["left_hip"], 1] - 0.03)
    # Hanging sleeves reach below the hem; they are high up in T-pose.
    sleeved = np.abs(rest[:, 0]) > joints[JOINT_IDS["left_shoulder"], 0] + 0.03
    hem = np.where(sleeved & (rest[:, 1] > heights["pelvis"]), 1.0, hem)
    wrist, elbow = joints[JOINT_IDS["left_wrist"], 0], joints[JOINT_IDS["left_elbow"], 0]
    shoulder = joints[JOINT_IDS["left_shoulder"], 0]
    end = wrist - 0.012 if look.long_sleeves else shoulder + 0.72 * (elbow - shoulder)
    sleeve = end - np.abs(rest[:, 0])
    # The neckline is where an ellipsoid around the neck's base cuts the shoulders, lower in front.
    center = joints[JOINT_IDS["neck"]] + np.array([0, 0.012, 0.022])
    away = (rest - center) / np.array([0.083, 0.085, 0.088])
    neckline = (np.linalg.norm(away, axis=1) - 1) * 0.08
    below = heights["neck"] + 0.020 - rest[:, 1] + 2.0 * np.maximum(0, np.abs(rest[:, 0]) - 0.08)
    return np.minimum.reduce([hem, sleeve, neckline, below])


def _bottom_field(figure: Figure, rest: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    heights = _heights(figure)
    waist = heights["pelvis"] + 0.07 - rest[:, 1]
    cuff = rest[:, 1] - (heights["ankle"] - 0.028)
    return np.minimum(waist, cuff)


def shoe_field(figure: Figure, rest: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    """Distance inside the edge of the trainers [m]."""
    heights = _heights(figure)
    collar = heights["ankle"] - 0.010 - rest[:, 1]
    # Lower at the instep's opening than at the heel, as trainers are cut.
    ahead = rest[:, 2] - figure.rest_joints[JOINT_IDS["left_ankle"], 2]
    return collar - 0.012 * smoothstep(0.02, 0.06, ahead)


def _drape(
    figure: Figure,
    field: Float[ndarray, " n"],
    start: Float[ndarray, "n 3"],
    *,
    gap: Float[ndarray, " n"],
    steps: int,
    material: str,
) -> Mesh:
    """Smooth a shell that starts at ``start`` and must stay ``gap`` outside the body."""
    faces = figure.faces[(field[figure.faces] > -CONTEXT).all(1)]
    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    skin, normals, least = figure.vertices[used], figure.normals[used], gap[used]
    points = start[used]
    mean = neighbor_mean(faces, len(used))
    free = np.ones(len(used), bool)
    free[np.unique(boundary_edges(faces))] = False
    for _ in range(SKIN_SMOOTHING):  # cloth does not trace every detail of the skin
        skin = np.where(free[:, None], mean @ skin, skin)
    for _ in range(steps):
        points = np.where(free[:, None], 0.4 * points + 0.6 * (mean @ points), points)
        out = np.einsum("ij,ij->i", points - skin, normals)
        points = points + normals * np.maximum(least - out, 0)[:, None]
    for _ in range(3):  # pushing out leaves pimples
        points = np.where(free[:, None], mean @ points, points)
    return plain_mesh(material, points, figure.rest[used], faces)


def _folded(mesh: Mesh, height: Float[ndarray, " n"]) -> Mesh:
    """Lift a mesh along its normals by ``height`` [m]."""
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return replace(mesh, vertices=(mesh.vertices + normals * height[:, None]).astype(np.float32))


def _finished(mesh: Mesh, field: Float[ndarray, " n"]) -> Mesh:
    return with_hem(clip(mesh, field), thickness=HEM)


def _top(figure: Figure, look: SampleLook, field: Float[ndarray, " n"]) -> Mesh:
    heights = _heights(figure)
    rest = figure.rest
    arm = smoothstep(
        0.0, 0.04, np.abs(rest[:, 0]) - figure.rest_joints[JOINT_IDS["left_shoulder"], 0]
    )
    drop = smoothstep(heights["neck"] - 0.1, heights["hip"], rest[:, 1])
    loose = 0.012 + 0.010 * drop * (1 - arm) + (0.002 if look.long_sleeves else 0.008) * arm
    # Cloth lies on the shoulders and hangs from them.
    reach = np.abs(rest[:, 0]) - figure.rest_joints[JOINT_IDS["left_shoulder"], 0]
    on_top = smoothstep(heights["neck"] - 0.13, heights["neck"] - 0.05, rest[:, 1])
    loose = loose * (1 - 0.65 * on_top * smoothstep(0.10, 0.02, reach))
    start = figure.vertices + figure.normals * loose[:, None]
    mesh = _drape(figure, field, start, gap=loose * 0.7, steps=60, material="top")
    mesh = midpoint_subdivided(mesh)
    mesh = _folded(mesh, _top_folds(figure, look, mesh))
    return _finished(mesh, _top_field(figure, look, mesh.rest, mesh.vertices))


def _top_folds(figure: Figure, look: SampleLook, mesh: Mesh) -> Float[ndarray, " n"]:
    """Creases of a top: across the sleeves at the elbow, slanting from armpit to waist."""
    heights, joints = _heights(figure), figure.rest_joints
    x, y, z = mesh.rest.T
    shoulder, elbow = joints[JOINT_IDS["left_shoulder"], 0], joints[JOINT_IDS["left_elbow"], 0]
    arm = smoothstep(-0.02, 0.06, np.abs(x) - shoulder)
    slant = np.sign(x) * 0.5 * (y - joints[JOINT_IDS["left_elbow"], 1])
    across = np.stack([(x + 2.2 * slant) * 24, y * 7, z * 7], 1)
    near = np.exp(-(((np.abs(x) - elbow) / 0.09) ** 2))
    end = 0.7 * smoothstep(0.10, 0.0, np.abs(np.abs(x) - joints[JOINT_IDS["left_wrist"], 0]))
    sleeve = ridges(across, seed=look.seed + 11) * (0.35 + near + end)
    drag = np.stack(
        [(x + 0.35 * np.tanh(x / 0.08) * (y - heights["pelvis"])) * 13, y * 3.5, z * 9], 1
    )
    torso = gradient_noise(drag, seed=look.seed + 12)
    low = smoothstep(heights["pelvis"] + 0.22, heights["pelvis"] + 0.02, y)
    bunch = ridges(np.stack([x * 5, y * 22, z * 5], 1), seed=look.seed + 13) * low
    soft = gradient_noise(mesh.rest * 14, seed=look.seed + 14)
    body = 0.0035 * torso + 0.004 * bunch + 0.0015 * soft
    return arm * (0.0048 * sleeve + 0.001 * soft) + (1 - arm) * body


def _bottom(figure: Figure, look: SampleLook, field: Float[ndarray, " n"]) -> Mesh:
    heights = _heights(figure)
    gap = np.full(len(figure.rest), 0.006)
    start = figure.vertices + figure.normals * gap[:, None]
    for side in ("left", "right"):
        start = _straightened(figure, start, side)
    mesh = _drape(figure, field, start, gap=gap, steps=25, material="bottom")
    mesh = midpoint_subdivided(mesh)
    x, y, z = mesh.rest.T
    knee = figure.rest_joints[JOINT_IDS["left_knee"], 1]
    cuff = heights["ankle"] - 0.028
    hem = smoothstep(cuff, cuff + 0.025, y)
    stack = smoothstep(cuff + 0.20, cuff + 0.04, y)
    behind = smoothstep(0.02, -0.04, z) * np.exp(-(((y - knee) / 0.07) ** 2))
    rings = ridges(np.stack([x * 6, y * 26 + 4 * x, z * 6], 1), seed=look.seed + 21)
    crotch = np.exp(-(((y - heights["hip"]) / 0.08) ** 2))
    slant = np.stack([x * 9, (y + 0.8 * np.abs(x)) * 22, z * 6], 1)
    whiskers = ridges(slant, seed=look.seed + 22) * crotch
    long_folds = gradient_noise(np.stack([x * 20, y * 3, z * 20], 1), seed=look.seed + 23)
    height = 0.0055 * rings * (stack + 0.6 * behind) + 0.003 * whiskers + 0.0022 * long_folds
    height += 0.0012 * gradient_noise(mesh.rest * 16, seed=look.seed + 24)
    mesh = _folded(mesh, height * (0.25 + 0.75 * hem))
    return _finished(mesh, _bottom_field(figure, mesh.rest))


def _straightened(figure: Figure, start: Float[ndarray, "n 3"], side: str) -> Float[ndarray, "n 3"]:
    """Let a trouser leg fall straight from the knee instead of hugging calf and ankle."""
    knee, ankle = (
        figure.joints[JOINT_IDS[f"{side}_knee"]],
        figure.joints[JOINT_IDS[f"{side}_ankle"]],
    )
    sign = 1.0 if side == "left" else -1.0
    y = start[:, 1]
    share = np.clip((knee[1] - y) / (knee[1] - ankle[1]), 0, 1.3)[:, None]
    axis = knee * (1 - share) + ankle * share
    outward = start - axis
    outward[:, 1] = 0
    radius = np.linalg.norm(outward, axis=1)
    # A leg opening of 20 cm across is a straight cut.
    wanted = 0.088 - 0.006 * share[:, 0]
    lower = smoothstep(knee[1] + 0.12, knee[1] - 0.10, y) * (sign * figure.rest[:, 0] > 0)
    legs = figure.rest[:, 1] < figure.rest_joints[JOINT_IDS["left_hip"], 1]
    grow = np.maximum(wanted - radius, 0) * lower * legs
    return start + outward / np.maximum(radius, 1e-6)[:, None] * grow[:, None]


def shoes(figure: Figure, field: Float[ndarray, " n"]) -> list[Mesh]:
    """Round the feet into trainers: an upper that bridges the toes, on a sole."""
    faces = figure.faces[(field[figure.faces] > -CONTEXT).all(1)]
    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    points, mean = figure.vertices[used].astype(np.float64), neighbor_mean(faces, len(used))
    free = np.ones(len(used), bool)
    free[np.unique(boundary_edges(faces))] = False
    for _ in range(4):
        points = points + vertex_normals(points, faces) * 0.0068
        for _ in range(60):  # inflate and smooth in turn, so that toes merge and nothing shrinks
            points = np.where(free[:, None], mean @ points, points)
    points[:, 1] = np.maximum(points[:, 1], 0.5 * SOLE_HEIGHT)
    mesh = midpoint_subdivided(plain_mesh("shoes", points, figure.rest[used], faces))
    upper = _finished(mesh, shoe_field(figure, mesh.rest))
    return [upper, *(_sole(upper, side) for side in (-1, 1))]


def _sole(upper: Mesh, side: int) -> Mesh:
    """Extrude the outline of an upper, a little wider, from the floor to `SOLE_HEIGHT`."""
    low = (np.sign(upper.rest[:, 0]) == side) & (upper.vertices[:, 1] < 0.055)
    flat, rest = upper.vertices[low][:, [0, 2]], upper.rest[low]
    hull = ConvexHull(flat)
    outline = flat[hull.vertices]
    middle = outline.mean(0)
    # Resample by angle: a smooth, even outline.
    angles = np.linspace(-np.pi, np.pi, SOLE_POINTS, endpoint=False)
    ways = outline - middle
    at = np.arctan2(ways[:, 1], ways[:, 0])
    order = np.argsort(at)
    reach = np.interp(angles, at[order], np.linalg.norm(ways, axis=1)[order], period=2 * np.pi)
    reach = gaussian_filter1d(reach, 2.0, mode="wrap")
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    # From the floor's edge up the wall and onto the upper: (wider by [m], height [m]).
    profile = [
        (-0.002, 0.0),
        (0.003, 0.004),
        (0.005, 0.014),
        (0.004, SOLE_HEIGHT),
        (-0.006, SOLE_HEIGHT + 0.001),
        (-0.05, SOLE_HEIGHT),
    ]
    rows = [
        np.insert(middle + ring * (reach + wider)[:, None], 1, height, axis=1)
        for wider, height in profile
    ]
    vertices = np.concatenate(rows)
    n = SOLE_POINTS
    base = np.arange(n)
    ahead = (base + 1) % n
    faces = [
        np.concatenate(
            [
                np.stack([k * n + base, (k + 1) * n + base, k * n + ahead], 1),
                np.stack([k * n + ahead, (k + 1) * n + base, (k + 1) * n + ahead], 1),
            ]
        )
        for k in range(len(profile) - 1)
    ]
    near = cKDTree(flat).query(vertices[:, [0, 2]])[1]
    return plain_mesh("soles", vertices, rest[near], np.concatenate(faces))
