"""Tell inside from outside by how often a surface goes around a point."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.types import Faces

CHUNK = 100
"""Points at once; with a body's 28,000 faces, 34 MB a number."""


def winding_numbers(
    points: Float[Tensor, "n 3"], vertices: Float[Tensor, "v 3"], faces: Faces
) -> Float[Tensor, " n"]:
    """Count how often a closed surface goes around each point.

    It is 1 inside and 0 outside; where a surface passes through itself, 2 inside of both. With
    holes it goes smoothly from one to the other. Every face is asked for every point: exact, slow.

    Args:
        points: Where to ask [m].
        vertices: Of the surface [m].
        faces: Triangles, counter-clockwise seen from outside.

    References:
        Van Oosterom and Strackee, "The solid angle of a plane triangle", 1983.
    """
    total = []
    for some in points.split(CHUNK):
        a, b, c = (vertices[faces[:, k]] - some[:, None] for k in range(3))
        la, lb, lc = (side.norm(dim=-1) for side in (a, b, c))
        volume = (a * torch.linalg.cross(b, c, dim=-1)).sum(-1)
        flat = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
        total.append(torch.atan2(volume, flat).sum(-1) / (2 * torch.pi))
    return torch.cat(total) if total else points.new_zeros(0)
