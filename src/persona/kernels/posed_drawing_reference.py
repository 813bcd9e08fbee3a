"""Bend a body, pose, project and draw its Gaussians in plain torch: the specification."""

from typing import TYPE_CHECKING

from torch import Tensor

from persona.geometry.cameras import Camera
from persona.kernels import (
    bending_reference,
    posing_reference,
    projection_reference,
    rasterize_reference,
)

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
    flesh, bones = bending_reference.bend_puppet(puppet, pose)
    means, covariances, _ = posing_reference.pose_gaussians(
        puppet.rig,
        flesh,
        bones,
        max_stretch=max_stretch,
        offsets=pose.gaussian_offsets,
        slopes=pose.gaussian_slopes,
    )
    means2d, conics, depths = projection_reference.project_gaussians(
        means, covariances, camera, eps2d=eps2d, near=near
    )
    window = (0, 0, camera.width, camera.height)
    image, alpha = rasterize_reference.rasterize(
        means2d, conics, puppet.opacities, puppet.features, depths, window
    )
    return image, alpha, means
