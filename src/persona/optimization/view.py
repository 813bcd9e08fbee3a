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
from persona.records.observation import Observation
from persona.records.photo import Photo

OPAQUE = 0.95
"""Coverage from which a pixel shows the person alone; frizzy hair never quite gets there."""
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


def extend_edges(image: Image, mask: Mask, *, inset: float) -> Image:
    """Continue the person's colours outwards over the background.

    Pixels at the rim mix person and background; they take the colour of the nearest trusted
    pixel, so that no halo of background sticks to the avatar.
    """
    rows, columns = ndimage.distance_transform_edt(
        ~trusted_interior(mask, inset), return_distances=False, return_indices=True
    )
    return image[torch.from_numpy(rows), torch.from_numpy(columns)]
