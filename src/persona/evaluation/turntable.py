"""Compare an avatar with a film of the same person from all sides: the sides no photo shows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from persona.avatar import Avatar
from persona.body.skeleton import JOINT_IDS
from persona.core.errors import FileFormatError
from persona.core.types import Image, Mask
from persona.evaluation.color import to_lab
from persona.geometry.cameras import Camera, photo_camera
from persona.geometry.rotations import axis_angle_to_matrix
from persona.images.crops import resize
from persona.images.masks import bounds, largest_component, overlap
from persona.records.body_fit import BodyFit
from persona.records.body_params import BodyParams
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
STEERING_FRAMES: Final = 6
"""About so many frames, spread evenly, steer the alignment."""
ALIGN_STEPS: Final = (0.04, 0.02, 0.02, 0.01, 0.005)
"""Moves and growths that are tried, shares of the person's height."""
STEERING_STEPS: Final = (0.03, 0.015)
"""The same where only the direction is looked for."""
COARSE: Final = 3
"""Shrinking of the pictures that steer it."""
ADJUST_STEPS_DEG: Final = (8.0, 4.0, 2.0)
"""Turns that are tried [deg]."""
ADJUSTED: Final = (
    (("left_shoulder", "right_shoulder"), 2, True),
    (("left_shoulder",), 2, False),
    (("left_shoulder", "right_shoulder"), 1, True),
    (("left_elbow", "right_elbow"), 1, True),
    (("left_hip", "right_hip"), 2, True),
    (("left_hip", "right_hip"), 0, False),
    (("pelvis",), 0, False),
    (("spine1",), 0, False),
    (("neck",), 0, False),
)
"""Joints that turn together, about which axis (x, y, z), and whether mirrored."""
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

    The pose comes from the front frame, is then adjusted in a few joints (`ADJUSTED`) until the
    outlines of a few sides agree best, and is the same for all sides.

    Args:
        avatar: Made from another picture of the person.
        frames: One full turn in even steps, plain background.
        front: Frame that shows the person from the front.
        fit_pose: Finds pose and camera in that frame; only its pose is used, not its shape.

    Returns:
        One score for each frame.
    """
    masks = [plain_mask(frame) for frame in frames]
    fit = fit_pose(Photo(rgb=frames[front], alpha=masks[front], name="front"))
    step = 360.0 / len(frames)
    turns = [(sign, shift) for sign in (1.0, -1.0) for shift in YAW_STEPS_DEG]
    every = max(1, len(frames) // STEERING_FRAMES)
    some = range(front % every, len(frames), every)

    def agreement(params: BodyParams, turn: tuple[float, float]) -> float:
        table = _Table.of(avatar, params, fit)
        yaws = {k: turn[0] * step * (k - front) + turn[1] for k in some}
        return sum(table.overlap(yaw, masks[k]) for k, yaw in yaws.items()) / len(yaws)

    with torch.no_grad():
        turn = max(turns, key=lambda turn: agreement(fit.params, turn))
        params = _adjusted(fit.params, lambda tried: agreement(tried, turn))
        table = _Table.of(avatar, params, fit)
        return [
            _scored(avatar, table, turn[0] * step * (k - front) + turn[1], frame, mask)
            for k, (frame, mask) in enumerate(zip(frames, masks, strict=True))
        ]


def _adjusted(params: BodyParams, agreement: Callable[[BodyParams], float]) -> BodyParams:
    """Climb to better agreement, one pair of joints at a time, in smaller and smaller steps."""
    best, pose = agreement(params), params.full_pose
    for size in ADJUST_STEPS_DEG:
        for joints, axis, mirrored in ADJUSTED:
            for direction in (1.0, -1.0):
                tried = pose.clone()
                for side, joint in enumerate(joints):
                    sign = -1.0 if mirrored and side else 1.0
                    tried[JOINT_IDS[joint], axis] += direction * sign * math.radians(size)
                found = agreement(params.with_full_pose(tried))
                if found > best:
                    best, pose = found, tried
                    break
    return params.with_full_pose(pose)


@dataclass(frozen=True)
class _Table:
    """A posed avatar that can be turned about its own vertical axis."""

    cloud: Gaussians
    camera: Camera
    axis: Float[torch.Tensor, " 3"]

    @classmethod
    def of(cls, avatar: Avatar, params: BodyParams, fit: BodyFit) -> "_Table":
        cloud = avatar.pose(params)
        axis = (cloud.means.amin(0) + cloud.means.amax(0)) / 2
        return cls(cloud, photo_camera(*fit.image_size, fit.focal_px), axis)

    def overlap(self, yaw_deg: float, mask: Mask) -> float:
        """Compare outlines at a quarter of the size, which is enough to steer by."""
        height, width = (size // COARSE for size in mask.shape)
        small = resize(mask, width=width, height=height)
        camera = _turned(self.camera.scaled(1 / COARSE), self.axis, yaw_deg)
        camera = _aligned(self.cloud, camera, small, steps=STEERING_STEPS)
        return overlap(render(self.cloud, camera, maps=False).alpha, small)


def _turned(camera: Camera, axis: Float[torch.Tensor, " 3"], yaw_deg: float) -> Camera:
    """Turn the person about a vertical axis, by moving the camera the other way."""
    turn = torch.eye(4)
    turn[:3, :3] = axis_angle_to_matrix(torch.tensor([0.0, math.radians(yaw_deg), 0.0]))
    turn[:3, 3] = axis - turn[:3, :3] @ axis
    return replace(camera, T_camera_world=camera.T_camera_world @ turn)


def _aligned(
    cloud: Gaussians,
    camera: Camera,
    mask: Mask,
    *,
    steps: tuple[float, ...] = ALIGN_STEPS,
) -> Camera:
    """Scale and move the picture until the outlines overlap most: first the boxes, then finely."""
    alpha = render(cloud, camera, maps=False).alpha
    drawn, wanted = bounds(alpha), bounds(mask)
    if drawn is None or wanted is None:
        return camera
    source, target = (alpha > 0.5).float().numpy(), (mask > 0.5).numpy()
    height, width = target.shape
    tall = wanted[3] - wanted[1]
    factor = tall / (drawn[3] - drawn[1])
    x = factor * (drawn[0] + drawn[2]) / 2 - (wanted[0] + wanted[2]) / 2
    y = factor * (drawn[1] + drawn[3]) / 2 - (wanted[1] + wanted[3]) / 2
    middle = ((wanted[0] + wanted[2]) / 2, (wanted[1] + wanted[3]) / 2)

    def agreement(state: tuple[float, float, float]) -> float:
        f, left, top = state
        # cv2 puts pixel centres at integers; ours lie at half integers.
        shift = 0.5 * f - 0.5
        warp = np.array([[f, 0, shift - left], [0, f, shift - top]])
        moved = cv2.warpAffine(source, warp, (width, height)) > 0.5
        return float((moved & target).sum()) / max(float((moved | target).sum()), 1.0)

    state = (factor, x, y)
    best = agreement(state)
    for share in steps:
        f, left, top = state
        for grow in (-share, 0.0, share):
            for across in (-share, 0.0, share):
                for down in (-share, 0.0, share):
                    # Growing happens about the middle of the person.
                    tried = (
                        f * (1 + grow),
                        left + grow * (left + middle[0]) + across * tall,
                        top + grow * (top + middle[1]) + down * tall,
                    )
                    found = agreement(tried)
                    if found > best:
                        best, state = found, tried
    return camera.scaled(state[0]).cropped(state[1], state[2], width, height)


def _scored(avatar: Avatar, table: _Table, yaw_deg: float, frame: Image, mask: Mask) -> ViewScore:
    cloud = table.cloud
    camera = _aligned(cloud, _turned(table.camera, table.axis, yaw_deg), mask)
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
