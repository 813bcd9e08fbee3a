"""Draw a cloud of Gaussians: colour, alpha, depth, normals and anything else in one pass."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera
from persona.kernels.dispatch import Backend
from persona.kernels.projection import EPS2D, project_gaussians
from persona.kernels.splatting import rasterize
from persona.records.gaussians import Gaussians
from persona.rendering.compositing import over

FAINT = 1.0 / 255.0
"""Below this alpha a mean over the drawn surface is not divided further."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One picture and the maps that came with it.

    ``color`` is premultiplied by alpha where no background was given, so that
    ``color + (1 - alpha) * background`` puts it over any other picture.
    """

    color: Image
    """sRGB in [0, 1], over the background; over black (premultiplied) without one."""
    alpha: Mask
    """Coverage in [0, 1]."""
    depth: Float[Tensor, "h w"] | None
    """Mean depth of what is drawn along the camera's z [m], 0 where nothing is; None unasked."""
    normal: Float[Tensor, "h w 3"] | None
    """Mean normal of what is drawn, camera frame, not longer than 1; None unasked."""
    extra: Float[Tensor, "h w c"] | None
    """The extra features, premultiplied by alpha; None without them."""


def render(
    gaussians: Gaussians,
    camera: Camera,
    *,
    extra_features: Float[Tensor, "n c"] | None = None,
    background: Float[Tensor, " 3"] | Image | None = None,
    maps: bool = True,
    eps2d: float = EPS2D,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Rendered:
    """Draw Gaussians as a camera sees them, all channels in one pass.

    Differentiable in the cloud and the extra features. Blending happens in sRGB, as in the
    programs that made 3D Gaussians popular.

    Args:
        gaussians: What to draw, world frame.
        camera: Who looks, and the size of the picture. A cropped camera draws just its window.
        extra_features: More numbers of each Gaussian; at most 25 with the maps, 29 without.
        background: A colour, or a picture of the camera's size; None leaves it transparent.
        maps: Whether to draw depth and normals too; they cost about a third more.
        eps2d: Added to both variances of every ellipse [px^2].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads to use; None takes torch's number.

    Raises:
        InputError: Something has the wrong shape or is not finite.
    """
    means2d, conics, depths = project_gaussians(
        gaussians.means,
        gaussians.covariances,
        camera,
        eps2d=eps2d,
        backend=backend,
        threads=threads,
    )
    groups = [gaussians.colors]
    if maps:
        rotation = camera.T_camera_world[:3, :3].to(gaussians.normals)
        groups += [depths[:, None], gaussians.normals @ rotation.T]
    if extra_features is not None:
        groups.append(extra_features)
    image, alpha = rasterize(
        means2d,
        conics,
        gaussians.opacities,
        torch.cat(groups, 1),
        depths.detach(),
        width=camera.width,
        height=camera.height,
        backend=backend,
        threads=threads,
    )
    # One split has one gradient; slices would each fill an image of zeros on the way back.
    drawn = list(image.split([group.shape[1] for group in groups]))
    extra = drawn.pop().permute(1, 2, 0) if extra_features is not None else None
    color = drawn[0].permute(1, 2, 0)
    if background is not None:
        color = over(color, alpha, background)
    depth = normal = None
    if maps:
        solid = alpha.clamp_min(FAINT)
        depth = drawn[1][0] / solid
        normal = drawn[2].permute(1, 2, 0) / solid[..., None]
    return Rendered(color=color, alpha=alpha, depth=depth, normal=normal, extra=extra)
