"""Cameras that see a whole person: front, side, back, any angle, and all the way round."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.checks import check_finite
from persona.core.errors import InputError
from persona.geometry.cameras import Camera, look_at

YAWS = {"front": 0.0, "side": math.pi / 2, "back": math.pi}
"""Where the named cameras stand, turned about the person's axis [rad]."""
FOCAL_RATIO = 2.0
"""Focal length over the picture's height: a portrait lens, faces stay undistorted."""
MARGIN = 0.06
"""Free space on each side, share of the picture: room for splats to fade."""


def fit_camera(
    points: Float[Tensor, "n 3"],
    *,
    width: int,
    height: int,
    yaw: float = 0.0,
    pitch: float = 0.0,
    margin: float = MARGIN,
    focal_ratio: float = FOCAL_RATIO,
) -> Camera:
    """Give the closest camera that has every point in its picture.

    It looks at the middle of the points' box. Yaw 0 looks at the person's front (from +z), a
    quarter turn stands at +x, the person's left; positive pitch looks down on them.

    Args:
        points: What must be visible [m], world frame.
        width: Columns of the picture [px].
        height: Rows of the picture [px].
        yaw: Turn of the camera about the person's vertical axis [rad].
        pitch: Height of the camera above the horizontal, as an angle below a quarter turn [rad].
        margin: Free space on each side, share of the picture.
        focal_ratio: Focal length over the picture's height.

    Raises:
        InputError: There are no points, or they are not finite, or nothing can be fitted.
    """
    _check(points, margin, pitch)
    center = _middle(points)
    distance = _distance(points - center, yaw, pitch, width, height, margin, focal_ratio)
    return _camera(center, distance, yaw, pitch, width, height, focal_ratio)


def turntable(
    points: Float[Tensor, "n 3"],
    count: int,
    *,
    width: int,
    height: int,
    pitch: float = 0.0,
    margin: float = MARGIN,
    focal_ratio: float = FOCAL_RATIO,
) -> list[Camera]:
    """Give ``count`` cameras evenly round the person, front first, all equally far away.

    Raises:
        InputError: There are no points, or they are not finite, or ``count`` is not positive.
    """
    if count < 1:
        raise InputError(
            f"a turntable of {count} pictures was asked for",
            why="it needs at least one",
            fix="give a positive count",
        )
    _check(points, margin, pitch)
    center = _middle(points)
    yaws = [2 * math.pi * i / count for i in range(count)]
    distance = max(
        _distance(points - center, yaw, pitch, width, height, margin, focal_ratio) for yaw in yaws
    )
    return [_camera(center, distance, yaw, pitch, width, height, focal_ratio) for yaw in yaws]


def _check(points: Tensor, margin: float, pitch: float) -> None:
    if points.dim() != 2 or points.shape[1] != 3 or points.shape[0] == 0:
        raise InputError(
            f"points have shape {tuple(points.shape)}",
            why="a camera is fitted to at least one point (n, 3)",
            fix="pass the means of the Gaussians, or the vertices of the body",
        )
    check_finite("points", points)
    if not (0 <= margin < 0.5 and abs(pitch) < math.pi / 2):
        raise InputError(
            f"margin is {margin}, pitch is {pitch}",
            why="the margin must leave some picture, and straight up or down has no upright",
            fix="choose a margin in [0, 0.5) and a pitch below a quarter turn",
        )


def _middle(points: Tensor) -> Tensor:
    points = points.detach()
    return (0.5 * (points.amin(0) + points.amax(0))).to("cpu", torch.float32)


def _towards_camera(yaw: float, pitch: float) -> Tensor:
    """Give the unit vector from the person to the camera."""
    level = math.cos(pitch)
    return torch.tensor([math.sin(yaw) * level, math.sin(pitch), math.cos(yaw) * level])


def _distance(
    centered: Tensor,
    yaw: float,
    pitch: float,
    width: int,
    height: int,
    margin: float,
    focal_ratio: float,
) -> float:
    centered = centered.detach().to("cpu", torch.float32)
    towards = _towards_camera(yaw, pitch)
    rotation = look_at(towards, torch.zeros(3))[:3, :3]
    x, y, _ = (centered @ rotation.T).unbind(1)
    focal = focal_ratio * height
    half_width, half_height = (0.5 - margin) * width, (0.5 - margin) * height
    # A point z nearer to the camera is in the picture when |x| focal <= half_width (d - z).
    nearer = centered @ towards
    needed = nearer + focal * torch.maximum(x.abs() / half_width, y.abs() / half_height)
    return max(float(needed.max()), 1e-3)


def _camera(
    center: Tensor,
    distance: float,
    yaw: float,
    pitch: float,
    width: int,
    height: int,
    focal_ratio: float,
) -> Camera:
    return Camera(
        width=width,
        height=height,
        focal_px=focal_ratio * height,
        center_px=(width / 2, height / 2),
        T_camera_world=look_at(center + distance * _towards_camera(yaw, pitch), center),
    )
