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


def extend_edges(image: Image, mask: Mask, *, inset: int) -> Image:
    """Continue the person's colours outwards over the background.

    Pixels at the rim mix person and background; they take the colour of the nearest pixel at
    least ``inset`` pixels inside, so that no halo of background sticks to the avatar.
    """
    solid = (mask.numpy() > 0.5).astype(np.uint8)
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8), iterations=inset)
    # A finger thinner than twice the inset keeps its middle line.
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 0.1) & (solid > 0)
    near = cv2.dilate(inner, np.ones((2 * inset + 3, 2 * inset + 3), np.uint8))
    inner = (inner > 0) | (ridge & (near == 0))
    rows, columns = ndimage.distance_transform_edt(
        ~inner, return_distances=False, return_indices=True
    )
    return image[torch.from_numpy(rows), torch.from_numpy(columns)]
