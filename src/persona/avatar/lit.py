"""An avatar under another light than its photo's: posed and drawn as the avatar itself is."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.avatar.light import Light
from persona.avatar.slopes import Moved
from persona.geometry.cameras import Camera
from persona.kernels import PosedPicture
from persona.records.body_params import BodyParams
from persona.records.frame_set import JointRates
from persona.records.gaussians import Gaussians
from persona.rendering import render


@dataclass(frozen=True, kw_only=True)
class LitAvatar:
    """Somebody in a light that stays in the world while they move."""

    avatar: Avatar
    """Who."""
    light: Light
    """What falls on them, world frame."""

    @property
    def feels_motion(self) -> bool:
        """Whether the clothes have learned to swing."""
        return self.avatar.feels_motion

    def pose(
        self,
        params: BodyParams,
        *,
        rates: JointRates | None = None,
        gaussian_offsets: Float[Tensor, "n 3"] | Moved | None = None,
    ) -> Gaussians:
        """Put the person into a pose; as `Avatar.pose`, with colours as lit there."""
        posed = self.avatar.pose(params, rates=rates, gaussian_offsets=gaussian_offsets)
        return replace(posed, colors=self.avatar.appearance.relit(posed.normals, self.light))

    def draw(
        self,
        params: BodyParams,
        camera: Camera,
        *,
        rates: JointRates | None = None,
        gaussian_offsets: Float[Tensor, "n 3"] | Moved | None = None,
    ) -> PosedPicture:
        """Draw the person in a pose over nothing; as `Avatar.draw`."""
        with torch.no_grad():
            posed = self.pose(params, rates=rates, gaussian_offsets=gaussian_offsets)
            drawn = render(posed, camera, maps=False)
        return PosedPicture(
            image=drawn.color.permute(2, 0, 1), alpha=drawn.alpha, means=posed.means
        )
