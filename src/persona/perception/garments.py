"""Where sleeves, hems, shoes and waist end, read from colours along the limbs."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float

from persona.perception.colours import Mixture, fit_mixture, log_density
from persona.perception.skin import skin_distance

ARMS = ((11, 13, 15), (12, 14, 16))
"""Shoulder, elbow, wrist: the person's left, then right."""
LEGS = ((23, 25, 27), (24, 26, 28))
"""Hip, knee, ankle."""
TONE = np.array([0.55, 1.0, 1.0])
"""Weights of Lab in a colour step: shading moves lightness more than cloth does."""
STATION = 0.025
"""Step along a limb, in bones: about one centimetre."""
ONE_COLOUR = 10.0
"""Colour step at the waist below which upper and lower garment are one [Lab units]."""
COLOURFUL = 10.0
"""Chroma from which a hue means something [Lab units]."""
SAME_HUE = 0.25
"""Turn of the hue that light and shade explain [rad]."""
SAME_CLOTH = 14.0
"""Colour step that they explain [Lab units]."""
LegProfile: TypeAlias = tuple[
    Float[np.ndarray, " n"], Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]
]
"""Stations along a leg, colours there, and whether they were seen."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The person at the size at which parts are told apart."""

    lab: Float[np.ndarray, "h w 3"]
    """Smoothed colours."""
    inside: Bool[np.ndarray, "h w"]
    """Where the person is."""
    body: Float[np.ndarray, "33 2"]
    """Pose landmarks [px]."""
    face: Float[np.ndarray, "478 2"] | None
    """Face mesh [px]."""
    hands: tuple[Float[np.ndarray, "21 2"] | None, Float[np.ndarray, "21 2"] | None]
    """Left and right hand [px]."""
    torso: float
    """Length of the torso [px]."""
    skin: Float[np.ndarray, "n 3"]
    """Colours of the person's skin [Lab]."""
    gray: bool
    """No colours to go by."""


@dataclass(frozen=True, kw_only=True)
class Garments:
    """Borders of clothes, as positions along limbs: 0 first joint, 1 middle joint, 2 last joint."""

    sleeves: tuple[float, float]
    """Where bare arm begins, left and right; beyond 2 the arm is covered."""
    hems: tuple[float, float]
    """Where bare leg begins, left and right; beyond 2 the leg is covered."""
    ankles: tuple[float, float]
    """Where shoes begin, left and right."""
    cuffs: tuple[float, float]
    """Where trousers end on covered legs, left and right: at a shoe, or over it."""
    waist: float
    """Where the lower garment begins: 0 shoulders, 1 hips, then 1 + position along the thighs."""
    contrast: float
    """Colour step between upper and lower garment [Lab units]."""
    alike: float
    """How alike the colours of chest and thighs are, from 0 to 1: one cloth, or two."""
    one_piece: bool
    """A dress or overall: upper and lower garment are one."""
    skin: Float[np.ndarray, "n 3"]
    """Colours of the person's skin, bare limbs included [Lab]."""


def read_garments(figure: Figure) -> Garments:
    """Find the borders of clothes on the limbs and at the waist."""
    figure = replace(figure, skin=_with_limbs(figure))
    shirt = _shirt(figure)
    sleeves = (_sleeve(figure, ARMS[0], shirt), _sleeve(figure, ARMS[1], shirt))
    legs = [leg_profile(figure, leg) for leg in LEGS]
    hems = _hems(figure, legs)
    ankles = (_ankle(legs[0]), _ankle(legs[1]))
    cuffs = (_ankle(legs[0], loose=True), _ankle(legs[1], loose=True))
    waist, contrast = _waist(figure, min(hems))
    skirt = _skirt(figure, min(hems))
    return Garments(
        sleeves=sleeves,
        hems=hems,
        ankles=ankles,
        cuffs=cuffs,
        waist=waist,
        contrast=contrast,
        alike=_alike(figure, min(hems)),
        one_piece=skirt and contrast < ONE_COLOUR,
        skin=figure.skin,
    )


def _with_limbs(figure: Figure) -> Float[np.ndarray, "n 3"]:
    """Skin colours, with those of forearms and shins that are clearly bare."""
    if figure.gray:
        return figure.skin
    colours = [figure.skin]
    for limb, radius in ((ARMS[0], 0.07), (ARMS[1], 0.07), (LEGS[0], 0.1), (LEGS[1], 0.1)):
        points = figure.body[list(limb)]
        profile, usable = _profile(
            figure, points, np.arange(0.8, 1.8, STATION), radius * figure.torso
        )
        like = usable & (skin_distance(profile, figure.skin) < 0.9)
        if like.sum() > 0.3 * len(profile):
            colours.append(np.median(profile[like], 0)[None])
    return np.vstack(colours)


def at(points: Float[np.ndarray, "k 2"], t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and unit directions at ``t`` along a chain of points, straight on at its ends."""
    bone = np.clip(np.floor(t), 0, len(points) - 2).astype(int)
    along = points[bone + 1] - points[bone]
    unit = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-6)
    return points[bone] + (t - bone)[..., None] * along, unit


def sample(values: np.ndarray, places: Float[np.ndarray, "*n 2"]) -> np.ndarray:
    """Read an image between its pixels."""
    flat = places.reshape(1, -1, 2).astype(np.float32) - 0.5
    read = cv2.remap(
        values.astype(np.float32),
        flat[..., 0],
        flat[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return read.reshape(*places.shape[:-1], *values.shape[2:])


def _profile(
    figure: Figure, points: Float[np.ndarray, "k 2"], stations: np.ndarray, radius: float
) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]:
    """Median colour across a limb at each station, and whether it lies on the person at all."""
    middle, unit = at(points, stations)
    across = np.stack([-unit[:, 1], unit[:, 0]], 1)
    offsets = np.linspace(-radius, radius, 11)
    places = middle[:, None] + offsets[None, :, None] * across[:, None]
    colours = sample(figure.lab, places)
    seen = sample(figure.inside, places) > 0.5
    usable = seen.sum(1) >= 3
    filled = np.where(seen[..., None], colours, np.nan)
    profile = np.zeros((len(stations), 3))
    profile[usable] = np.nanmedian(filled[usable], axis=1)
    return profile, usable


def _bare(
    figure: Figure,
    profile: Float[np.ndarray, "n 3"],
    usable: Bool[np.ndarray, " n"],
    cloth: Mixture | None = None,
) -> Float[np.ndarray, " n"]:
    """How much each station looks like skin, from -1 to 1; 0 where it is not seen.

    Skin in glaring light is too pale to be recognised, but its hue stays: where the colour is not
    the garment's either, that is taken for weak evidence.
    """
    if figure.gray:
        return np.full(len(profile), -0.1)
    evidence = np.clip(2.5 * (1 - skin_distance(profile, figure.skin)), -1, 1)
    if cloth is not None:
        hue = np.arctan2(profile[:, 2], profile[:, 1])
        own = np.arctan2(figure.skin[:, 2], figure.skin[:, 1]).mean()
        pale = (np.abs(hue - own) < 0.5) & (profile[:, 0] > figure.skin[:, 0].max())
        pale &= np.hypot(profile[:, 1], profile[:, 2]) > 4
        pale &= log_density(profile, cloth) < np.log(2e-6)
        evidence = np.where(pale, np.maximum(evidence, 0.5), evidence)
    return np.where(usable, evidence, 0)


def _shirt(figure: Figure) -> Mixture | None:
    """Colours of the chest, when it is covered."""
    colours = _chest(figure)
    covered = skin_distance(colours, figure.skin) > 0.8
    return fit_mixture(colours[covered]) if covered.mean() > 0.4 else None


def _chest(figure: Figure) -> Float[np.ndarray, "n 3"]:
    """Colours seen between shoulders and hips."""
    body = figure.body
    share = np.linspace(0.2, 0.8, 13)
    shoulders = body[11] * (1 - share[:, None]) + body[12] * share[:, None]
    down = body[23:25].mean(0) - body[11:13].mean(0)
    places = shoulders[None] + np.linspace(0.2, 0.8, 15)[:, None, None] * down
    return sample(figure.lab, places).reshape(-1, 3)


def _sleeve(figure: Figure, arm: tuple[int, int, int], shirt: Mixture | None) -> float:
    """The place on an arm with most skin below and least above it; a bare chest has no sleeves."""
    if shirt is None:
        return -0.3
    points = figure.body[list(arm)]
    stations = np.arange(-0.15, 2.05, STATION)
    profile, usable = _profile(figure, points, stations, 0.07 * figure.torso)
    evidence = np.concatenate([[0], np.cumsum(_bare(figure, profile, usable, shirt))])
    score = evidence[-1] - 2 * evidence
    best = int(np.argmax(score))
    return float(stations[best]) if best < len(stations) else 2.3


def leg_profile(figure: Figure, leg: tuple[int, int, int]) -> LegProfile:
    """Stations, colours and visibility along a leg, from above the hip to below the ankle."""
    stations = np.arange(-0.1, 2.3, STATION)
    return stations, *_profile(figure, figure.body[list(leg)], stations, 0.1 * figure.torso)


def _hems(figure: Figure, legs: list[LegProfile]) -> tuple[float, float]:
    """Where skin begins on each leg; both legs are bare or neither is."""
    hems, gains, shares = [], [], []
    for stations, profile, usable in legs:
        first, last = np.searchsorted(stations, [0.15, 1.78])
        evidence = _bare(figure, profile, usable)
        sums = np.concatenate([[0], np.cumsum(evidence)])
        starts = np.arange(first, last - 4)
        below, above = sums[last] - sums[starts], sums[starts] - sums[first]
        # Taking a leg for bare needs net evidence of 10 cm of skin over taking it for covered.
        gain = below - 0.8 * above + 0.8 * (sums[last] - sums[first]) - 4
        gain[below < 0.35 * (last - starts)] = -np.inf
        best = int(np.argmax(gain))
        hems.append(_sharpest(profile, int(starts[best]), stations))
        gains.append(float(gain[best]))
        shares.append(float((evidence[(stations > 1) & (stations < 1.78)] > 0).mean()))
    bare = [gain > 0 for gain in gains]
    if bare[0] != bare[1]:
        one_leg_bare = sum(shares) > 1
        hems = [hems[bare.index(True)]] * 2
        bare = [one_leg_bare] * 2
    left, right = (hem if is_bare else 2.3 for hem, is_bare in zip(hems, bare, strict=True))
    return left, right


def _sharpest(profile: Float[np.ndarray, "n 3"], start: int, stations: np.ndarray) -> float:
    """The largest colour step within three stations of ``start``."""
    nearby = range(max(2, start - 3), min(len(profile) - 2, start + 3) + 1)
    return float(stations[max(nearby, key=lambda k: colour_step(profile, k, 2))])


def colour_step(profile: Float[np.ndarray, "n 3"], k: int, reach: int) -> float:
    """Colour step at a station, between the medians of both sides."""
    before = np.median(profile[max(k - reach, 0) : k], 0)
    after = np.median(profile[k : k + reach], 0)
    return float(np.linalg.norm((after - before) * TONE))


def _ankle(leg: LegProfile, *, loose: bool = False) -> float:
    """Where the shoe begins: the largest colour step, preferring the place above the ankle.

    Trousers often end elsewhere: cropped above the ankle, or over the shoe. ``loose`` looks there.
    """
    usual = 1.95
    (first, last), width = ((1.5, 2.21), 0.25) if loose else ((1.62, 2.15), 0.2)
    stations, profile, usable = leg
    places = np.flatnonzero((stations > first) & (stations < last) & usable)
    if not len(places):
        return usual
    weights = np.exp(-0.5 * ((stations[places] - usual) / width) ** 2)
    scores = weights * [colour_step(profile, int(k), 4) for k in places]
    best = int(np.argmax(scores))
    return float(stations[places[best]]) if scores[best] > 5 else usual


def _waist(figure: Figure, hem: float) -> tuple[float, float]:
    """Where the colours of upper and lower garment part, and by how much [Lab units].

    Four columns run down the trunk and on along the thighs; each votes for the place where the
    colours above and below differ most, and a place near the hips counts more.
    """
    body = figure.body
    trunk = np.arange(0.12, 1.0, STATION)
    thigh = np.arange(0, min(1.2, max(hem, 0.2)), STATION)
    places = np.concatenate([trunk, 1 + thigh])
    columns = []
    for share in (0.25, 0.4, 0.6, 0.75):
        shoulder = body[11] * (1 - share) + body[12] * share
        hip = body[23] * (1 - share) + body[24] * share
        leg = body[list(LEGS[0] if share < 0.5 else LEGS[1])]
        down_leg, _ = at(leg, thigh)
        onto_leg = (hip - leg[0]) * np.maximum(0, 1 - 2.5 * thigh)[:, None]
        column = np.vstack([shoulder + trunk[:, None] * (hip - shoulder), down_leg + onto_leg])
        columns.append(sample(figure.lab, column))
    columns.append(np.median(np.array(columns), 0))
    votes = []
    tested = range(6, len(places) - 4)
    for column in columns:
        far = [_jump_wide(column, k, 15) for k in tested]
        near = [colour_step(column, k, 3) for k in tested]
        votes.append(0.6 * np.array(far) + 0.4 * np.array(near))
    prior = 0.25 + 0.75 * np.exp(-0.5 * ((places[6:-4] - 1.0) / 0.28) ** 2)
    best = int(np.argmax(np.median(np.array(votes), 0) * prior)) + 6
    return float(places[best]), _jump_wide(columns[-1], best, 15)


def _jump_wide(profile: Float[np.ndarray, "n 3"], k: int, reach: int) -> float:
    """Colour step between the medians of wide stretches on both sides, the border left out."""
    before = np.median(profile[max(k - reach, 0) : max(k - 1, 1)], 0)
    after = np.median(profile[min(k + 1, len(profile) - 1) : k + reach], 0)
    return float(np.linalg.norm((after - before) * TONE))


def _alike(figure: Figure, hem: float) -> float:
    """Compare what covers the chest with what covers the thighs.

    Bright cloth is known again by its hue, in light and shade. Black, grey and white are in every
    wardrobe: the same grey above and below is weak evidence.
    """
    chest = _chest(figure)
    stations = np.arange(0.15, max(0.3, min(hem, 1.9) - 0.08), STATION)
    radius = 0.1 * figure.torso
    thighs = [_profile(figure, figure.body[list(leg)], stations, radius) for leg in LEGS]
    thigh = np.concatenate([colours[usable] for colours, usable in thighs])
    covered = [
        colours[skin_distance(colours, figure.skin) > 0.8] if len(colours) else colours
        for colours in (chest, thigh)
    ]
    if figure.gray or min(len(colours) for colours in covered) < 5:
        return 0.0
    above, below = (np.median(colours, 0) for colours in covered)
    step = float(np.linalg.norm((above - below) * TONE))
    chroma = min(float(np.hypot(*above[1:])), float(np.hypot(*below[1:])))
    if chroma < COLOURFUL:
        return 0.3 if step < 6 else 0.0
    turn = np.arctan2(above[2], above[1]) - np.arctan2(below[2], below[1])
    turn = abs((turn + np.pi) % (2 * np.pi) - np.pi)
    return float(np.clip(2 - turn / SAME_HUE, 0, 1) * np.clip(2 - step / SAME_CLOTH, 0, 1))


def _skirt(figure: Figure, hem: float) -> bool:
    """Whether no background is seen between the legs down to a hem above the ankles."""
    if hem > 1.7:
        return False
    stations = np.arange(0.34, hem - 0.03, 0.03)
    if len(stations) < 3:
        return False
    left, _ = at(figure.body[list(LEGS[0])], stations)
    right, _ = at(figure.body[list(LEGS[1])], stations)
    share = np.linspace(0.15, 0.85, 25)[None, :, None]
    chord = left[:, None] * (1 - share) + right[:, None] * share
    open_share = (sample(figure.inside, chord) < 0.5).mean(1)
    return float((open_share > 0.08).mean()) < 0.15
