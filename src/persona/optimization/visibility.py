"""Which Gaussians the photo shows, and which pixels show them."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.optimization.cloud import PhotoCloud
from persona.optimization.limbs import Limb
from persona.optimization.view import WorkingView, trusted_interior
from persona.records.observation import Part

SEEN_FACING = 0.42
"""Least cosine between normal and view at which a pixel's colour is believed [-]."""
GEOMETRY_FACING = -0.1
"""Least cosine at which the outline may still move a Gaussian."""
RIM_FACING = -0.7
"""Least cosine at which a Gaussian at the mask's edge still shapes the outline [-]."""
COLOR_FACING = 0.3
"""Least cosine at which pixels may still colour a Gaussian."""
DEPTH_SLACK = 0.02
"""A Gaussian this far behind the nearest surface is hidden [m]."""
STEP_PX = 4
"""Pixels around the edge of something nearer that show a mixture of both."""
STEP_DEPTH = 0.04
"""How much nearer that something stands [m]."""
RIM_PX = 4
"""Pixels at the mask's edge that mix person and background."""


@dataclass(frozen=True, kw_only=True)
class Visibility:
    """What the photo's camera sees of each Gaussian; rows belong together."""

    pixels: Float[Tensor, "n 2"]
    """Where each Gaussian falls in the working view (x, y) [px]."""
    facing: Float[Tensor, " n"]
    """Cosine between normal and view."""
    exposed: Bool[Tensor, " n"]
    """Nothing stands in front of it."""
    shapes_rim: Bool[Tensor, " n"]
    """Exposed and at the mask's edge, so that its place and size show in the outline."""
    seen: Bool[Tensor, " n"]
    """Exposed, facing the camera, and clear of the mask's edge: its colour is known."""


def see(
    cloud: PhotoCloud,
    view: WorkingView,
    front: Float[Tensor, "h w"],
    *,
    hidden: frozenset[Limb] = frozenset(),
) -> Visibility:
    """Test every Gaussian against the depth of the nearest surface.

    Args:
        cloud: Gaussians in the photo's pose.
        view: The working view.
        front: Depth of the nearest surface of body and shells [m], infinite on background.
        hidden: Hands that the photo does not show, wherever the fit has put them.
    """
    pixels, depth = view.camera.project(cloud.means)
    toward = torch.nn.functional.normalize(view.camera.position - cloud.means, dim=1)
    facing = (toward * cloud.normals).sum(1)
    height, width = view.mask.shape
    column = pixels[:, 0].long().clamp(0, width - 1)
    row = pixels[:, 1].long().clamp(0, height - 1)
    # The depth of the nearest pixel around: a rim must not hide what stands just beside it.
    nearest = cv2.dilate(
        np.where(np.isfinite(front.numpy()), front.numpy(), 0).astype(np.float32),
        np.ones((3, 3), np.uint8),
    )
    exposed = depth < torch.from_numpy(nearest)[row, column] + DEPTH_SLACK
    exposed &= ~torch.isin(cloud.limb, torch.tensor([int(limb) for limb in hidden]))
    # A hand before a hip colours the pixels around it, too.
    window = np.ones((2 * STEP_PX + 1, 2 * STEP_PX + 1), np.uint8)
    around = cv2.erode(np.where(np.isfinite(front.numpy()), front.numpy(), 1e3), window)
    apart = depth < torch.from_numpy(around.astype(np.float32))[row, column] + STEP_DEPTH
    solid = (view.mask.numpy() > 0.5).astype(np.uint8)
    clear = torch.from_numpy(trusted_interior(view.mask, RIM_PX))[row, column]
    in_hand = torch.isin(cloud.limb, torch.tensor([Limb.LEFT_HAND, Limb.RIGHT_HAND]))
    believable = ~in_hand | (view.parts[row, column] == Part.SKIN)
    deep = cv2.erode(solid, np.ones((3, 3), np.uint8), iterations=RIM_PX)
    at_rim = ~torch.from_numpy(deep > 0)[row, column]
    return Visibility(
        pixels=pixels,
        facing=facing,
        exposed=exposed,
        shapes_rim=exposed & at_rim & (facing > RIM_FACING),
        seen=exposed & apart & clear & (facing > SEEN_FACING) & believable,
    )


def sample_image(
    image: Float[Tensor, "h w c"], pixels: Float[Tensor, "n 2"]
) -> Float[Tensor, "n c"]:
    """Read an image between pixel centres, bilinearly; outside, its edge repeats."""
    height, width = image.shape[:2]
    grid = pixels / torch.tensor([width, height]) * 2 - 1
    read = torch.nn.functional.grid_sample(
        image.permute(2, 0, 1)[None],
        grid[None, None],
        padding_mode="border",
        align_corners=False,
    )
    return read[0, :, 0].T.contiguous()
