"""Colours of a surface: from the Gaussians around each point, and from how the photo sees it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.geometry.rotations import quaternion_to_matrix
from persona.rendering import render

NEIGHBORS: Final = 12
"""Gaussians that colour a point."""
THICKEST: Final = 0.004
"""Across the surface Gaussians reach at least so far [m]: the mesh is smoother than they are."""
FACING: Final = 1e-3
"""Weight of a Gaussian that looks the other way: the far side of a thin limb [-]."""
AT_ONCE: Final = 65_536
"""Points coloured at once."""
PHOTO_SCALE: Final = 2.0
"""How much larger than the photo its view is drawn."""
DEPTH_SLACK: Final = 0.015
"""A point this near to what the photo's camera sees is what it sees [m]."""
GRAZING, FRONTAL = 0.25, 0.55
"""Cosines to the camera from which the photo's view begins to count, and counts wholly [-]."""
SOLID: Final = 0.98
"""Coverage below which a pixel is an edge, and shows something of the background [-]."""


@dataclass(frozen=True, kw_only=True)
class Painter:
    """Gaussians that colour a surface near them."""

    tree: cKDTree
    """Of their centres at rest."""
    means: Float[Tensor, "n 3"]
    axes: Float[Tensor, "n 3 3"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    colors: Float[Tensor, "n 3"]

    def colors_at(
        self, points: Float[Tensor, "p 3"], normals: Float[Tensor, "p 3"]
    ) -> Float[Tensor, "p 3"]:
        """Blend what lies around points of a surface at rest; sRGB in [0, 1].

        Args:
            points: In the body's frame [m].
            normals: Unit; what looks the other way hardly counts.
        """
        pieces = zip(points.split(AT_ONCE), normals.split(AT_ONCE), strict=True)
        found = [self._blend(*piece) for piece in pieces]
        return torch.cat(found) if found else torch.zeros(0, 3)

    def _blend(self, points: Tensor, normals: Tensor) -> Tensor:
        count = min(NEIGHBORS, len(self.means))
        _, near = self.tree.query(points.numpy(), range(1, count + 1), workers=1)
        ids = torch.from_numpy(np.asarray(near, np.int64))
        apart = points[:, None] - self.means[ids]
        along = (apart[:, :, None] @ self.axes[ids])[:, :, 0]
        square = (along / self.scales[ids]).square().sum(-1)
        facing = (self.axes[ids][..., 2] * normals[:, None]).sum(-1).clamp(min=FACING)
        # Relative to the nearest, so that nobody is out of reach of all.
        weight = (-0.5 * (square - square.amin(1, keepdim=True))).exp()
        weight = weight * facing * self.opacities[ids].clamp(min=FACING)
        weight = weight / weight.sum(1, keepdim=True)
        return (weight[..., None] * self.colors[ids]).sum(1)


def painter_of(avatar: Avatar, chosen: Bool[Tensor, " n"]) -> Painter:
    """Give the painter of some of the Gaussians."""
    looks = avatar.canonical
    scales = looks.log_scales[chosen].exp()
    scales = torch.cat([scales[:, :2], scales[:, 2:].clamp(min=THICKEST)], 1)
    return Painter(
        tree=cKDTree(looks.means[chosen].numpy()),
        means=looks.means[chosen],
        axes=quaternion_to_matrix(looks.quats_wxyz[chosen]),
        scales=scales,
        opacities=looks.opacities[chosen],
        colors=looks.colors[chosen],
    )


@dataclass(frozen=True, kw_only=True)
class PhotoView:
    """The avatar as the photo's camera sees it: many Gaussians drawn over each other.

    An avatar does not keep its photo; this drawing agrees with it to the avatar's ``psnr_db``.
    """

    avatar: Avatar

    def over(
        self,
        colors: Float[Tensor, "p 3"],
        points: Float[Tensor, "p 3"],
        normals: Float[Tensor, "p 3"],
    ) -> Float[Tensor, "p 3"]:
        """Put what the camera sees over the colours of points.

        Args:
            colors: sRGB in [0, 1].
            points: In the photo's pose, world frame [m].
            normals: Unit, world frame.
        """
        camera = self.avatar.photo_camera.scaled(PHOTO_SCALE)
        with torch.no_grad():
            seen = render(self.avatar.pose(self.avatar.photo_params), camera)
        # Depth is drawn unless it is declined.
        depths = torch.zeros_like(seen.alpha) if seen.depth is None else seen.depth
        layers = torch.cat([seen.color, seen.alpha[..., None], depths[..., None]], 2)
        pixels, depth = camera.project(points)
        size = pixels.new_tensor([camera.width, camera.height])
        at = (2 * pixels / size - 1)[None, None]
        read = torch.nn.functional.grid_sample(
            layers.permute(2, 0, 1)[None], at, align_corners=False
        )[0, :, 0].T
        color, alpha, surface = read[:, :3], read[:, 3], read[:, 4]
        views = torch.nn.functional.normalize(camera.position - points, dim=1)
        cosine = (views * normals).sum(1)
        share = ((cosine - GRAZING) / (FRONTAL - GRAZING)).clamp(0, 1)
        share = share * (alpha > SOLID) * ((depth - surface).abs() < DEPTH_SLACK) * (depth > 0)
        color = (color / alpha.clamp(min=SOLID)[:, None]).clamp(0, 1)
        return colors + share[:, None] * (color - colors)
