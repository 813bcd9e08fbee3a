"""Pinhole cameras: project, unproject, crop, resize, look at."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.conventions import T_PHOTO_CAMERA_WORLD
from persona.core.errors import InputError
from persona.core.types import Rigid

MAX_SIZE_PX = 16_384
"""Largest picture side that anything here draws."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera and the size of its picture.

    Raises:
        InputError: The size or the focal length is not positive, or absurd.
    """

    width: int
    """Columns [px]."""
    height: int
    """Rows [px]."""
    focal_px: float
    """Focal length, the same in x and y [px]."""
    center_px: tuple[float, float]
    """Where the optical axis meets the picture (x, y) [px]."""
    T_camera_world: Rigid
    """Takes world points [m] to the camera frame."""

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_SIZE_PX and 0 < self.height <= MAX_SIZE_PX):
            raise InputError(
                f"a camera was asked for {self.width} x {self.height} pixels",
                why=f"each side must be between 1 and {MAX_SIZE_PX}",
                fix="choose another size",
            )
        if not (math.isfinite(self.focal_px) and self.focal_px > 0):
            raise InputError(
                f"focal length is {self.focal_px}",
                why="it must be a positive number of pixels",
                fix="use about 1.2 times the picture's longer side when it is unknown",
            )

    def project(
        self, points: Float[Tensor, "*n 3"]
    ) -> tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n"]]:
        """Project world points [m] to pixels (x, y) and depth [m]."""
        in_camera = self.to_camera(points)
        depth = in_camera[..., 2]
        center = torch.tensor(self.center_px, dtype=points.dtype, device=points.device)
        return self.focal_px * in_camera[..., :2] / depth[..., None] + center, depth

    def to_camera(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Take world points [m] to the camera frame [m]."""
        T = self.T_camera_world.to(points)
        return points @ T[:3, :3].T + T[:3, 3]

    def unproject(
        self, pixels: Float[Tensor, "*n 2"], depth: Float[Tensor, "*n"]
    ) -> Float[Tensor, "*n 3"]:
        """Take pixels (x, y) with depth [m] to world points [m]."""
        center = torch.tensor(self.center_px, dtype=pixels.dtype, device=pixels.device)
        flat = (pixels - center) * (depth[..., None] / self.focal_px)
        in_camera = torch.cat([flat, depth[..., None]], -1)
        T = self.T_camera_world.to(pixels)
        return (in_camera - T[:3, 3]) @ T[:3, :3]

    @property
    def position(self) -> Float[Tensor, " 3"]:
        """Where the camera stands [m], world frame."""
        return -self.T_camera_world[:3, :3].T @ self.T_camera_world[:3, 3]

    def scaled(self, factor: float) -> "Camera":
        """Give the camera of the same picture resized by ``factor``."""
        return replace(
            self,
            width=max(1, round(self.width * factor)),
            height=max(1, round(self.height * factor)),
            focal_px=self.focal_px * factor,
            center_px=(self.center_px[0] * factor, self.center_px[1] * factor),
        )

    def cropped(self, left: float, top: float, width: int, height: int) -> "Camera":
        """Give the camera of a window of the picture; the window may reach outside."""
        center = (self.center_px[0] - left, self.center_px[1] - top)
        return replace(self, width=width, height=height, center_px=center)


def photo_camera(width: int, height: int, focal_px: float) -> Camera:
    """Give the camera of a photo: at the world's origin, axis through the picture's middle."""
    return Camera(
        width=width,
        height=height,
        focal_px=focal_px,
        center_px=(width / 2, height / 2),
        T_camera_world=torch.tensor(T_PHOTO_CAMERA_WORLD),
    )


def look_at(
    eye: Float[Tensor, " 3"],
    target: Float[Tensor, " 3"],
    up: Float[Tensor, " 3"] | None = None,
) -> Rigid:
    """Give ``T_camera_world`` of a camera at ``eye`` that looks at ``target`` [m].

    Raises:
        InputError: The two coincide, or the view runs along ``up``.
    """
    up = torch.tensor([0.0, 1.0, 0.0]) if up is None else up
    forward = torch.nn.functional.normalize(target - eye, dim=0)
    right = torch.linalg.cross(forward, up)
    if float(right.norm()) < 1e-6:
        raise InputError(
            "the camera looks along its own up direction",
            why="left and right are then undefined",
            fix="move the camera or give another up direction",
        )
    right = torch.nn.functional.normalize(right, dim=0)
    down = torch.linalg.cross(forward, right)
    rotation = torch.stack([right, down, forward])
    T = torch.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = -rotation @ eye
    return T
