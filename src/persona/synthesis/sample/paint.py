"""The sample person's colours: skin and face, eyes, cloth, shoes; all from places on the body."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from persona.body.skeleton import JOINT_IDS
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.look import Color, SampleLook
from persona.synthesis.sample.noise import gradient_noise, layered_noise, ridges, smoothstep
from persona.synthesis.sample.skirt import skirt_stitch

Colors = Float[ndarray, "p 3"]


def mixed(
    base: Colors, color: Color | Colors | Float[ndarray, " 3"], share: Float[ndarray, " p"]
) -> Colors:
    """Blend ``share`` of a colour into others."""
    return base + (np.asarray(color) - base) * np.clip(share, 0, 1)[:, None]


def paint_cloth(rest: Float[ndarray, "p 3"], color: Color, *, seed: int, rib: float) -> Colors:
    """Colour cloth: an uneven dye and a weave or rib of ``rib`` threads a metre."""
    tone = (
        1
        + 0.05 * layered_noise(rest * 9, seed=seed)
        + 0.03 * gradient_noise(rest * 160, seed=seed + 5)
    )
    weave = 0.025 * np.sin(rest[:, 0] * rib * 2 * np.pi) * np.sin(rest[:, 1] * rib * 2 * np.pi)
    return np.clip(np.asarray(color) * (tone + weave)[:, None], 0, 1)


def paint_top(
    figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"], height: Float[ndarray, " p"]
) -> Colors:
    """Colour jumper or T-shirt, with ribbed cuffs, hem and collar."""
    colors = paint_cloth(rest, look.top, seed=look.seed + 41, rib=260)
    # The hem is level as worn; sleeves, which hang below it, are told by T-pose.
    hip = figure.joints[JOINT_IDS["left_hip"], 1] - 0.03
    trunk = np.abs(rest[:, 0]) < figure.rest_joints[JOINT_IDS["left_shoulder"], 0]
    above = np.where(trunk, height - hip, 1.0)
    wrist = figure.rest_joints[JOINT_IDS["left_wrist"], 0]
    hem = smoothstep(0.032, 0.028, above)
    cuff = smoothstep(wrist - 0.062, wrist - 0.058, np.abs(rest[:, 0]))
    around = np.where(np.abs(rest[:, 0]) > wrist - 0.07, rest[:, 2], rest[:, 0])
    rib = 1 - 0.10 * (np.sin(around * 2 * np.pi * 170) > 0.2)
    band = np.maximum(hem, cuff) if look.long_sleeves else 0.5 * hem
    colors = mixed(colors, colors * 0.93 * rib[:, None], band)
    stitch = np.exp(-(((above - 0.030) / 0.0016) ** 2))
    return mixed(colors, colors * 0.7, stitch)


def paint_skirt(
    figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"], height: Float[ndarray, " p"]
) -> Colors:
    """Colour a plain skirt, with the seam of its hem."""
    colors = paint_cloth(rest, look.bottom, seed=look.seed + 42, rib=420)
    return mixed(colors, colors * 0.62, skirt_stitch(figure, height))


def paint_bottom(figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"]) -> Colors:
    """Colour trousers, worn lighter over thighs and knees, with side seams."""
    colors = paint_cloth(rest, look.bottom, seed=look.seed + 42, rib=420)
    knee = figure.rest_joints[JOINT_IDS["left_knee"]]
    hip = figure.rest_joints[JOINT_IDS["left_hip"]]
    x, y, z = rest.T
    front = smoothstep(-0.01, 0.06, z - knee[2])
    thigh = np.exp(-(((y - 0.5 * (knee[1] + hip[1])) / 0.14) ** 2))
    middle = np.exp(-(((np.abs(x) - knee[0]) / 0.045) ** 2))
    worn = 0.35 * front * middle * (thigh + 0.7 * np.exp(-(((y - knee[1]) / 0.06) ** 2)))
    lines = ridges(np.stack([x * 9, y * 60, z * 9], 1), seed=look.seed + 43)
    colors = mixed(colors, np.minimum(colors * 1.6 + 0.05, 1), worn * (0.75 + 0.25 * lines))
    ankle = figure.rest_joints[JOINT_IDS["left_ankle"]]
    line = np.interp(y, [ankle[1], knee[1], hip[1]], [ankle[2], knee[2], hip[2]])
    leg = np.interp(y, [ankle[1], knee[1], hip[1]], [ankle[0], knee[0], hip[0]])
    outside = smoothstep(0.01, 0.03, np.abs(x) - leg)
    seam = np.exp(-(((z - line) / 0.0016) ** 2)) * outside
    cuff = figure.rest_joints[JOINT_IDS["left_ankle"], 1] - 0.028
    stitch = np.exp(-(((y - cuff - 0.022) / 0.0013) ** 2))
    fly = np.exp(-((x / 0.0018) ** 2)) * (z > 0) * (y > hip[1] - 0.05)
    return mixed(colors, colors * 0.62, np.maximum.reduce([seam, stitch, fly]))


def paint_shoes(
    figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"], height: Float[ndarray, " p"]
) -> Colors:
    """Colour trainers: white sole with a line, darker toe cap and heel tab, laces."""
    colors = paint_cloth(rest, look.shoes, seed=look.seed + 44, rib=500)
    ankle = figure.rest_joints[JOINT_IDS["left_ankle"]]
    foot = figure.rest_joints[JOINT_IDS["left_foot"]]
    across = np.abs(rest[:, 0]) - foot[0]
    ahead = rest[:, 2] - ankle[2]
    reach = foot[2] - ankle[2]
    up = smoothstep(0.035, 0.05, height)
    heel = smoothstep(-0.02, -0.035, ahead)
    colors = mixed(colors, colors * 0.72, heel * smoothstep(0.05, 0.055, height))
    cap = smoothstep(1.02 * reach, 1.06 * reach, ahead)
    colors = mixed(colors, colors * 0.88, cap)
    tongue = smoothstep(0.030, 0.026, np.abs(across)) * up
    tongue *= smoothstep(0.30 * reach, 0.36 * reach, ahead) * (1 - cap)
    colors = mixed(colors, colors * 0.86, tongue)
    lace = np.abs(np.sin((ahead + 0.25 * np.abs(across)) * 2 * np.pi * 38)) > 0.80
    white = np.broadcast_to(np.array([0.93, 0.92, 0.90]), colors.shape)
    colors = mixed(colors, white, 0.9 * tongue * lace)
    return colors


def paint_soles(height: Float[ndarray, " p"]) -> Colors:
    """Colour soles: off-white rubber with a line around."""
    white = np.broadcast_to(np.array([0.90, 0.89, 0.86]), (len(height), 3))
    line = np.exp(-(((height - 0.018) / 0.0012) ** 2))
    return white * (1 - 0.30 * line[:, None])


def paint_skin(figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"]) -> Colors:
    """Colour skin: uneven, redder at joints and cheeks, with lips, brows, lids and nails."""
    base = np.asarray(look.skin)
    red = base * np.array([1.0, 0.80, 0.78])
    tone = 1 + 0.030 * layered_noise(rest * 40, seed=look.seed + 51)
    colors = np.clip(base * tone[:, None], 0, 1)
    hands = np.abs(rest[:, 0]) > figure.rest_joints[JOINT_IDS["left_wrist"], 0]
    colors = mixed(
        colors,
        red,
        0.25 * hands * smoothstep(-0.3, 0.6, gradient_noise(rest * 70, seed=look.seed + 52)),
    )
    colors = _nails(figure, colors, rest, red)
    on_face = rest[:, 1] > figure.face_marks[:, 1].min() - 0.08
    on_face &= rest[:, 2] > figure.face_marks[:, 2].min() - 0.05
    colors[on_face] = _paint_face(figure, look, rest[on_face], colors[on_face], red)
    return np.clip(colors, 0, 1)


def _nails(figure: Figure, colors: Colors, rest: Float[ndarray, "p 3"], red: ndarray) -> Colors:
    for name in ("thumb", "index", "middle", "ring", "pinky"):
        last, before = (figure.rest_joints[JOINT_IDS[f"left_{name}{k}"]] for k in (3, 2))
        along = (last - before) / np.linalg.norm(last - before)
        mirrored = rest * np.array([1, 1, 1]) * np.where(rest[:, :1] < 0, [-1, 1, 1], [1, 1, 1])
        way = mirrored - (last + along * 0.017)
        ahead = way @ along
        aside = np.linalg.norm(way - ahead[:, None] * along, axis=1)
        nail = smoothstep(0.007, 0.005, np.abs(ahead)) * smoothstep(0.009, 0.007, aside)
        nail *= way[:, 1] > 0.002
        colors = mixed(colors, red * 0.5 + 0.5 * np.array([0.93, 0.82, 0.79]), 0.55 * nail)
    return colors


def _polygon_distance(
    points: Float[ndarray, "p 2"], polygon: Float[ndarray, "k 2"], *, closed: bool
) -> Float[ndarray, " p"]:
    """Signed distance to a polygon, positive inside; plain distance when it is open."""
    ends = np.roll(polygon, -1, 0) if closed else polygon[1:]
    starts = polygon if closed else polygon[:-1]
    least = np.full(len(points), np.inf)
    inside = np.zeros(len(points), bool)
    for a, b in zip(starts, ends, strict=True):
        way = b - a
        t = np.clip((points - a) @ way / (way @ way), 0, 1)
        least = np.minimum(least, np.linalg.norm(points - a - t[:, None] * way, axis=1))
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        rise = b[1] - a[1] if abs(b[1] - a[1]) > 1e-12 else 1e-12
        inside ^= crosses & (points[:, 0] < a[0] + (points[:, 1] - a[1]) / rise * way[0])
    return np.where(inside, least, -least) if closed else least


def _paint_face(
    figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"], colors: Colors, red: ndarray
) -> Colors:
    marks = figure.face_marks
    flat = rest[:, :2]
    front = rest[:, 2] > marks[19:31, 2].min() - 0.02
    nose = marks[10:19]
    for side in (-1, 1):
        cheek = np.array([side * 0.034, nose[4, 1] + 0.004])
        blush = np.exp(-(((flat - cheek) / [0.020, 0.016]) ** 2).sum(1))
        colors = mixed(colors, red, 0.45 * blush * front)
    tip = np.exp(-(((flat - nose[3, :2]) / 0.010) ** 2).sum(1))
    colors = mixed(colors, red, 0.35 * tip * front)
    lips = _polygon_distance(flat, marks[31:43, :2], closed=True)
    lip_color = 0.55 * red + 0.45 * np.array([0.66, 0.30, 0.30]) * (0.5 + 0.5 * look.skin[0])
    colors = mixed(colors, lip_color, 0.75 * smoothstep(-0.0012, 0.0018, lips) * front)
    # The inner corners hide in the mouth; the outer ones do not.
    middle = 0.5 * (marks[44:47, :2] + marks[[50, 49, 48], :2])
    between = np.concatenate([marks[31:32, :2], middle, marks[37:38, :2]])
    gap = _polygon_distance(flat, between, closed=False)
    colors = mixed(colors, lip_color * 0.35, 0.85 * smoothstep(0.0019, 0.0005, gap) * front)
    for ids in (range(19, 25), range(25, 31)):
        eye = marks[list(ids), :2]
        edge = _polygon_distance(flat, eye, closed=True)
        above = flat[:, 1] > eye[:, 1].mean() - 0.001
        lash = smoothstep(0.0022, 0.0006, np.abs(edge)) * np.where(above, 0.9, 0.45)
        colors = mixed(colors, np.array(look.hair) * 0.35, lash * front)
        shadow = np.exp(-(((edge + 0.004) / 0.006) ** 2)) * above
        colors = mixed(colors, red * 0.75, 0.30 * shadow * front)
    for ids in (range(0, 5), range(5, 10)):
        colors = _brow(look, colors, flat, marks[list(ids), :2], front)
    for side in (-1, 1):
        hole = nose[6, :2] + np.array([side * 0.0068, 0.0012])
        dark = np.exp(-(((flat - hole) / [0.0042, 0.0026]) ** 2).sum(1))
        colors = mixed(colors, red * 0.25, 0.75 * dark * front)
    return colors


def _brow(
    look: SampleLook,
    colors: Colors,
    flat: Float[ndarray, "p 2"],
    line: Float[ndarray, "5 2"],
    front: ndarray,
) -> Colors:
    """Draw a brow along its five landmarks, thicker towards the nose, of slanted hairs."""
    away = _polygon_distance(flat, line, closed=False)
    inner = line[np.abs(line[:, 0]).argmin(), 0]
    outer = line[np.abs(line[:, 0]).argmax(), 0]
    along = np.clip((flat[:, 0] - inner) / (outer - inner), 0, 1)
    thick = 0.0046 - 0.0030 * along
    hairs = np.stack(
        [
            (flat[:, 0] + 0.8 * np.sign(inner) * flat[:, 1]) * 900,
            flat[:, 1] * 120,
            np.zeros(len(flat)),
        ],
        1,
    )
    texture = 0.72 + 0.28 * gradient_noise(hairs, seed=look.seed + 61)
    share = smoothstep(1.0, 0.35, away / thick) * texture
    return mixed(colors, np.array(look.hair) * 0.75, 0.88 * share * front)


def paint_eyes(figure: Figure, look: SampleLook, rest: Float[ndarray, "p 3"]) -> Colors:
    """Colour eyeballs: sclera, limbus, iris with spokes, pupil, and the lid's shadow above."""
    colors = np.broadcast_to(np.array([0.80, 0.77, 0.755]), rest.shape).copy()
    eyes = figure.rest[figure.eyeballs]
    for side in (-1, 1):
        ball = eyes[np.sign(eyes[:, 0]) == side]
        center = 0.5 * (ball.min(0) + ball.max(0))
        here = np.sign(rest[:, 0]) == side
        way = rest - center
        way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
        angle = np.arccos(np.clip(way[:, 2], -1, 1))
        turn = np.arctan2(way[:, 1], way[:, 0])
        spokes = gradient_noise(
            np.stack([turn * 6, angle * 4, np.full(len(rest), side)], 1), seed=look.seed + 62
        )
        iris = np.asarray(look.eyes) * (1.15 + 0.35 * spokes)[:, None]
        painted = mixed(colors, iris, smoothstep(0.50, 0.46, angle))
        limbus = np.exp(-(((angle - 0.47) / 0.05) ** 2))
        painted = mixed(painted, np.asarray(look.eyes) * 0.35, 0.7 * limbus)
        painted = mixed(painted, (0.02, 0.02, 0.02), smoothstep(0.21, 0.18, angle))
        painted = mixed(painted, painted * 0.45, smoothstep(0.05, 0.40, way[:, 1]))
        corner = smoothstep(0.45, 0.75, np.abs(way[:, 0]))
        painted = mixed(painted, painted * np.array([0.72, 0.60, 0.58]), corner)
        glint = np.linalg.norm(way - np.array([-0.22, 0.25, 0.94]), axis=1)
        painted = mixed(painted, (1.0, 1.0, 1.0), 0.95 * smoothstep(0.11, 0.07, glint))
        colors[here] = painted[here]
    return np.clip(colors, 0, 1)


def paint_strands(
    look: SampleLook, rest: Float[ndarray, "p 3"], free: Float[ndarray, " p"]
) -> Colors:
    """Colour hairs, each a little different, in lighter and darker locks."""
    lock = gradient_noise(rest * 40, seed=look.seed + 63)
    tone = 0.85 + 0.35 * free + 0.20 * lock
    return np.clip(np.asarray(look.hair) * tone[:, None], 0, 1)


def painted(
    material: str,
    figure: Figure,
    look: SampleLook,
    rest: Float[ndarray, "p 3"],
    points: Float[ndarray, "p 3"],
    free: Float[ndarray, " p"],
) -> Float[ndarray, "p 3"]:
    """Colour places of a material, given in T-pose and posed [m]."""
    if material == "skin":
        return paint_skin(figure, look, rest)
    if material == "eyes":
        return paint_eyes(figure, look, rest)
    if material == "mouth":
        return np.broadcast_to(np.array([0.55, 0.25, 0.24]), rest.shape)
    if material == "top":
        return paint_top(figure, look, rest, points[:, 1])
    if material == "bottom" and look.lower == "skirt":
        return paint_skirt(figure, look, rest, points[:, 1])
    if material == "bottom":
        return paint_bottom(figure, look, rest)
    if material == "shoes":
        return paint_shoes(figure, look, rest, points[:, 1])
    if material == "soles":
        return paint_soles(points[:, 1])
    if material == "hair":
        return np.broadcast_to(np.asarray(look.hair) * 0.75, rest.shape)
    return paint_strands(look, rest, free)
