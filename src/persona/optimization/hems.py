"""Where the photo shows a skirt to end: its mesh is drawn up or let down to there."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, median_filter
from torch import Tensor

from persona.body.skinning import blend_transforms
from persona.geometry.cameras import Camera
from persona.optimization.skirt import Skirt
from persona.records.observation import Part

FACING = 0.25
"""Least cosine of a direction with the way to the camera [-]."""
ABOVE, BELOW = 0.10, 0.06
"""How far above and below the hem of the mesh the photo's is looked for [m]."""
PROBE = 0.004
"""Distance of places that are looked at [m]."""
NOT_CLOTH = 2
"""Places in a row that show no cloth where a skirt has ended."""
FEWEST_BINS = 5
"""Directions in which a hem must have been found."""
SLOPE_BINS = 4
"""Directions at either end from which a hem is continued to the sides."""
MOST_ON = 0.03
"""Most that it rises or falls on that way [m]."""
STRETCH = 0.16
"""Height over which the mesh is drawn up or let down [m]."""


def with_seen_hem(
    skirt: Skirt,
    T_posed_rest: Float[Tensor, "55 4 4"],
    camera: Camera,
    parts: np.ndarray,
) -> Skirt:
    """Draw a skirt up to where skin begins under it in the photo, or let it down.

    Cloth whose end is painted with the skin that the photo shows there would hang from the skirt as
    a rim of skin. The back ends where the front does.

    Args:
        skirt: In T-pose.
        T_posed_rest: Takes rest points to the photo's pose.
        camera: The photo's.
        parts: A `Part` for every pixel (h, w).
    """
    rims = skirt.rim
    steps = np.arange(skirt.hem + ABOVE, skirt.hem - BELOW, -PROBE)
    probes = np.repeat(skirt.rest[rims][:, None], len(steps), 1)
    probes[..., 1] = steps
    linear, shift = blend_transforms(T_posed_rest, torch.from_numpy(skirt.weights[rims]).float())
    posed = torch.einsum("bij,bkj->bki", linear, torch.from_numpy(probes).float()) + shift[:, None]
    pixels, _ = camera.project(posed.reshape(-1, 3))
    pixels = pixels.numpy().reshape(*probes.shape[:2], 2)
    shown = _read(parts, pixels)
    out = skirt.rest[rims] - skirt.rest[rims].mean(0)
    out[:, 1] = 0
    turned = (linear @ torch.from_numpy(out).float()[..., None])[..., 0]
    way = torch.nn.functional.normalize(camera.position - posed[:, 0], dim=1)
    facing = (torch.nn.functional.normalize(turned, dim=1) * way).sum(1).numpy()
    places, lifts = [], []
    for row in np.flatnonzero(facing > FACING):
        end = _end(np.isin(shown[row], (Part.UPPER, Part.LOWER)))
        if end is not None:
            places.append(skirt.rest[rims[row], 0])
            lifts.append(steps[end] + PROBE / 2 - skirt.hem)
    if len(places) < FEWEST_BINS:
        return skirt
    order = np.argsort(places)
    lift = median_filter(np.array(lifts)[order], 5, mode="nearest")
    lift = gaussian_filter1d(lift, 1, mode="nearest")
    wanted = _continued(np.array(places)[order], lift, skirt.rest[:, 0])
    share = np.clip((skirt.hem + STRETCH - skirt.rest[:, 1]) / STRETCH, 0, 1)
    rest = skirt.rest.copy()
    rest[:, 1] += share * wanted
    return replace(skirt, rest=rest)


def _continued(places: np.ndarray, lifts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Interpolate lifts, and go on past both ends as steeply as they end, but not far."""
    inside = np.interp(wanted, places, lifts)
    for end, first, last in ((0, 0, SLOPE_BINS - 1), (-1, -SLOPE_BINS, -1)):
        slope = (lifts[last] - lifts[first]) / max(places[last] - places[first], 1e-3)
        past = np.minimum(wanted - places[0], 0) if end == 0 else np.maximum(wanted - places[-1], 0)
        inside += np.clip(slope * past, -MOST_ON, MOST_ON)
    return inside


def _read(parts: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Read the part at each pixel; outside the picture its edge repeats."""
    column = np.clip(pixels[..., 0].astype(int), 0, parts.shape[1] - 1)
    row = np.clip(pixels[..., 1].astype(int), 0, parts.shape[0] - 1)
    return parts[row, column]


def _end(cloth: np.ndarray) -> int | None:
    """Find the first of `NOT_CLOTH` places in a row without cloth; None where none is seen."""
    if not cloth[:NOT_CLOTH].all():
        return None  # An arm or a bag hangs before it.
    gap = np.convolve(~cloth, np.ones(NOT_CLOTH), "valid") == NOT_CLOTH
    return int(gap.argmax()) if gap.any() else None
