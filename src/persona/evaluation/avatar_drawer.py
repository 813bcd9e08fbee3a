"""An avatar as a drawer: placed by joints, its clothes as learned, baked, stiff, or as told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.slopes import Moved
from persona.evaluation.methods import SUPERSAMPLING, Drawn, Placement, averaged
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians
from persona.rendering import render

ClothMode = Literal["learned", "baked", "stiff"]
"""How clothes move when nobody tells them."""
Told = Callable[[SubjectFrame], Float[Tensor, "n 3"] | Moved]
"""What moves the Gaussians at rest in a frame [m]: a simulation."""


def placement_of(avatar: Avatar, subject: Subject) -> Placement:
    """Place the body inside an avatar among a subject's frames."""
    return Placement.of(
        subject,
        avatar.body,
        avatar.identity,
        photo_params=avatar.photo_params,
        photo_camera=avatar.photo_camera,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class AvatarDrawer:
    """Draws an avatar; see `methods.Drawer` and `methods.Posable`."""

    avatar: Avatar
    """Who."""
    placement: Placement
    """Where they stand."""
    told: Told | None = None
    """Moves the clothes; None lets the avatar do it."""
    baked: bool = False
    """Whether the baked shapes answer instead of the network."""

    @classmethod
    def of(
        cls, avatar: Avatar, subject: Subject, *, cloth: ClothMode = "learned"
    ) -> "AvatarDrawer":
        """Place an avatar among a subject's frames."""
        return cls(
            avatar=replace(avatar, cloth=None) if cloth == "stiff" else avatar,
            placement=placement_of(avatar, subject),
            baked=cloth == "baked",
        )

    def draw(
        self, frame: SubjectFrame, *, camera: Camera | None = None, maps: bool = False
    ) -> Drawn:
        """Draw a frame."""
        with torch.no_grad():
            params = self.placement.params(frame)
            seen = self.placement.camera(frame, camera)
            moved = self._moved(frame, params)
            if not maps:
                fine = seen.scaled(SUPERSAMPLING)
                quick = self.avatar.draw(params, fine, rates=frame.rates, gaussian_offsets=moved)
                return averaged(quick.image.permute(1, 2, 0), quick.alpha)
            cloud = self.avatar.pose(params, rates=frame.rates, gaussian_offsets=moved)
            drawn = render(cloud, seen)
        depth = None if drawn.depth is None else drawn.depth / self.placement.scale
        return Drawn(color=drawn.color, alpha=drawn.alpha, depth=depth, normal=drawn.normal)

    def gaussians(self, frame: SubjectFrame, params: BodyParams) -> Gaussians:
        """Give the posed cloud in the dataset's world, differentiable in the pose."""
        placed = self.placement.params(frame, params)
        moved = self._moved(frame, placed)
        cloud = self.avatar.pose(placed, rates=frame.rates, gaussian_offsets=moved)
        scale = self.placement.scale
        return replace(cloud, means=cloud.means / scale, covariances=cloud.covariances / scale**2)

    def _moved(
        self, frame: SubjectFrame, params: BodyParams
    ) -> Float[Tensor, "n 3"] | Moved | None:
        if self.told is not None:
            return self.told(frame)
        if self.baked and self.avatar.cloth is not None:
            return self.avatar.cloth.offsets(params, frame.rates, baked=True)
        return None
