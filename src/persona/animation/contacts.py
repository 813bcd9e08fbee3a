"""Find where the feet of a captured motion stand, and hold them there."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.animation.grounding import plant, sole_paths
from persona.animation.legs import smooth
from persona.records.motion import Motion

LOW: Final = 0.03
"""A sole point no higher than this above the floor may stand [m]: captured feet are this wrong."""
SLOW: Final = 0.3
"""A sole point slower than this may stand [m/s]; captured feet that stand creep."""
SHORTEST: Final = 0.1
"""A stand that is over sooner is none [s]."""
GAP: Final = 0.07
"""A stand interrupted for no longer goes on [s]."""
SMOOTHING: Final = 0.04
"""Speeds are of paths smoothed over this long either way [s]."""
LONGEST_FLIGHT: Final = 1.0
"""Nobody is off the floor for longer [s]."""
FLOATING: Final = 0.06
"""Soles that never come nearer than this to the floor for so long float [m]."""
FLOATING_SHARE: Final = 0.25
"""From this share of floating frames on the capture has lost the floor; less is a step climbed."""
FLOOR_BAND: Final = 0.15
"""Whoever stands stands within this of the lowest of all [m]; higher is a step or a jump."""


@dataclass(frozen=True, kw_only=True)
class Contacts:
    """Where feet stand in a motion of the mean body."""

    standing: Bool[Tensor, "t 2 3"]
    """Heel, ball and toe of the left foot, then of the right."""
    floor: float
    """Height of the floor [m]."""
    skating: float
    """How far a standing sole point slides over the floor from frame to frame, median [mm]."""
    sunk: bool = False
    """Whether the capture floated and was let down first."""


def find_contacts(motion: Motion) -> Contacts:
    """Find stands: sole points that are low and slow for a while.

    The floor is where slow feet are, on median, among those near the lowest; it is level and one.
    """
    points = sole_paths(motion)
    calm = smooth(points, round(SMOOTHING * motion.fps))
    speed = _speeds(calm, motion.fps)
    lowest = points[..., 1].amin(-1)
    slow = speed.amin(-1) < SLOW
    near = lowest < lowest.quantile(0.02) + FLOOR_BAND
    level = lowest[slow & near] if bool((slow & near).any()) else lowest
    floor = float(level.median())
    standing = (points[..., 1] < floor + LOW) & (speed < SLOW)
    for foot in range(2):
        for point in range(3):
            standing[:, foot, point] = lasting(standing[:, foot, point], motion.fps)
    return Contacts(standing=standing, floor=floor, skating=skating(points, standing))


def lock_feet(motion: Motion) -> tuple[Motion, Contacts, float]:
    """Hold standing feet where they stand.

    A capture that floats most of the time, as suits of inertial sensors do after a while, is let
    down onto the floor first.

    Returns:
        The motion with the floor at y = 0, the contacts it had, and the skating that is left [mm].
    """
    found = find_contacts(motion)
    motion, sunk = _sink(motion)
    if sunk:
        found = replace(find_contacts(motion), sunk=True)
    planted = plant(motion, found.standing, floor=found.floor)
    return planted, found, skating(sole_paths(planted), found.standing)


def _sink(motion: Motion) -> tuple[Motion, bool]:
    """Let a capture down that has lost the floor; say whether it had."""
    lowest = sole_paths(motion)[..., 1].amin((-1, -2))
    radius = round(LONGEST_FLIGHT / 2 * motion.fps)
    if radius < 1 or len(lowest) <= 2 * radius:
        return motion, False
    padded = torch.nn.functional.pad(-lowest[None, None], (radius, radius), mode="replicate")
    support = -torch.nn.functional.max_pool1d(padded, 2 * radius + 1, stride=1)[0, 0]
    floats = support > support.quantile(0.05) + FLOATING
    if float(floats.double().mean()) < FLOATING_SHARE:
        return motion, False
    transl = motion.params.transl.clone()
    transl[:, 1] -= smooth(support, radius).to(transl.dtype)
    return replace(motion, params=replace(motion.params, transl=transl)), True


def skating(points: Float[Tensor, "t 2 3 3"], standing: Bool[Tensor, "t 2 3"]) -> float:
    """Give the median slide of standing points from frame to frame [mm], 0 where none stands."""
    if len(points) < 2:
        return 0.0
    slide = (points[1:] - points[:-1])[..., (0, 2)].norm(dim=-1)
    both = standing[1:] & standing[:-1]
    return 1000 * float(slide[both].median()) if bool(both.any()) else 0.0


def _speeds(points: Float[Tensor, "t 2 3 3"], fps: float) -> Float[Tensor, "t 2 3"]:
    if len(points) < 2:
        return torch.zeros(points.shape[:-1], dtype=points.dtype)
    step = (points[1:] - points[:-1]).norm(dim=-1) * fps
    return torch.minimum(torch.cat([step[:1], step]), torch.cat([step, step[-1:]]))


def lasting(flags: Bool[Tensor, " t"], fps: float) -> Bool[Tensor, " t"]:
    """Close short gaps, then drop short stands."""
    values = flags.tolist()
    for wanted, longest in ((False, GAP), (True, SHORTEST)):
        start = 0
        for k in range(1, len(values) + 1):
            if k < len(values) and values[k] == values[start]:
                continue
            inner = start > 0 and k < len(values)
            short = k - start < longest * fps and (inner or (wanted and len(values) > k - start))
            if values[start] == wanted and short:
                values[start:k] = [not wanted] * (k - start)
            start = k
    return torch.tensor(values)
