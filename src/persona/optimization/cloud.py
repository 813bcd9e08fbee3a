"""Gaussians while they are being made: posed as in the photo, with what they stand on."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.avatar.binding import Binding


@dataclass(frozen=True, kw_only=True)
class PhotoCloud:
    """Gaussians in the photo's pose and in the rest pose; rows belong together."""

    means: Float[Tensor, "n 3"]
    """Centres in the photo's pose [m], world frame."""
    normals: Float[Tensor, "n 3"]
    """Unit normals there, outward."""
    quats_wxyz: Float[Tensor, "n 4"]
    """Axes there; the third is the normal."""
    log_scales: Float[Tensor, "n 3"]
    """Log standard deviations along the axes [log m]."""
    rest_means: Float[Tensor, "n 3"]
    """Centres in the rest pose [m], with clothes."""
    rest_body: Float[Tensor, "n 3"]
    """The naked body's surface under them, rest pose [m]; shells: their own place."""
    binding: Binding
    """What carries them."""
    limb: Int[Tensor, " n"]
    """A `Limb` for each."""
    is_hair: Float[Tensor, " n"]
    """1 on the hair's shell, else 0."""
    under: Float[Tensor, " n"]
    """How far a skirt covers it, 0 to 1: its cloth hides the leg; 0 on shells."""
    inner: Bool[Tensor, " n"]
    """Whether it is skin inside a trouser leg or a sleeve, which the photo cannot show."""

    @property
    def count(self) -> int:
        """Rows."""
        return self.means.shape[0]
