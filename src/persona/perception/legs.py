"""Tell whether a lower garment is two legs or one tube around both, from what is seen between."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from persona.perception.colours import fit_mixture, log_density
from persona.perception.garments import (
    ARMS,
    LEGS,
    STATION,
    Figure,
    Garments,
    at,
    colour_step,
    leg_profile,
    sample,
)
from persona.perception.skin import skin_distance
from persona.records.wardrobe import Doubt

STATIONS = np.arange(0.15, 2.0, STATION)
"""Where legs are looked at [bones]."""
CHORD = np.linspace(0.15, 0.85, 29)
"""Places between both legs' middles, the legs' own thickness left out."""
CROTCH = 0.34
"""Below this place trousers are two legs, and a gap may be seen [bones]."""
OPEN_SHARE = 0.07
"""Share of a chord on which something else than cloth shows, from which it counts as open."""
BENT_DEG = 35.0
"""A thigh or shin this far from the vertical is bent [deg]."""
SIDE_RATIO = 0.42
"""Shoulders narrower than this share of the trunk's length are seen from the side."""
STEP_WITHIN = 0.15
"""How far from a place its colour step is looked for [bones]."""
SHORTEST_PX = 10.0
"""A thigh shorter than this is none that anything can be read from [px]."""
FAR_OFF = 0.30
"""Cloth lies nearer to a bone than this [torso lengths]."""
HELD_SHARE = 0.015
"""Share of the outline that a bag takes at least [-]."""


@dataclass(frozen=True, kw_only=True)
class LegCues:
    """What is seen on and between the legs."""

    rows: int
    """Stations between crotch and hem that could be looked at."""
    split: float
    """Share of them at which background or skin shows between the legs."""
    open_below: float
    """Mean open share of the chords just below the hem."""
    seam: float
    """Strength of the darkest line between the legs [Lab units]."""
    flare: float
    """Sudden loss of the outline's width beyond both legs [thighs]; 0 where none."""
    flare_at: float
    """Where that is [bones]."""
    flare_step: float
    """Colour step there, the smaller of both legs' [Lab units]."""
    spread: float
    """Distance of the legs' middles at the hem [thighs]."""
    doubts: tuple[Doubt, ...]
    """What makes these numbers weak."""


def read_legs(figure: Figure, garments: Garments) -> LegCues:
    """Look between and beside the legs of a figure whose hems are known."""
    hem = min(*garments.hems, 1.95)
    left, _ = at(figure.body[list(LEGS[0])], STATIONS)
    right, _ = at(figure.body[list(LEGS[1])], STATIONS)
    chord = left[:, None] * (1 - CHORD[:, None]) + right[:, None] * CHORD[:, None]
    gap = sample(figure.inside, chord) < 0.5
    bare = min(garments.hems) < 2
    shows = gap | (_skin_between(figure, chord, hem) & bare)
    rows = (STATIONS > CROTCH) & (hem - 0.05 > STATIONS)
    below = (hem + 0.03 < STATIONS) & (hem + 0.3 > STATIONS)
    flare, flare_at = _flare(figure, left, right)
    distance = np.linalg.norm(left - right, axis=1) / _thigh(figure)
    return LegCues(
        rows=int(rows.sum()),
        split=float((shows[rows].mean(1) > OPEN_SHARE).mean()) if rows.any() else 0.0,
        open_below=float(gap[below].mean()) if below.any() else 0.0,
        seam=_seam(figure, chord, (STATIONS > CROTCH) & (hem - 0.04 > STATIONS)),
        flare=flare,
        flare_at=flare_at,
        flare_step=min(_step_near(figure, leg, flare_at) for leg in LEGS),
        spread=float(np.interp(hem - 0.05, STATIONS, distance)),
        doubts=_doubts(figure, gap),
    )


def _thigh(figure: Figure) -> float:
    """Length of the longer thigh [px], at least a third of the trunk's and never nothing."""
    thighs = [np.linalg.norm(figure.body[hip] - figure.body[knee]) for hip, knee, _ in LEGS]
    return float(max(*thighs, 0.35 * figure.torso, SHORTEST_PX))


def _skin_between(
    figure: Figure, chord: Float[np.ndarray, "n m 2"], hem: float
) -> Bool[np.ndarray, "n m"]:
    """Find skin on the chords: bare inner thighs between two legs of shorts."""
    colours = sample(figure.lab, chord)
    if figure.gray:
        return np.zeros(colours.shape[:2], bool)
    legs = [
        at(figure.body[list(leg)], np.arange(0.2, max(0.3, hem - 0.06), STATION)) for leg in LEGS
    ]
    cloth = fit_mixture(np.concatenate([sample(figure.lab, places) for places, _ in legs]))
    skin = skin_distance(colours, figure.skin) < 0.9
    return skin & (log_density(colours.reshape(-1, 3), cloth).reshape(skin.shape) < np.log(2e-6))


def _seam(figure: Figure, chord: Float[np.ndarray, "n m 2"], rows: Bool[np.ndarray, " n"]) -> float:
    """Follow the darkest line down between the legs; mean depth of its valley [Lab units]."""
    if rows.sum() < 4:
        return 0.0
    light = sample(figure.lab, chord[rows])[..., 0]
    reach = 3
    valley = np.minimum(light[:, : -2 * reach], light[:, 2 * reach :]) - light[:, reach:-reach]
    valley = np.clip(valley, 0, 12)
    best = valley[0]
    for row in valley[1:]:
        padded = np.pad(best, 1, constant_values=-np.inf)
        best = row + np.maximum.reduce([padded[:-2], padded[1:-1], padded[2:]])
    return float(best.max() / len(valley))


def _flare(
    figure: Figure, left: Float[np.ndarray, "n 2"], right: Float[np.ndarray, "n 2"]
) -> tuple[float, float]:
    """Find where the outline suddenly comes nearer to both legs, and by how much."""
    thigh = _thigh(figure)
    across = left - right
    length = np.linalg.norm(across, axis=1, keepdims=True)
    hips = figure.body[23] - figure.body[24]
    across = np.where(length > 0.15 * thigh, across, hips)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    steps = np.arange(0, 1.2 * thigh, 1.5)
    reach = []
    for start, sign in ((left, 1), (right, -1)):
        places = start[:, None] + sign * steps[None, :, None] * across[:, None]
        outside = sample(figure.inside, places) < 0.5
        reach.append(np.where(outside.any(1), steps[outside.argmax(1)], steps[-1]) / thigh)
    sides = np.stack(reach, 1)
    window = 6
    drops = np.zeros((len(STATIONS), 2))
    for k in range(window, len(STATIONS) - window):
        drops[k] = np.median(sides[k - window : k], 0) - np.median(sides[k + 1 : k + window], 0)
    drops[(STATIONS < 0.4) | (STATIONS > 1.7)] = 0
    both = 0.7 * drops.min(1) + 0.3 * drops.mean(1)
    best = int(both.argmax())
    return float(max(both[best], 0)), float(STATIONS[best])


def _step_near(figure: Figure, leg: tuple[int, int, int], place: float) -> float:
    """Find the largest colour step along a leg close to a place [Lab units]."""
    stations, profile, usable = leg_profile(figure, leg)
    near = np.flatnonzero(usable & (np.abs(stations - place) < STEP_WITHIN))
    return max((colour_step(profile, int(k), 4) for k in near), default=0.0)


def _doubts(figure: Figure, gap: Bool[np.ndarray, "n m"]) -> tuple[Doubt, ...]:
    """List what makes legs hard to read in this pose and view."""
    body = figure.body
    doubts = []
    if float((gap[STATIONS > 0.6].mean(1) > OPEN_SHARE).mean()) < 0.15:
        doubts.append(Doubt.CLOSED_LEGS)
    trunk = np.linalg.norm(body[11:13].mean(0) - body[23:25].mean(0))
    if np.linalg.norm(body[11] - body[12]) < SIDE_RATIO * trunk:
        doubts.append(Doubt.SIDE_VIEW)
    bones = [pair for hip, knee, ankle in LEGS for pair in ((hip, knee), (knee, ankle))]
    leans = [np.degrees(np.arctan2(*np.abs(body[end] - body[start]))) for start, end in bones]
    upside = any(body[end, 1] < body[start, 1] for start, end in bones)
    if max(leans) > BENT_DEG or upside or trunk < 0.55 * figure.torso:
        doubts.append(Doubt.BENT)
    height, width = figure.inside.shape
    ends = body[[knee for _, knee, _ in LEGS] + [ankle for _, _, ankle in LEGS]]
    if ((ends < 0) | (ends > (width, height))).any():
        doubts.append(Doubt.HIDDEN_LEGS)
    if figure.gray:
        doubts.append(Doubt.GRAY)
    if _carries(figure):
        doubts.append(Doubt.BAG)
    return tuple(doubts)


def _carries(figure: Figure) -> bool:
    """Whether much of the outline lies far from every bone, nearer to an arm than to the trunk."""
    body = np.round(figure.body).astype(np.int32)
    shape = figure.inside.shape

    def far_from(lines: list[list[int]]) -> np.ndarray:
        free = np.ones(shape, np.uint8)
        for line in lines:
            cv2.polylines(free, [body[line]], isClosed=False, color=0, thickness=1)
        return cv2.distanceTransform(free, cv2.DIST_L2, 5)

    hands = [[shoulder, elbow, wrist, wrist + 4] for shoulder, elbow, wrist in ARMS]
    arms = far_from(hands)
    rest = far_from([[11, 23, 25, 27, 31], [12, 24, 26, 28, 32], [11, 12], [23, 24], [7, 0, 8]])
    held = figure.inside & (np.minimum(arms, rest) > FAR_OFF * figure.torso)
    head = int(np.clip(figure.body[:11, 1].max(), 0, shape[0]))
    held[:head] = False  # hats and hair
    held &= arms < rest + 0.6 * figure.torso
    return bool(held.sum() > HELD_SHARE * figure.inside.sum())
