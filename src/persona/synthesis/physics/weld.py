"""Join the lower rim of a shell to the upper ring of a tube: a dress, a coat."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from persona.synthesis.physics.pieces import open_edges
from persona.synthesis.physics.shell import Sheet


def welded(shell: Sheet, tube: Sheet, *, columns: int) -> Sheet | None:
    """Triangulate between a shell's lowest rim and a tube's first ring.

    Args:
        shell: What is above; its lowest rim runs once around the body.
        tube: What is below; its first ``columns`` vertices are its upper ring, from +x to +z.
        columns: Points around the ring.

    Returns:
        One sheet; None when the shell has no such rim.
    """
    rims = rim_loops(shell.faces)
    around = [rim for rim in rims if _turns(shell.vertices[rim]) != 0]
    if not around:
        return None
    rim = min(around, key=lambda loop: float(shell.vertices[loop, 1].mean()))
    middle = shell.vertices[rim].mean(0)
    base = len(shell.vertices)
    upper, lower = _by_angle(shell.vertices, rim, middle), np.arange(columns) + base
    vertices = np.concatenate([shell.vertices, tube.vertices])
    lower = _by_angle(vertices, lower, middle)
    strip = _zipped(vertices, upper, lower, middle)
    return Sheet(
        vertices=vertices,
        faces=np.concatenate([shell.faces, tube.faces + base, strip]),
        weights=np.concatenate([shell.weights, tube.weights]),
        skin=np.concatenate([shell.skin, tube.skin]),
    )


def rim_loops(faces: Int[ndarray, "f 3"]) -> list[Int[ndarray, " n"]]:
    """List the closed loops of open edges, each in the order of its directed edges."""
    ahead = dict(open_edges(faces).tolist())
    loops = []
    while ahead:
        start, here = ahead.popitem()
        loop = [start]
        while here != start and here in ahead:
            loop.append(here)
            here = ahead.pop(here)
        loops.append(np.array(loop))
    return loops


def _turns(points: Float[ndarray, "n 3"]) -> int:
    """How often a loop goes around the vertical axis through the body's middle."""
    angle = np.arctan2(points[:, 2] - points[:, 2].mean(), points[:, 0])
    steps = np.diff(np.append(angle, angle[0]))
    return round(float(((steps + np.pi) % (2 * np.pi) - np.pi).sum()) / (2 * np.pi))


def _angles(
    vertices: Float[ndarray, "n 3"], ids: Int[ndarray, " k"], middle: Float[ndarray, " 3"]
) -> Float[ndarray, " k"]:
    off = vertices[ids] - middle
    return np.arctan2(off[:, 2], off[:, 0])


def _by_angle(
    vertices: Float[ndarray, "n 3"], ids: Int[ndarray, " k"], middle: Float[ndarray, " 3"]
) -> Int[ndarray, " k"]:
    """Turn a loop so that it runs from +x to +z and begins at the smallest angle."""
    angle = _angles(vertices, ids, middle)
    steps = (np.diff(np.append(angle, angle[0])) + np.pi) % (2 * np.pi) - np.pi
    if steps.sum() < 0:
        ids, angle = ids[::-1], angle[::-1]
    return np.roll(ids, -int(angle.argmin()))


def _zipped(
    vertices: Float[ndarray, "n 3"],
    upper: Int[ndarray, " a"],
    lower: Int[ndarray, " b"],
    middle: Float[ndarray, " 3"],
) -> Int[ndarray, "f 3"]:
    """Close the band between two loops, always advancing the one that lags behind in angle."""
    turns = [
        np.unwrap(np.append(angle, angle[0] + 2 * np.pi))
        for angle in (_angles(vertices, upper, middle), _angles(vertices, lower, middle))
    ]
    i = j = 0
    faces = []
    while i < len(upper) or j < len(lower):
        a, b = upper[i % len(upper)], lower[j % len(lower)]
        above = j >= len(lower) or (i < len(upper) and turns[0][i + 1] <= turns[1][j + 1])
        if above:
            faces.append((a, upper[(i + 1) % len(upper)], b))
            i += 1
        else:
            faces.append((a, lower[(j + 1) % len(lower)], b))
            j += 1
    return np.array(faces)
