"""A texture for the body: which point of the surface each texel is, and what colour it has."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from persona.body import SmplxBody
from persona.kernels.mesh import rasterize_mesh

TEXELS: Final = 2048
"""Rows and columns of a texture."""


@dataclass(frozen=True, kw_only=True)
class Texels:
    """The texels that lie on the surface."""

    size: int
    """Rows and columns of the whole texture."""
    places: Int[Tensor, " p"]
    """Which texels, row by row."""
    face_ids: Int[Tensor, " p"]
    """Triangle of each."""
    barycentric: Float[Tensor, "p 3"]
    """Place on it."""

    def gather(self, faces: Int[Tensor, "f 3"], values: Float[Tensor, "v c"]) -> Tensor:
        """Read values of the vertices at the texels (p, c)."""
        return (values[faces[self.face_ids]] * self.barycentric[..., None]).sum(1)

    def picture(self, colors: Float[Tensor, "p 3"]) -> UInt8[np.ndarray, "s s 3"]:
        """Lay colours out; what is on no surface takes the nearest, so that no seam shows."""
        whole = np.zeros((self.size * self.size, 3), np.uint8)
        whole[self.places.numpy()] = (colors.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        empty = np.ones(self.size * self.size, bool)
        empty[self.places.numpy()] = False
        nearest = distance_transform_edt(
            empty.reshape(self.size, self.size), return_distances=False, return_indices=True
        )
        rows, columns = np.asarray(nearest)
        return whole.reshape(self.size, self.size, 3)[rows, columns]


def texels_of(body: SmplxBody, size: int = TEXELS) -> Texels:
    """Find the texels on the body's surface; its texture coordinates begin at the bottom left."""
    flipped = body.uv * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])
    face_ids, barycentric, _ = rasterize_mesh(
        flipped * size, torch.ones(len(body.uv)), body.uv_faces, width=size, height=size
    )
    places = (face_ids.flatten() >= 0).nonzero()[:, 0]
    return Texels(
        size=size,
        places=places,
        face_ids=face_ids.flatten()[places].long(),
        barycentric=barycentric.reshape(-1, 3)[places],
    )
