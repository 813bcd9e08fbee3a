"""Gaussians: a cloud ready to draw, with its invariants."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Gaussians:
    """Oriented 3D Gaussians in the world; rows belong together.

    Checked where they are made from strangers' bytes, not on every frame.
    """

    means: Float[Tensor, "n 3"]
    """Centres [m], world frame."""
    covariances: Float[Tensor, "n 6"]
    """Upper triangles xx, xy, xz, yy, yz, zz [m^2], world frame."""
    opacities: Float[Tensor, " n"]
    """In [0, 1]."""
    colors: Float[Tensor, "n 3"]
    """sRGB in [0, 1]; no view dependence."""
    normals: Float[Tensor, "n 3"]
    """Unit surface normals, world frame."""

    @property
    def count(self) -> int:
        """Rows."""
        return self.means.shape[0]
