"""How much the avatar in its photo's pose looks like its photo, the person 512 pixels tall."""

import cv2
import numpy as np
import torch

from persona.avatar import Avatar
from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera
from persona.images.masks import erode, overlap
from persona.images.similarity import psnr
from persona.records.observation import Observation
from persona.records.photo import Photo

PERSON_HEIGHT_PX = 512
"""Size at which all avatars are compared with their photos."""
RIM_PX = 3.0
"""Left out of the comparison of colours: pixels there mix person and background."""
MARGIN = 0.06
"""Room around the person, share of their height."""
ANTIALIAS = 0.42
"""Blur before shrinking, in pixels of the result."""


def photo_window(
    photo: Photo, observation: Observation, camera: Camera
) -> tuple[Image, Mask, Camera]:
    """Cut the person out of the photo at `PERSON_HEIGHT_PX`, with the camera of that window."""
    left, top, right, bottom = observation.box
    scale = PERSON_HEIGHT_PX / (bottom - top)
    margin = MARGIN * (bottom - top)
    x, y = left - margin, top - margin
    width = round((right - left + 2 * margin) * scale)
    height = round((bottom - top + 2 * margin) * scale)
    # cv2 puts pixel centres at integers; ours lie at half integers.
    shift = 0.5 * scale - 0.5
    warp = np.array([[scale, 0, shift - x * scale], [0, scale, shift - y * scale]])

    def resampled(source: np.ndarray, border: int) -> torch.Tensor:
        if scale < 1:
            source = cv2.GaussianBlur(source, (0, 0), ANTIALIAS / scale)
        flags = cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR
        drawn = cv2.warpAffine(source, warp, (width, height), flags=flags, borderMode=border)
        return torch.from_numpy(drawn.clip(0, 1))

    image = resampled(photo.rgb.numpy(), cv2.BORDER_REPLICATE)
    mask = resampled(observation.mask.numpy(), cv2.BORDER_CONSTANT)
    window = camera.scaled(scale).cropped(x * scale, y * scale, width, height)
    return image, mask, window


def measure_photo(avatar: Avatar, photo: Photo, observation: Observation) -> dict[str, float]:
    """Compare the avatar with its photo: PSNR inside the eroded mask, and outline overlap.

    What is transparent inside the mask counts as white, so that holes cost.
    """
    image, mask, camera = photo_window(photo, observation, avatar.photo_camera)
    with torch.no_grad():
        drawn = avatar.render(avatar.photo_params, camera, background=torch.ones(3))
    inside = erode((mask > 0.5).float(), RIM_PX) > 0.5
    return {
        "psnr_db": float(psnr(drawn.color.clamp(0, 1), image, mask=inside)),
        "iou": overlap(drawn.alpha, mask),
    }
