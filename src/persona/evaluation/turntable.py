"""Compare an avatar with a film of the same person from all sides: the sides no photo shows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from persona.avatar import Avatar
from persona.core.errors import FileFormatError
from persona.core.types import Image, Mask
from persona.evaluation.color import to_lab
from persona.geometry.cameras import Camera, photo_camera
from persona.geometry.rotations import axis_angle_to_matrix
from persona.images.masks import bounds, largest_component, overlap
from persona.records.body_fit import BodyFit
from persona.records.gaussians import Gaussians
from persona.records.observation import Part
from persona.records.photo import Photo
from persona.rendering import render

BACKGROUND_STEP: Final = 0.035
"""A pixel this far from the plain background shows the person [sRGB]."""
HISTOGRAM_BINS: Final = 8
"""Bins of each Lab channel; about 12 L and 20 a or b each."""
LEAST_PIXELS: Final = 150
"""Fewer pixels of a part have no histogram worth comparing."""
YAW_STEPS_DEG: Final = (-15.0, -7.5, 0.0, 7.5, 15.0)
"""Tried around the given front: it need not be exactly a frame [deg]."""


@dataclass(frozen=True, kw_only=True)
class ViewScore:
    """How one side compares."""

    yaw_deg: float
    """Turn of the person from the front [deg]."""
    iou: float
    """Overlap of the outlines after moving and scaling one onto the other."""
    histograms: dict[str, float]
    """Part -> overlap of its colours' histograms in [0, 1]; only parts that are visible."""
    avatar: Image
    """As drawn, on white."""
    frame: Image
    """As filmed."""


def read_frames(path: Path) -> list[Image]:
    """Read all frames of a short film.

    Raises:
        FileFormatError: It is no film.
    """
    import av

    try:
        with av.open(str(path)) as film:
            arrays = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    except (av.FFmpegError, OSError) as error:
        raise FileFormatError(
            f"{path.name} cannot be read as a film: {error}",
            why="frames from all sides are compared",
            fix="give an mp4 or webm file",
        ) from error
    return [torch.from_numpy(array.astype(np.float32) / 255) for array in arrays]


def plain_mask(frame: Image) -> Mask:
    """Cut a person out of a plain background, holes filled."""
    rim = torch.cat([frame[0], frame[:, 0], frame[:, -1]])
    away = (frame - rim.median(0).values).abs().amax(-1) > BACKGROUND_STEP
    solid = ndimage.binary_fill_holes(ndimage.binary_opening(away.numpy()))
    return largest_component(torch.from_numpy(solid).float())


def compare_turntable(
    avatar: Avatar,
    frames: list[Image],
    *,
    front: int,
    fit_pose: Callable[[Photo], BodyFit],
) -> list[ViewScore]:
    """Turn the avatar as the film turns, in the film's pose, and compare side by side.

    Args:
        avatar: Made from another picture of the person.
        frames: One full turn in even steps, plain background.
        front: Frame that shows the person from the front.
        fit_pose: Finds pose and camera in that frame; only its pose is used, not its shape.

    Returns:
        One score for each frame.
    """
    masks = [plain_mask(frame) for frame in frames]
    photo = Photo(rgb=frames[front], alpha=masks[front], name="front")
    fit = fit_pose(photo)
    cloud = avatar.pose(fit.params)
    camera = photo_camera(*fit.image_size, fit.focal_px)
    step = 360.0 / len(frames)
    axis = (cloud.means.amin(0) + cloud.means.amax(0)) / 2

    def yaw(k: int, sign: float, shift: float) -> float:
        return sign * step * (k - front) + shift

    def total(sign: float, shift: float) -> float:
        some = range(0, len(frames), max(1, len(frames) // 6))
        drawn = [
            _aligned(cloud, _turned(camera, axis, yaw(k, sign, shift)), masks[k]) for k in some
        ]
        return sum(
            overlap(render(cloud, c, maps=False).alpha, masks[k])
            for c, k in zip(drawn, some, strict=True)
        )

    turns = [(sign, shift) for sign in (1.0, -1.0) for shift in YAW_STEPS_DEG]
    sign, shift = max(turns, key=lambda turn: total(*turn))
    return [
        _scored(
            avatar,
            cloud,
            _turned(camera, axis, yaw(k, sign, shift)),
            frames[k],
            masks[k],
            yaw(k, sign, shift),
        )
        for k in range(len(frames))
    ]


def _turned(camera: Camera, axis: Float[torch.Tensor, " 3"], yaw_deg: float) -> Camera:
    """Turn the person about a vertical axis, by moving the camera the other way."""
    turn = torch.eye(4)
    turn[:3, :3] = axis_angle_to_matrix(torch.tensor([0.0, math.radians(yaw_deg), 0.0]))
    turn[:3, 3] = axis - turn[:3, :3] @ axis
    return replace(camera, T_camera_world=camera.T_camera_world @ turn)


def _aligned(cloud: Gaussians, camera: Camera, mask: Mask) -> Camera:
    """Scale and move the picture so that the person's box meets the mask's."""
    drawn = bounds(render(cloud, camera, maps=False).alpha)
    wanted = bounds(mask)
    if drawn is None or wanted is None:
        return camera
    factor = (wanted[3] - wanted[1]) / (drawn[3] - drawn[1])
    x = factor * (drawn[0] + drawn[2]) / 2 - (wanted[0] + wanted[2]) / 2
    y = factor * (drawn[1] + drawn[3]) / 2 - (wanted[1] + wanted[3]) / 2
    height, width = mask.shape
    return camera.scaled(factor).cropped(x, y, width, height)


def _scored(
    avatar: Avatar, cloud: Gaussians, camera: Camera, frame: Image, mask: Mask, yaw_deg: float
) -> ViewScore:
    camera = _aligned(cloud, camera, mask)
    marks = torch.nn.functional.one_hot(avatar.parts.long(), len(Part)).to(cloud.colors)
    drawn = render(cloud, camera, extra_features=marks, background=torch.ones(3), maps=False)
    parts = torch.zeros_like(marks[:0]) if drawn.extra is None else drawn.extra
    both = (drawn.alpha > 0.5) & (mask > 0.5)
    histograms = {}
    for part in Part:
        here = both & (parts[..., part] > 0.5)
        if part is not Part.BACKGROUND and int(here.sum()) >= LEAST_PIXELS:
            histograms[part.name.lower()] = histogram_overlap(drawn.color[here], frame[here])
    return ViewScore(
        yaw_deg=(yaw_deg + 180) % 360 - 180,
        iou=overlap(drawn.alpha, mask),
        histograms=histograms,
        avatar=drawn.color,
        frame=frame,
    )


def histogram_overlap(
    first: Float[torch.Tensor, "n 3"], second: Float[torch.Tensor, "m 3"]
) -> float:
    """Compare two sets of colours by the overlap of their Lab histograms, in [0, 1]."""
    ranges = [(0.0, 100.0), (-80.0, 80.0), (-80.0, 80.0)]
    counts = []
    for colors in (first, second):
        lab = to_lab(colors.clamp(0, 1)).numpy()
        table, _ = np.histogramdd(lab, bins=HISTOGRAM_BINS, range=ranges)
        # A neighbouring bin is nearly the same colour.
        soft = ndimage.gaussian_filter(table, 0.7, mode="constant")
        counts.append(soft / max(soft.sum(), 1e-9))
    return float(np.minimum(*counts).sum())
