"""Read along the trunk where necklines, bare midriffs and hair end."""

import cv2
import numpy as np
from jaxtyping import Float
from scipy import ndimage

from persona.perception.garments import STATION, TONE, Figure, sample
from persona.perception.skin import skin_distance
from persona.records.observation import Observation, Part

CHIN, FOREHEAD = 152, 10
"""Landmarks of chin and hairline in MediaPipe's face mesh."""
COLUMNS = (-0.10, -0.05, 0.0, 0.05, 0.10)
"""Where the neck is looked at beside its middle [shoulder widths]."""
CHEST_END = -1.0
"""No neckline is looked for below this place [necks]."""
MIDRIFF = (0.45, 1.2)
"""Between these places a bare waist is looked for [trunk]."""
MIDRIFF_LEAST = 0.07
"""A shorter stretch of skin is a belt or a shade [trunk]."""
SHORT_HAIR = 0.10
"""Hair that hangs no farther below the chin ends at it [torso lengths]."""
STRAND = 0.05
"""Width of the thinnest strand that counts [torso lengths]."""
OUTER_STEP, OUTER_BELOW, OUTER_AGREE = 9.0, 0.12, 0.2
"""Least colour step [Lab units] and drop below the middle's, most difference of sides [trunk]."""


def read_neck(figure: Figure) -> float:
    """Find the neckline: 0 between the shoulders, 1 at the chin; most skin above, least below."""
    body = figure.body
    shoulders = body[11:13].mean(0)
    chin = _chin(figure)
    stations = np.arange(0.95, CHEST_END, -2 * STATION)
    width = float(np.linalg.norm(body[11] - body[12]))
    aside = (body[11] - body[12]) / max(width, 1e-6)
    if figure.gray:
        return 0.4
    down = shoulders + stations[:, None] * (chin - shoulders)
    places = down[:, None] + np.array(COLUMNS)[None, :, None] * width * aside
    distance = np.median(skin_distance(sample(figure.lab, places), figure.skin), 1)
    evidence = np.clip(2.5 * (1 - distance), -1, 1)
    # Skin below the place argues against it as much as cloth above.
    above = np.concatenate([[0], np.cumsum(evidence)])
    score = 2 * above - above[-1]
    best = int(score.argmax())
    return float(stations[best]) if best < len(stations) else CHEST_END


def read_midriff(figure: Figure) -> tuple[float, float] | None:
    """Find a bare stretch between top and trousers: where it begins and ends [trunk]."""
    if figure.gray:
        return None
    body = figure.body
    stations = np.arange(*MIDRIFF, STATION)
    columns = []
    for share in (0.35, 0.45, 0.55, 0.65):
        shoulder = body[11] * (1 - share) + body[12] * share
        hip = body[23] * (1 - share) + body[24] * share
        columns.append(sample(figure.lab, shoulder + stations[:, None] * (hip - shoulder)))
    bare = np.median(skin_distance(np.array(columns), figure.skin), 0) < 0.9
    pieces, count = ndimage.label(bare)
    if not count:
        return None
    lengths = np.bincount(pieces)[1:]
    inside = np.flatnonzero(pieces == 1 + int(lengths.argmax()))
    first, last = float(stations[inside[0]]), float(stations[inside[-1]])
    touches_end = inside[0] == 0 or inside[-1] == len(stations) - 1
    return None if touches_end or last - first < MIDRIFF_LEAST else (first, last + STATION)


def outer_hem(figure: Figure, waist: float) -> float:
    """Find the end of what is worn outside: an open jacket hangs below the shirt under it.

    Both flanks must show the same step, farther down than the middle does, and one cloth down
    to it from above the middle's.
    """
    body = figure.body
    stations = np.arange(0.5, 1.5, STATION)
    places = []
    for side, other in ((0, 1), (1, 0)):
        shoulder, hip = body[11 + side], body[23 + side]
        inward = 0.1 * (body[11 + other] - shoulder)
        down = hip + 0.12 * (hip - body[23 + other]) - shoulder
        column = sample(figure.lab, shoulder + inward + stations[:, None] * down)
        steps = [_step(column, k) for k in range(len(stations))]
        best = int(np.argmax(steps))
        if steps[best] < OUTER_STEP or stations[best] < waist + OUTER_BELOW:
            return waist
        above = column[(stations > waist - 0.2) & (stations < waist - 0.03)]
        below = column[(stations > waist + 0.03) & (stations < stations[best] - 0.03)]
        if len(above) < 2 or len(below) < 2:
            return waist
        change = np.median(below, 0) - np.median(above, 0)
        if np.linalg.norm(change * TONE) > OUTER_STEP:
            return waist
        places.append(float(stations[best]))
    return sum(places) / 2 if abs(places[0] - places[1]) < OUTER_AGREE else waist


def _step(column: Float[np.ndarray, "n 3"], k: int) -> float:
    """Colour step at a place of a column, between medians of some stations on both sides."""
    reach = 6
    if not reach <= k < len(column) - reach:
        return 0.0
    step = np.median(column[k : k + reach], 0) - np.median(column[k - reach : k], 0)
    return float(np.linalg.norm(step * TONE))


def hair_below_chin(observation: Observation) -> float:
    """Measure how far hair hangs below the chin [torso lengths]; 0 when it ends above.

    Only hair that reaches down from the head in a strand of some width counts: collars and shades
    pass for hair here and there.
    """
    body = observation.body.numpy()
    shoulders, hips = body[11:13].mean(0), body[23:25].mean(0)
    torso = max(
        float(np.linalg.norm(hips - shoulders)), 1.3 * float(np.linalg.norm(body[11] - body[12]))
    )
    hair = (observation.parts == Part.HAIR).numpy()
    if observation.face is None or torso < 20 or hair.sum() < 40:
        return 0.0
    chin, crown = observation.face[CHIN, :2].numpy(), observation.face[FOREHEAD, :2].numpy()
    strand = np.ones((max(2, round(STRAND * torso)),) * 2, bool)
    hair = cv2.morphologyEx(hair.astype(np.uint8), cv2.MORPH_OPEN, strand.astype(np.uint8))
    _, pieces = cv2.connectedComponents(hair)
    above = pieces[: max(1, int((chin[1] + crown[1]) / 2))]
    hanging = np.isin(pieces, np.setdiff1d(np.unique(above), [0]))
    rows = np.flatnonzero(hanging.any(1))
    below = float(rows[-1] + 1 - chin[1]) / torso if len(rows) else 0.0
    return min(below, 3.0) if below > SHORT_HAIR else 0.0


def _chin(figure: Figure) -> Float[np.ndarray, " 2"]:
    if figure.face is not None:
        return figure.face[CHIN]
    mouth = figure.body[9:11].mean(0)
    return mouth + 0.6 * (mouth - figure.body[0])
