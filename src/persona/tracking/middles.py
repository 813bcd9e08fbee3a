"""Where the middle of each limb lies in the person's mask, cut across between two landmarks.

Clothes are wider than the body, but about as wide on either side of a limb: the middle of a cut
tells where the bone is, whatever is worn. Heads are left out, hair is no middle of anything.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float

from persona.perception.detectors import Glimpse, Plane, Sighting
from persona.tracking.sightings import height_px


@dataclass(frozen=True, kw_only=True)
class Measured(Glimpse):
    """A person in a frame, with the middles of limbs in place of the mask."""

    middles: Float[np.ndarray, "c 2"]
    """Where the mask's middle is across each limb [px]."""
    widths: Float[np.ndarray, " c"]
    """How wide it is there [px]; 0 where a cut tells nothing."""


@dataclass(frozen=True)
class Cut:
    """A line across a limb."""

    joint: str
    """Joint whose bone carries the limb here."""
    ends: tuple[tuple[int, ...], tuple[int, ...]]
    """Pose landmarks whose means are the ends of the limb."""
    share: float
    """Where between them, 0 to 1."""
    width: float
    """How wide it is there, naked, in heights of the person."""
    reach: float
    """How far from the line between the ends an edge is looked for, in heights of the person."""


def _cuts() -> tuple[Cut, ...]:
    limbs = (
        ("shoulder", 11, 13, 0.085, ((0.5, 0.05), (0.75, 0.05))),
        ("elbow", 13, 15, 0.075, ((0.2, 0.044), (0.5, 0.036), (0.8, 0.03))),
        ("hip", 23, 25, 0.11, ((0.5, 0.09), (0.75, 0.075))),
        ("knee", 25, 27, 0.09, ((0.15, 0.065), (0.4, 0.065), (0.65, 0.048), (0.9, 0.044))),
    )
    cuts = [
        Cut(f"{side}_{joint}", ((start + k,), (end + k,)), share, width, reach)
        for joint, start, end, reach, places in limbs
        for share, width in places
        for k, side in enumerate(("left", "right"))
    ]
    trunk = ((11, 12), (23, 24))
    return (*cuts, Cut("spine3", trunk, 0.4, 0.17, 0.17), Cut("spine1", trunk, 0.75, 0.17, 0.17))


CUTS: Final = _cuts()
"""All of them: of limbs, left and right in turn; then of the trunk."""
EXCHANGED: Final = (*(k ^ 1 for k in range(len(CUTS) - 2)), len(CUTS) - 2, len(CUTS) - 1)
"""The same cut on the other side."""
BONES: Final = tuple((k, k + 2) for k in (11, 12, 13, 14, 23, 24, 25, 26))
"""Limbs that must not lie in a cut through another one."""
TRUNK: Final = ((11, 12), (23, 24))
"""Landmarks between which the trunk lies."""
STRAY: Final = 0.03
"""How far a limb of the mask may lie beside its landmarks, in heights of the person."""
SHORTEST: Final = 0.06
"""Limbs that look shorter than this point at the camera, and have no across."""
STEPS: Final = 64
"""Samples from the line to the reach, on either side."""
CLEARANCE: Final = 1.15
"""Times the half width of a cut within which no other limb may be."""


@cache
def _ends() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give weights of landmarks at both ends of each cut, and its place between them."""
    weights = np.zeros((2, len(CUTS), 33))
    for row, cut in enumerate(CUTS):
        for end in (0, 1):
            weights[end, row, list(cut.ends[end])] = 1 / len(cut.ends[end])
    return weights[0], weights[1], np.array([cut.share for cut in CUTS])


def measured(seen: Sighting) -> Measured:
    """Keep of a mask what tells of limbs."""
    height = float(height_px(torch.from_numpy(seen.body), torch.from_numpy(seen.world)))
    middles, widths = limb_middles(seen.body, height, seen.mask)
    kept = {f.name: getattr(seen, f.name) for f in fields(Glimpse)}
    return Measured(**kept, middles=middles, widths=widths)


def limb_middles(
    body: Float[np.ndarray, "33 2"], height: float, mask: Plane
) -> tuple[Float[np.ndarray, "c 2"], Float[np.ndarray, " c"]]:
    """Find the middles of all cuts.

    Args:
        body: MediaPipe Pose landmarks [px].
        height: How tall the person would stand in the picture [px].
        mask: How sure the segmenter is of the person.

    Returns:
        The middles [px], and how wide the mask is there [px]; 0 where there is none.
    """
    first, last, share = _ends()
    start, end = first @ body, last @ body
    along = end - start
    length = np.linalg.norm(along, axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(length, 1e-6)[:, None]
    center = start + share[:, None] * along
    reach = height * np.array([cut.reach for cut in CUTS])
    offsets = np.linspace(-1, 1, 2 * STEPS + 1) * reach[:, None]
    spots = center[:, None] + offsets[..., None] * across[:, None]
    low, high, found = _edges(_sampled(mask, spots), offsets, STRAY * height)
    middle = center + ((low + high) / 2)[:, None] * across
    width = high - low
    clear = _clear(body, middle, across, width)
    good = found & clear & (length > SHORTEST * height)
    return np.where(good[:, None], middle, 0.0), np.where(good, width, 0.0)


def _sampled(mask: Plane, spots: Float[np.ndarray, "c s 2"]) -> Float[np.ndarray, "c s"]:
    """Read a mask between pixels; beyond the picture nothing is known (NaN)."""
    rows, columns = mask.shape
    x, y = spots[..., 0] - 0.5, spots[..., 1] - 0.5  # pixel centres are half integers
    inside = (x >= 0) & (y >= 0) & (x < columns - 1) & (y < rows - 1)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    column, row = x.astype(int), y.astype(int)
    right, down = x - column, y - row
    upper = mask[row, column] * (1 - right) + mask[row, column + 1] * right
    lower = mask[row + 1, column] * (1 - right) + mask[row + 1, column + 1] * right
    return np.where(inside, upper * (1 - down) + lower * down, np.nan)


def _edges(
    values: Float[np.ndarray, "c s"], offsets: Float[np.ndarray, "c s"], stray: float
) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"], Bool[np.ndarray, " c"]]:
    """Find both ends of what lies nearest to the middle of each line [px from there]."""
    inside, places, rows = values > 0.5, np.arange(values.shape[1]), np.arange(len(values))
    gaps = np.where(inside, np.abs(offsets), np.inf)
    seed = gaps.argmin(1)
    after = ~inside & (places > seed[:, None])
    before = (~inside & (places < seed[:, None]))[:, ::-1]
    right, left = after.argmax(1), values.shape[1] - 1 - before.argmax(1)
    known = ~np.isnan(values[rows, right]) & ~np.isnan(values[rows, left])
    found = (gaps.min(1) <= stray) & after.any(1) & before.any(1) & known

    def crossing(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
        high, low = values[rows, inner], values[rows, outer]
        share = (high - 0.5) / np.where(found, high - low, 1.0)
        ends = offsets[rows, inner], offsets[rows, outer]
        return np.where(found, ends[0] + share * (ends[1] - ends[0]), 0.0)

    return crossing(np.minimum(left + 1, places[-1]), left), crossing(right - 1, right), found


def _clear(
    body: Float[np.ndarray, "33 2"],
    middle: Float[np.ndarray, "c 2"],
    across: Float[np.ndarray, "c 2"],
    width: Float[np.ndarray, " c"],
) -> Bool[np.ndarray, " c"]:
    """Whether no limb but its own crosses a cut."""
    first, last = body[[a for a, _ in BONES]], body[[b for _, b in BONES]]
    top, bottom = (body[list(pair)].mean(0) for pair in TRUNK)
    first, last = np.vstack([first, top]), np.vstack([last, bottom])
    own = np.array(
        [[cut.ends == ((a,), (b,)) for a, b in BONES] + [cut.ends == TRUNK] for cut in CUTS]
    )
    # Signed places of both ends of every bone along and across every cut.
    ahead = np.stack([across[:, 1], -across[:, 0]], 1)
    a, b = first - middle[:, None], last - middle[:, None]
    rise_a, rise_b = (a * ahead[:, None]).sum(-1), (b * ahead[:, None]).sum(-1)
    side_a, side_b = (a * across[:, None]).sum(-1), (b * across[:, None]).sum(-1)
    crosses = rise_a * rise_b < 0
    share = np.where(crosses, rise_a / np.where(crosses, rise_a - rise_b, 1.0), 0.0)
    where = side_a + share * (side_b - side_a)
    blocked = crosses & (np.abs(where) < CLEARANCE * width[:, None] / 2) & ~own
    return ~blocked.any(1)
