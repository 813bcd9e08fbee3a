"""How far clothes stand off the fitted body, and how wide skirts are, from the person's outline."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.geometry.cameras import photo_camera
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation, Part
from persona.records.wardrobe import LONGEST_M, Standoff, Wardrobe

STEP = 0.05
"""Distance of the places that are measured [bones]."""
FARTHEST = 0.12
"""An outline farther from the body belongs to something else: an arm, a bag [m]."""
NEIGHBOR = 0.02
"""Skin of another limb this near beyond the outline spoils the measurement [m]."""
ENOUGH = 5
"""Places that must have been measured before their median is believed."""
USUAL = Standoff(trunk=0.012, arms=0.010, thighs=0.010, shins=0.012)
"""What clothes stand off where the outline does not tell [m]."""
MOST_LOOSE = 0.035
"""What a top stands off the trunk at most, as far as its sleeves tell [m]."""
CHAINS = {
    "trunk": ("neck", "pelvis"),
    "arms": ("shoulder", "elbow", "wrist"),
    "legs": ("hip", "knee", "ankle"),
}


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What the outline tells about clothes."""

    standoff: Standoff
    """Median distance of cloth and skin."""
    leg_places: Float[ndarray, " l"]
    """Where trousers' distance was measured, counted along the legs [bones]; rising."""
    leg_gaps: Float[ndarray, " l"]
    """That distance, both legs and sides together, smoothed [m]."""
    places: Float[ndarray, " k"]
    """Where a skirt's width was measured, counted along the legs [bones]."""
    half_widths: Float[ndarray, " k"]
    """Half the width of cloth there [m]; 0 where none was seen."""


def measure_outline(
    body: SmplxBody, fit: BodyFit, observation: Observation, wardrobe: Wardrobe
) -> Outline:
    """Compare the person's outline with that of the naked body, across trunk and limbs.

    Args:
        body: The body of the fit.
        fit: The naked body in the photo.
        observation: Whose mask is the outline.
        wardrobe: Which stretches are covered.
    """
    seen = _Seen.of(body, fit, observation)
    trunk = seen.gaps(("neck", "pelvis"), 0.35, min(1.0, wardrobe.upper_hem))
    arms, legs = [], []
    for index, side in enumerate(("left", "right")):
        arm = tuple(f"{side}_{name}" for name in CHAINS["arms"])
        leg = tuple(f"{side}_{name}" for name in CHAINS["legs"])
        arms += seen.gaps(arm, 0.35, min(1.85, wardrobe.sleeves[index] - 0.08))
        legs += seen.gaps(leg, 0.35, min(1.9, wardrobe.hems[index] - 0.06))
    loose = _median(arms, USUAL.arms)
    standoff = Standoff(
        # Where arms hide the flanks, sleeves tell how loose a top is.
        trunk=_median(trunk, float(np.clip(1.5 * loose, USUAL.trunk, MOST_LOOSE))),
        arms=loose,
        thighs=_median([one for one in legs if one[0] < 1], USUAL.thighs),
        shins=_median([one for one in legs if one[0] > 1.1], USUAL.shins),
    )
    leg_places, leg_gaps = _profile(legs)
    places = np.arange(0.0, 2.2, 0.1)
    widths = np.array([seen.cloth_half_width(place) for place in places])
    return Outline(
        standoff=standoff,
        leg_places=leg_places,
        leg_gaps=leg_gaps,
        places=places,
        half_widths=widths,
    )


def missing_arms(observation: Observation) -> frozenset[str]:
    """Name the arms whose elbow lies outside the picture, for `make_garments`."""
    height, width = observation.mask.shape
    elbows = {"left_arm": observation.body[13], "right_arm": observation.body[14]}
    return frozenset(
        name
        for name, (x, y) in elbows.items()
        if not (0 <= float(x) < width and 0 <= float(y) < height)
    )


def _median(gaps: list[tuple[float, float]], usual: float) -> float:
    if len(gaps) < ENOUGH:
        return usual
    return float(np.clip(np.median([gap for _, gap in gaps]), 0.0, LONGEST_M))


def _profile(
    gaps: list[tuple[float, float]],
) -> tuple[Float[ndarray, " l"], Float[ndarray, " l"]]:
    """Take the median at each place, and smooth along the leg; nothing where little was seen."""
    if len(gaps) < ENOUGH:
        return np.zeros(0), np.zeros(0)
    places, values = np.array(gaps).T
    stops = np.arange(places.min(), places.max() + STEP, STEP)
    near = [values[np.abs(places - stop) < 1.5 * STEP] for stop in stops]
    known = np.array([len(some) > 0 for some in near])
    medians = np.array([np.median(some) for some in near if len(some)])
    filled = np.interp(stops, stops[known], medians)
    return stops, np.clip(gaussian_filter1d(filled, 2, mode="nearest"), 0, LONGEST_M)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The mask and the naked body, both in pixels."""

    mask: Bool[ndarray, "h w"]
    cloth: Bool[ndarray, "h w"]
    joints: Float[ndarray, "55 2"]
    vertices: Float[ndarray, "v 2"]
    weights: Float[ndarray, "v 55"]
    pixels_per_m: Float[ndarray, " 55"]

    @classmethod
    def of(cls, body: SmplxBody, fit: BodyFit, observation: Observation) -> "_Seen":
        with torch.no_grad():
            posed = body.forward(
                fit.params,
                joint_offsets=fit.identity.joint_offsets,
                vertex_offsets=fit.identity.vertex_offsets,
            )
            camera = photo_camera(*fit.image_size, fit.focal_px)
            joints, depth = camera.project(posed.joints)
            vertices, _ = camera.project(posed.vertices)
        parts = observation.parts.numpy()
        return cls(
            mask=observation.mask.numpy() > 0.5,
            cloth=np.isin(parts, (Part.UPPER, Part.LOWER)),
            joints=joints.double().numpy(),
            vertices=vertices.double().numpy(),
            weights=body.weights.numpy(),
            pixels_per_m=fit.focal_px / depth.double().numpy(),
        )

    def gaps(self, chain: tuple[str, ...], first: float, last: float) -> list[tuple[float, float]]:
        """Measure outline minus body on both sides of a limb: places [bones] and distances [m]."""
        ids = [JOINT_IDS[name] for name in chain]
        own = self.weights[:, [*ids[:-1], *_BETWEEN.get(chain[0], ())]].sum(1) > 0.5
        points, others = self.vertices[own], self.vertices[~own]
        found = []
        for place in np.arange(first, last, STEP):
            bone = min(int(place), len(ids) - 2)
            start, along = (
                self.joints[ids[bone]],
                self.joints[ids[bone + 1]] - self.joints[ids[bone]],
            )
            length = float(np.linalg.norm(along))
            scale = float(self.pixels_per_m[ids[bone]])
            if length < 0.06 * scale:
                continue  # points at the camera
            unit = along / length
            middle = start + (place - bone) * along
            off = points - middle
            near = np.abs(off @ unit) < 0.02 * scale
            side = off @ np.array([-unit[1], unit[0]])
            if near.sum() < 4:
                continue
            beside = others - middle
            beside = beside[np.abs(beside @ unit) < 0.02 * scale] @ np.array([-unit[1], unit[0]])
            for sign in (1, -1):
                skin = float((sign * side[near]).max()) / scale
                edge = self._edge(middle, sign * np.array([-unit[1], unit[0]]), scale)
                if edge is None or not -0.03 < edge - skin < FARTHEST:
                    continue
                neighbors = sign * beside / scale
                # Another limb before the background: its cloth, not this one's.
                if not ((neighbors > 0.5 * skin) & (neighbors < edge + NEIGHBOR)).any():
                    found.append((float(place), edge - skin))
        return found

    def _edge(self, start: ndarray, way: ndarray, scale: float) -> float | None:
        """Walk outwards to the first pixel beside the person; its distance [m]."""
        steps = np.arange(0, 0.35 * scale, 0.5)
        places = start + steps[:, None] * way
        inside = _read(self.mask, places)
        return None if inside.all() or not inside[0] else float(steps[inside.argmin()]) / scale

    def cloth_half_width(self, place: float) -> float:
        """Measure half the width of unbroken cloth at a place along the legs [m]; 0 for none."""
        bone = min(int(place), 1)
        ends = []
        for side in ("left", "right"):
            ids = [JOINT_IDS[f"{side}_{name}"] for name in CHAINS["legs"]]
            start, end = self.joints[ids[bone]], self.joints[ids[bone + 1]]
            ends.append(start + (place - bone) * (end - start))
        middle = (ends[0] + ends[1]) / 2
        hips = self.joints[JOINT_IDS["left_hip"]] - self.joints[JOINT_IDS["right_hip"]]
        way = hips / max(float(np.linalg.norm(hips)), 1e-6)
        scale = float(self.pixels_per_m[JOINT_IDS["pelvis"]])
        steps = np.arange(0, 0.8 * scale, 0.5)
        reach = []
        for sign in (1, -1):
            here = _read(self.cloth, middle + sign * steps[:, None] * way)
            if not here[:3].any():
                return 0.0
            ends_at = np.flatnonzero(here)[-1] if here.all() else int(here[3:].argmin()) + 3
            reach.append(float(steps[ends_at]) / scale)
        # An arm or a bag before the cloth shortens one side; the other tells.
        return max(reach) if min(reach) < 0.6 * max(reach) else sum(reach) / 2


_BETWEEN = {"neck": (0, 3, 6, 9, 13, 14), "left_shoulder": (), "right_shoulder": ()}
"""Joints beside the chain's own that carry a limb's skin."""


def _read(flags: Bool[ndarray, "h w"], places: Float[ndarray, "n 2"]) -> Bool[ndarray, " n"]:
    """Read flags at pixels; False outside the picture."""
    columns, rows = np.floor(places).astype(int).T
    inside = (rows >= 0) & (rows < flags.shape[0]) & (columns >= 0) & (columns < flags.shape[1])
    found = np.zeros(len(places), bool)
    found[inside] = flags[rows[inside], columns[inside]]
    return found
