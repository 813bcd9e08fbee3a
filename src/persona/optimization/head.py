"""What the unseen sides of a head show: hair where hair goes on, skin elsewhere."""

import numpy as np
from scipy.spatial import cKDTree

from persona.optimization.limbs import Limb
from persona.optimization.surface import Surface
from persona.records.observation import Part

BEHIND_EARS = 0.0
"""Hair begins this far behind the middle of the ears [m]."""
NAPE = 0.03
"""Hair ends this far below the ear lobes on the nape [m]."""
CROWN = 0.065
"""This far above the ear lobes a head that has hair shows hair from every side [m]."""
CONTINUES = 0.05
"""Within this distance of a seen Gaussian an unseen one shows the same [m]."""
FOLD = 0.012
"""Width of the columns in which the hairline is looked up [m]."""


def head_parts(surface: Surface, *, ear_depth: float, ear_height: float) -> np.ndarray:
    """Label the unseen Gaussians of the head.

    Args:
        surface: Parts are believed where seen.
        ear_depth: z of the ears in the rest pose [m].
        ear_height: y of the ear lobes in the rest pose [m].

    Returns:
        A `Part` for each Gaussian; only unseen ones of the head change.
    """
    part = surface.part.copy()
    unknown = (surface.limb == Limb.HEAD) & ~surface.seen
    shell = surface.hair_shell & ~surface.seen
    seen_head = (surface.limb == Limb.HEAD) & surface.seen
    has_hair = bool(surface.hair_shell.any()) or _share(part[seen_head], Part.HAIR) > 0.1
    back = (surface.rest[:, 2] < ear_depth - BEHIND_EARS) & (surface.rest[:, 1] > ear_height - NAPE)
    known = np.where((surface.limb == Limb.HEAD) & surface.seen)[0]
    part[unknown] = Part.SKIN
    if has_hair and len(known):
        # A scalp that turns away goes on as what it was where it was last seen.
        here = np.where(unknown)[0]
        distance, nearest = cKDTree(surface.rest[known]).query(surface.rest[here])
        close = distance < CONTINUES
        part[here[close]] = part[known[nearest[close]]]
        crown = surface.rest[:, 1] > ear_height + CROWN
        part[unknown & (back | crown)] = Part.HAIR
        jaw = (surface.rest[:, 1] < ear_height) & ~back
        part[unknown & jaw] = Part.SKIN
    part[shell] = Part.HAIR
    return part


def hair_source_points(seen_rest: np.ndarray, target_rest: np.ndarray) -> np.ndarray:
    """Fold places without hair in front back up into the hair, so that texture continues.

    Behind the face there is no hair in the photo to copy. Mirroring at the hairline of the same
    column fetches hair from above it instead of smearing its edge.

    Args:
        seen_rest: Seen hair in the rest pose [m], (m, 3).
        target_rest: Unseen hair [m], (n, 3).

    Returns:
        Points (x, y) at which to look for seen hair [m], (n, 2).
    """
    columns = np.round(seen_rest[:, 0] / FOLD).astype(int)
    wanted = np.round(target_rest[:, 0] / FOLD).astype(int)
    points = target_rest[:, :2].copy()
    everywhere = (np.percentile(seen_rest[:, 1], 10), seen_rest[:, 1].max())
    for column in np.unique(wanted):
        here = seen_rest[columns == column, 1]
        low, high = _top_run(here) if len(here) > 8 else everywhere
        rows = wanted == column
        period = max(high - low, 0.01)
        phase = np.mod(points[rows, 1] - low, 2 * period)
        points[rows, 1] = low + np.where(phase > period, 2 * period - phase, phase)
    return points


def nearest_hair(seen_rest: np.ndarray, target_rest: np.ndarray) -> np.ndarray:
    """Find for every unseen piece of hair a seen one to copy; indices into ``seen_rest``."""
    points = hair_source_points(seen_rest, target_rest)
    return cKDTree(seen_rest[:, :2]).query(points)[1]


def _top_run(heights: np.ndarray) -> tuple[float, float]:
    """Follow hair down from the crown until the first gap of two centimetres."""
    ordered = np.sort(heights)[::-1]
    gaps = np.where(-np.diff(ordered) > 0.02)[0]
    end = ordered[gaps[0]] if len(gaps) else ordered[-1]
    return float(end), float(ordered[0])


def _share(parts: np.ndarray, part: Part) -> float:
    return float((parts == part).mean()) if len(parts) else 0.0
