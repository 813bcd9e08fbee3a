"""Which Gaussians are the photo's: their colour is known, whatever a generator invents."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.geometry.cameras import Camera
from persona.kernels import project_gaussians, rasterize
from persona.optimization.facing import COLOR_FACING
from persona.optimization.joint_frames import Frame
from persona.records.gaussians import Gaussians

LEAST_SHOWN: Final = 0.03
"""Share of a Gaussian's own weight that must reach the photo for it to be part of the photo."""


def photo_owns(avatar: Avatar, frame: Frame, *, threads: int) -> Bool[Tensor, " n"]:
    """Find the Gaussians that the photo's picture is made of: their colour is the photo's.

    Those that the photo stage saw well, and those that face the camera and whose weight in the
    drawn picture is more than a trace of their own.
    """
    camera = frame.picture.camera
    posed = avatar.pose(frame.params)
    toward = torch.nn.functional.normalize(camera.position.to(posed.means) - posed.means, dim=1)
    facing = (toward * posed.normals).sum(1)
    shares = shown_shares(posed, camera, threads=threads)
    return avatar.seen | ((shares > LEAST_SHOWN) & (facing > COLOR_FACING))


def shown_shares(posed: Gaussians, camera: Camera, *, threads: int) -> Float[Tensor, " n"]:
    """Give the share of each Gaussian's own weight that reaches the picture, 0 to 1.

    Args:
        posed: The person.
        camera: Who looks.
        threads: Threads of the native kernels.
    """
    means2d, conics, depths = project_gaussians(posed.means, posed.covariances, camera)
    ones = torch.ones(len(posed.means), 1, device=means2d.device, requires_grad=True)
    with torch.enable_grad():
        drawn, _ = rasterize(
            means2d,
            conics,
            posed.opacities,
            ones,
            depths,
            width=camera.width,
            height=camera.height,
            threads=threads,
        )
        (shown,) = torch.autograd.grad(drawn.sum(), ones)
    # Alone, a Gaussian would weigh opacity times 2 pi over the root of its conic's determinant.
    det = conics[:, 0] * conics[:, 2] - conics[:, 1].square()
    alone = posed.opacities * 2 * torch.pi / det.clamp(min=1e-12).sqrt()
    shares = shown[:, 0] / alone.clamp(min=1e-12)
    return torch.where(det > 0, shares, 0.0).clamp(max=1)
