"""What the unseen sides of a head show: hair where hair goes on, skin elsewhere."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from persona.optimization.limbs import Limb
from persona.optimization.surface import Surface
from persona.records.observation import Part

EAR_VERTICES = (6, 616)
"""Left and right ear lobe, by SMPL-X's own vertex numbers."""
BEHIND_EARS = 0.0
"""Hair begins this far behind the middle of the ears [m]."""
NAPE = 0.03
"""Hair ends this far below the ear lobes on the nape [m]."""
HAIRLINE = ((0.02, 0.045), (0.08, 0.115))
"""Above the line through these two places a head that has hair shows hair from every side: from
the temple to the forehead, each so far before and above the ear lobes [m]."""
TURNED = math.radians(13)
"""A face that is turned farther from the camera has a near and a far half [rad]."""
UNDER_HAIR = 0.02
"""What the shell of hair covers more closely than this is hair as well [m]."""
CONTINUES = 0.05
"""Within this distance of a seen Gaussian an unseen one shows the same [m]."""
TWIN = 0.012
"""A place on one half of a head is the other half's twin within this distance [m]."""
HEAD_VOTERS = 24
"""Seen Gaussians that decide together what an unseen one beside them shows."""
CROWN = 0.35
"""Share of the seen hair, from the top, that is hair for certain [-]."""
LIKE_SKIN = 0.15
"""Hair that differs less from the face in every channel cannot be told from scalp [sRGB]."""
FOLD = 0.012
"""Width of the columns in which the hairline is looked up [m]."""


@dataclass(frozen=True)
class Ears:
    """Where the ear lobes are in the rest pose: they divide a head into face and rest."""

    depth: float
    """z of both [m]."""
    height: float
    """y of both [m]."""

    def nape_plane(self, rest: np.ndarray, in_camera: np.ndarray) -> np.ndarray:
        """Find the plane at which short hair ends; points as of `head_axes`.

        Returns:
            Normal, upwards along the head, and offset [m]: above the plane ``normal . point +
            offset`` is positive, (4,).
        """
        up = head_axes(rest, in_camera)[:, 1]
        level = self.height - NAPE - rest[:, 1].mean()
        return np.r_[up, -up @ in_camera.mean(0) - level]

    def in_face(self, rest: np.ndarray) -> np.ndarray:
        """Tell which rest-pose points of a head lie before the ears and below the hairline."""
        (near, low), (far, high) = HAIRLINE
        before = rest[:, 2] - self.depth
        hairline = low + (before - near) / (far - near) * (high - low)
        return (before > near) & (rest[:, 1] - self.height < hairline)


def find_ears(rest_vertices: np.ndarray) -> Ears:
    """Find the ears of a body of SMPL-X's topology in its rest pose, (v, 3) [m]."""
    lobes = rest_vertices[list(EAR_VERTICES)]
    return Ears(depth=float(lobes[:, 2].mean()), height=float(lobes[:, 1].mean()))


def head_axes(rest: np.ndarray, in_camera: np.ndarray) -> np.ndarray:
    """Find where a head's left, up and ahead point, as columns of a rotation (3, 3).

    Args:
        rest: Points of the head in the rest pose [m], (k, 3).
        in_camera: The same points in the photo's camera [m], (k, 3).
    """
    before, after = rest - rest.mean(0), in_camera - in_camera.mean(0)
    u, _, v = np.linalg.svd(after.T @ before)
    return u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v


def far_side(rest: np.ndarray, in_camera: np.ndarray) -> int:
    """Tell which half of a face is turned away from the camera; points as of `head_axes`.

    Returns:
        1 for the person's left half, where x > 0 at rest, -1 for the right one, 0 where both show.
    """
    toward = -in_camera.mean(0) / np.linalg.norm(in_camera.mean(0))
    to_its_left = float(toward @ head_axes(rest, in_camera)[:, 0])
    return 0 if abs(to_its_left) < math.sin(TURNED) else -1 if to_its_left > 0 else 1


def far_cheek(rest: np.ndarray, on_head: np.ndarray, side: int, ears: Ears) -> np.ndarray:
    """Find the points of a face on the half that `far_side` named, bool (n,)."""
    return on_head & ears.in_face(rest) & (rest[:, 0] * side > 0)


def bare_on_other_side(
    rest_vertices: np.ndarray, averted: np.ndarray, pixels: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """Find the places of an averted cheek whose twins on the other cheek are seen to be skin.

    A face is its own mirror image: a lock of hair that seems to lie there belongs to the temple
    beyond, whose picture is beside it.

    Args:
        rest_vertices: A body of SMPL-X's topology in its rest pose, (v, 3) [m].
        averted: Its averted cheek, (v,), from `far_cheek`.
        pixels: Where the vertices are in the picture (x, y) [px], (v, 2).
        parts: A `Part` for every pixel, (h, w).
    """
    bare = np.zeros(len(averted), bool)
    if not averted.any():
        return bare
    here = np.where(averted)[0]
    seen = np.where(~averted)[0]
    mirrored = rest_vertices[here] * np.array([-1.0, 1.0, 1.0])
    distance, nearest = cKDTree(rest_vertices[seen]).query(mirrored)
    at = np.clip(pixels[seen[nearest]].astype(int), 0, [parts.shape[1] - 1, parts.shape[0] - 1])
    bare[here] = (distance < TWIN) & (parts[at[:, 1], at[:, 0]] == Part.SKIN)
    return bare


def head_parts(
    surface: Surface, ears: Ears, *, under_hair: np.ndarray, shows_skin: np.ndarray
) -> np.ndarray:
    """Label the unseen Gaussians of the head.

    Args:
        surface: Parts are believed where seen.
        ears: Of the person at rest.
        under_hair: Whether the shell of hair lies close over it, (n,).
        shows_skin: Whether its pixel shows skin and nothing stands before it, (n,): hair beside a
            face is never painted on it.

    Returns:
        A `Part` for each Gaussian; only unseen ones of the head change.
    """
    part = surface.part.copy()
    unknown = (surface.limb == Limb.HEAD) & ~surface.seen & ~surface.hair_shell
    shell = surface.hair_shell & ~surface.seen
    seen_head = (surface.limb == Limb.HEAD) & surface.seen
    has_hair = bool(surface.hair_shell.any()) or _share(part[seen_head], Part.HAIR) > 0.1
    height = surface.rest[:, 1] - ears.height
    back = (surface.rest[:, 2] < ears.depth - BEHIND_EARS) & (height > -NAPE)
    known = np.where((surface.limb == Limb.HEAD) & surface.seen & ~surface.hair_shell)[0]
    part[unknown] = Part.SKIN
    if has_hair and len(known):
        # A scalp that turns away goes on as what it was where it was last seen.
        here = np.where(unknown)[0]
        close, voted = _neighbors_say(surface.rest[known], part[known], surface.rest[here])
        part[here[close]] = voted[close]
        crown = ~ears.in_face(surface.rest) & (height > HAIRLINE[0][1])
        part[unknown & (back | crown)] = Part.HAIR
        jaw = (height < 0) & ~back
        part[unknown & jaw] = Part.SKIN
    part[shell | (unknown & under_hair)] = Part.HAIR
    if len(known):
        mine, twin = head_twins(surface, np.where(unknown)[0], known)
        part[mine] = part[twin]
    part[unknown & shows_skin & ears.in_face(surface.rest)] = Part.SKIN
    return part


def looks_like_skin(surface: Surface) -> np.ndarray:
    """Find seen Gaussians that pass for hair and show scalp or forehead, bool (n,).

    Thin hair, a fringe and a hairline that was taken too low have the face's colour between the
    strands. What is nearer to the face's colour than to the crown's is skin; hair as fair as skin
    is hair, all of it.
    """
    hair = surface.seen & (surface.part == Part.HAIR) & (surface.limb == Limb.HEAD)
    face = surface.seen & (surface.part == Part.SKIN) & (surface.limb == Limb.HEAD)
    found = np.zeros(len(hair), bool)
    if not hair.any() or not face.any():
        return found
    height = surface.rest[:, 1]
    top = hair & (height >= np.quantile(height[hair], 1 - CROWN))
    skin = np.median(surface.color[face], 0)
    # Half of what is on top may still be forehead.
    unlike = np.linalg.norm(surface.color - skin, axis=1)
    crown = np.median(surface.color[top & (unlike >= np.median(unlike[top]))], 0)
    if np.abs(crown - skin).max() < LIKE_SKIN:
        return found
    return hair & (unlike < np.linalg.norm(surface.color - crown, axis=1))


def head_twins(
    surface: Surface, wanted: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find on the seen half of a head what the other half hides: a face is its own mirror image.

    Args:
        surface: In the rest pose, where the head's middle is at x = 0.
        wanted: Rows to look for.
        known: Rows to look among.

    Returns:
        The wanted rows that have a twin, and the twin of each.
    """
    mirrored = surface.rest[wanted] * np.array([-1.0, 1.0, 1.0])
    distance, nearest = cKDTree(surface.rest[known]).query(mirrored)
    near = distance < TWIN
    return wanted[near], known[nearest[near]]


def _neighbors_say(
    known_rest: np.ndarray, known_part: np.ndarray, here_rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Let the nearest seen Gaussians vote; whether any is close, and the winning part."""
    voters = min(HEAD_VOTERS, len(known_rest))
    distance, ids = cKDTree(known_rest).query(here_rest, voters)
    distance, ids = distance.reshape(-1, voters), ids.reshape(-1, voters)
    votes = np.zeros((len(here_rest), len(Part)))
    np.add.at(votes, (np.arange(len(here_rest))[:, None], known_part[ids]), 1.0)
    return distance[:, 0] < CONTINUES, votes.argmax(1)


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
