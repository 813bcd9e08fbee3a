"""Bend a body, pose and project its Gaussians with Triton's kernels, and have gsplat draw them."""

from typing import TYPE_CHECKING

from torch import Tensor

from persona.geometry.cameras import Camera
from persona.kernels import bending_triton, posing_triton, projection_triton
from persona.kernels.dispatch import implementation

if TYPE_CHECKING:
    from persona.kernels.posed_drawing import Puppet, PuppetPose


def draw_posed(
    puppet: "Puppet",
    pose: "PuppetPose",
    camera: Camera,
    *,
    max_stretch: float,
    eps2d: float,
    near: float,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the steps one after the other; see `persona.kernels.posed_drawing.draw_posed`."""
    rasterize = implementation("rasterize", puppet.opacities.device)
    flesh, bones = bending_triton.bend_puppet(puppet, pose)
    means, covariances, _ = posing_triton.pose_gaussians(
        puppet.rig,
        flesh,
        bones,
        max_stretch=max_stretch,
        offsets=pose.gaussian_offsets,
        slopes=pose.gaussian_slopes,
    )
    means2d, conics, depths = projection_triton.project_gaussians(
        means, covariances, camera, eps2d=eps2d, near=near
    )
    window = (0, 0, camera.width, camera.height)
    image, alpha = rasterize(means2d, conics, puppet.opacities, puppet.features, depths, window)
    return image, alpha, means
