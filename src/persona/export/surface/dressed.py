"""The body's mesh pulled out to where the Gaussians on it lie: skin, and clothes as they stand."""

from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from scipy.sparse.linalg import splu
from torch import Tensor

from persona.avatar.avatar import Avatar, neutral_vertices
from persona.geometry.meshes import uniform_laplacian

SMOOTHNESS: Final = 1.0
"""What bending of the offsets costs, over what missing one Gaussian costs [-]."""
HOLD: Final = 1e-3
"""How firmly the skin stays where no Gaussian says anything [-]."""


def dressing(avatar: Avatar) -> Float[Tensor, "v 3"]:
    """Say how far each vertex of the rest body must move to lie among its Gaussians [m].

    Least squares over Gaussians on triangles, smooth between them. A hem closes to the skin under
    it, and what hangs free of the body, such as hair and skirts, is not in it: see `shells`.
    """
    binding, body = avatar.binding, avatar.body
    rest = neutral_vertices(body, avatar.identity)
    rows = (binding.face_ids >= 0).nonzero()[:, 0]
    corners = body.faces[binding.face_ids[rows]]
    shares = binding.barycentric[rows]
    under = (rest[corners] * shares[..., None]).sum(1)
    apart = (avatar.canonical.means[rows] - under).double().numpy()
    trust = avatar.canonical.opacities[rows].double().numpy()
    ids = np.repeat(np.arange(len(rows)), 3)
    entries = (shares.double().numpy().ravel(), (ids, corners.numpy().ravel()))
    reads = sp.csr_array(entries, (len(rows), body.vertex_count))
    bend = uniform_laplacian(body.faces, body.vertex_count)
    normal = reads.T @ sp.diags_array(trust) @ reads + SMOOTHNESS * (bend.T @ bend)
    normal = normal + HOLD * sp.eye_array(body.vertex_count)
    solved = splu(sp.csc_matrix(normal)).solve(reads.T @ (trust[:, None] * apart))
    return torch.from_numpy(solved).float()
