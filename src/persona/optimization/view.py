"""The person's window of the photo at working size."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor

from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera, photo_camera
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation, Part
from persona.records.photo import Photo

GLOW_PX = 9.0
"""How far in from the outline light of the background may reach [px]."""
GLOW_BLUR_PX = 2.5
"""Blur of the two colours a pixel is compared with [px]."""
GLOW_CONTRAST = 0.25
"""Least distance of person's and background's colours at which they can be told apart [sRGB]."""
GLOW_SHARE = 0.5
"""Share of the way to the background at which a pixel is no longer the person's."""
GLOW_STEP = 0.12
"""The same where only a little of it shows, as a step of colour: strands let light through
[sRGB]."""
GLOW_STRAND_PX = 4.0
"""How far in from the outline strands of hair let it through [px]."""
OPAQUE = 0.95
"""Coverage from which a pixel shows the person alone; frizzy hair never quite gets there."""
GLOW_FAINT = 0.2
"""Least share of the way at which such a step is light of the background."""
MARGIN = 0.06
"""Free space around the person, share of their height: room for splats to fade."""


@dataclass(frozen=True, kw_only=True)
class WorkingView:
    """A crop of the photo around the person, resized to the working height."""

    image: Image
    """Colours, sRGB."""
    mask: Mask
    """Coverage."""
    parts: Int[Tensor, "h w"]
    """A `Part` for every pixel."""
    camera: Camera
    """Camera of this crop."""
    own_alpha: bool
    """Whether the mask came with the photo."""
    scale: float
    """Working pixels per pixel of the photo."""
    origin: tuple[float, float]
    """Left and top of the crop in the photo [px]."""

    def to_view(self, pixels: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """Take pixels of the photo to pixels of the crop."""
        return (pixels - torch.tensor(self.origin)) * self.scale


def working_view(
    photo: Photo, observation: Observation, fit: BodyFit, *, person_height: int
) -> WorkingView:
    """Cut the person out of the photo and resize them to ``person_height`` pixels.

    The crop may reach outside the photo; there the mask is empty and colours repeat the edge.
    """
    left, top, right, bottom = observation.box
    scale = person_height / (bottom - top)
    margin = MARGIN * (bottom - top)
    origin = (left - margin, top - margin)
    width = round((right - left + 2 * margin) * scale)
    height = round((bottom - top + 2 * margin) * scale)
    # warpAffine samples pixel centres; ours lie at half integers.
    shift = 0.5 * scale - 0.5
    warp = np.array(
        [[scale, 0, shift - origin[0] * scale], [0, scale, shift - origin[1] * scale]], np.float64
    )

    def resample(source: np.ndarray, interpolation: int, border: int) -> np.ndarray:
        if scale < 1 and interpolation != cv2.INTER_NEAREST:
            source = cv2.GaussianBlur(source, (0, 0), 0.42 / scale)
        return cv2.warpAffine(source, warp, (width, height), flags=interpolation, borderMode=border)

    image = resample(photo.rgb.numpy(), cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    mask = resample(observation.mask.numpy(), cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    parts = resample(
        observation.parts.numpy().astype(np.uint8), cv2.INTER_NEAREST, cv2.BORDER_CONSTANT
    )
    whole = photo_camera(*fit.image_size, fit.focal_px)
    camera = whole.scaled(scale).cropped(origin[0] * scale, origin[1] * scale, width, height)
    return WorkingView(
        image=torch.from_numpy(image.clip(0, 1)),
        mask=torch.from_numpy(mask.clip(0, 1)),
        parts=torch.from_numpy(parts.astype(np.int64)),
        camera=camera,
        own_alpha=observation.mask_source == "alpha",
        scale=scale,
        origin=origin,
    )


def trusted_interior(mask: Mask, inset: float) -> np.ndarray:
    """Find the pixels that show only the person, bool (h, w).

    Those lie ``inset`` pixels inside the outline, where neither antialiasing nor the background's
    light reaches. A finger or a strand that is thinner than that keeps its inner half.
    """
    solid = (mask.numpy() > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(np.pad(solid, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    window = 2 * int(np.ceil(inset)) + 1
    thickest = cv2.dilate(distance, np.ones((window, window), np.uint8))
    opaque = mask.numpy() > OPAQUE
    return opaque & (distance > np.minimum(inset, 0.5 * thickest))


def extend_edges(view: WorkingView, *, inset: float) -> Image:
    """Continue the person's colours outwards over the background.

    Pixels at the rim mix person and background; they take the colour of the nearest trusted
    pixel, so that no halo of background sticks to the avatar.
    """
    return view.image[_nearest(trusted_interior(view.mask, inset) & ~background_glow(view))]


def background_glow(view: WorkingView, *, to_copy: bool = False) -> np.ndarray:
    """Find pixels near the outline that look more like the background beside them, bool (h, w).

    Light spills round hair and shoulders, and a mask found by us cannot follow every strand. A
    pixel counts when its colour lies clearly on the way from the colour of its own part farther
    in to the background's farther out. A photo's own alpha is believed.

    Args:
        view: The person.
        to_copy: Count skin and hair that show a little of the background, too: what is copied
            from there goes all round a head.
    """
    glow = np.zeros(view.mask.shape, bool)
    outside = cv2.erode((view.mask.numpy() < 0.05).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if view.own_alpha or not outside.any():
        return glow
    image, parts = view.image.numpy(), view.parts.numpy()
    solid = (view.mask.numpy() > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(np.pad(solid, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outer = cv2.GaussianBlur(view.image[_nearest(outside)].numpy(), (0, 0), GLOW_BLUR_PX)
    for part in np.unique(parts[solid > 0]):
        mine = (parts == part) & (solid > 0)
        deep = mine & (distance > min(GLOW_PX, 0.5 * distance[mine].max()))
        inner = cv2.GaussianBlur(view.image[_nearest(deep)].numpy(), (0, 0), GLOW_BLUR_PX)
        way = outer - inner
        length = (way * way).sum(-1)
        share = ((image - inner) * way).sum(-1) / np.maximum(length, 1e-6)
        near = mine & ~deep & (length > GLOW_CONTRAST**2)
        glow |= near & (share > GLOW_SHARE)
        faint = near & (share * np.sqrt(length) > GLOW_STEP) & (share > GLOW_FAINT)
        if not (to_copy and part in (Part.HAIR, Part.SKIN)):
            faint &= (part == Part.HAIR) & (distance < GLOW_STRAND_PX)
        glow |= _from_outside(faint, solid > 0)
    return glow


def _from_outside(region: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Keep of a region in a silhouette what hangs together with the background."""
    pieces, _ = ndimage.label(region | ~solid, np.ones((3, 3)))
    return region & np.isin(pieces, np.unique(pieces[~solid]))


def _nearest(trusted: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Index every pixel's nearest trusted pixel."""
    rows, columns = ndimage.distance_transform_edt(
        ~trusted, return_distances=False, return_indices=True
    )
    return torch.from_numpy(rows), torch.from_numpy(columns)
