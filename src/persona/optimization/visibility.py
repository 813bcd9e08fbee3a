"""Which Gaussians the photo shows, and which pixels show them."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.optimization.cloud import PhotoCloud
from persona.optimization.limbs import Limb
from persona.optimization.outvoted import outvoted
from persona.optimization.view import WorkingView, background_glow, trusted_interior
from persona.records.observation import Part

SEEN_FACING = 0.42
"""Least cosine between normal and view at which a pixel's colour is believed [-]."""
RIM_FACING = -0.7
"""Least cosine at which a Gaussian at the mask's edge still shapes the outline [-]."""
DEPTH_SLACK = 0.02
"""A Gaussian this far behind the nearest surface is hidden [m]."""
STEP_PX = 4
"""Pixels around the edge of something nearer that show a mixture of both."""
STEP_DEPTH = 0.04
"""How much nearer that something stands [m]."""
HAND_ZONE_PX = 10
"""How far from a fitted hand its picture may reach [px]."""
HAND_EDGE_PX = 4
"""... and how far beyond its label it stains what is behind it [px]."""
HEM_PX = 2
"""Pixels at a skirt's hem that mix cloth and leg."""
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
    believed: Bool[Tensor, " n"]
    """Exposed, and its pixels show its own limb: they may colour it."""
    shapes_rim: Bool[Tensor, " n"]
    """Exposed and at the mask's edge, so that its place and size show in the outline."""
    seen: Bool[Tensor, " n"]
    """Exposed, facing the camera, and clear of the mask's edge: its colour is known."""
    mirrored: Bool[Tensor, " n"]
    """On the far half of a turned face, and shows what the near half does, wherever that is."""


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
    # The farthest depth around: a rim must not hide what stands just beside it.
    depths = np.where(np.isfinite(front.numpy()), front.numpy(), 0).astype(np.float32)
    farthest = torch.from_numpy(cv2.dilate(depths, np.ones((3, 3), np.uint8)))
    exposed = depth < farthest[row, column] + DEPTH_SLACK
    exposed &= (cloud.under == 0) & ~cloud.inner
    exposed &= ~torch.isin(cloud.limb, torch.tensor([int(limb) for limb in hidden]))
    # The nearest depth around: a hand before a hip colours the pixels beside it, too.
    depths = np.where(np.isfinite(front.numpy()), front.numpy(), 1e3).astype(np.float32)
    nearest = torch.from_numpy(cv2.erode(depths, _window(STEP_PX)))
    apart = depth < nearest[row, column] + STEP_DEPTH
    trusted = trusted_interior(view.mask, RIM_PX) & ~background_glow(view)
    clear = torch.from_numpy(trusted)[row, column]
    solid = (view.mask.numpy() > 0.5).astype(np.uint8)
    at_rim = ~torch.from_numpy(cv2.erode(solid, _window(RIM_PX)) > 0)[row, column]
    clear &= (cloud.limb != Limb.SKIRT) | _shows_cloth(view, inset=HEM_PX)[row, column]
    believable = _shows_its_own_limb(cloud, view, row, column)
    voters = (exposed & apart & clear & (facing > SEEN_FACING)).numpy()
    part = view.parts[row, column].numpy()
    strange = outvoted(cloud.rest_body.numpy(), cloud.limb.numpy(), part, voters)
    believable &= ~torch.from_numpy(strange)
    return Visibility(
        pixels=pixels,
        facing=facing,
        exposed=exposed,
        believed=exposed & believable,
        shapes_rim=exposed & at_rim & (facing > RIM_FACING),
        seen=exposed & apart & clear & (facing > SEEN_FACING) & believable,
        mirrored=torch.zeros_like(exposed),
    )


def _shows_its_own_limb(
    cloud: PhotoCloud, view: WorkingView, row: Tensor, column: Tensor
) -> Bool[Tensor, " n"]:
    """Tell hands from what is behind them, although the fitted hand is a few pixels off.

    A hand's Gaussian is believed on skin only; beside a hand, the trunk's and the legs' are
    believed on anything but skin and its edge. A skirt's are believed on cloth only: a rim of
    skin would swing with it.
    """
    skin = view.parts[row, column] == Part.SKIN
    in_hand = torch.isin(cloud.limb, torch.tensor([Limb.LEFT_HAND, Limb.RIGHT_HAND]))
    zone = np.zeros(view.mask.shape, np.uint8)
    zone[row[in_hand].numpy(), column[in_hand].numpy()] = 1
    beside = torch.from_numpy(cv2.dilate(zone, _window(HAND_ZONE_PX)) > 0)[row, column]
    trunk = torch.tensor([Limb.TORSO, Limb.LEFT_LEG, Limb.RIGHT_LEG, Limb.SKIRT])
    behind = torch.isin(cloud.limb, trunk)
    bare = (cloud.limb == Limb.SKIRT) & ~_shows_cloth(view, inset=0)[row, column]
    stain = cv2.dilate((view.parts == Part.SKIN).numpy().astype(np.uint8), _window(HAND_EDGE_PX))
    stained = behind & beside & torch.from_numpy(stain > 0)[row, column]
    return torch.where(in_hand, skin, ~stained & ~bare)


def _shows_cloth(view: WorkingView, *, inset: int) -> Bool[Tensor, "h w"]:
    """Find pixels of clothes that lie so many pixels inside them."""
    cloth = np.isin(view.parts.numpy(), (Part.UPPER, Part.LOWER)).astype(np.uint8)
    return torch.from_numpy(cv2.erode(cloth, _window(inset)) > 0)


def _window(radius: int) -> np.ndarray:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


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
