"""Cameras that keep a whole motion in the picture."""

import math
from dataclasses import replace
from typing import Final, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.resampling import travel
from persona.core.errors import InputError
from persona.geometry.cameras import Camera
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians
from persona.records.motion import Motion
from persona.rendering.camera_paths import YAWS, fit_camera, turntable

View = Literal["front", "side", "back", "turntable", "follow"]
"""Where the camera is; "follow" is in front of the person, a little to their left."""
VIEWS: Final[tuple[View, ...]] = get_args(View)

FOLLOW_YAW: Final = 0.42
"""Turn of the camera that goes along [rad]: strides towards the viewer can be told from it."""
PITCH: Final = 0.06
"""Every camera looks down a little, so that the floor is a plane and not a line [rad]."""
SAMPLED_FRAMES: Final = 24
"""Poses that are looked at to find how much room a motion takes."""
EVEN: Final = 2
"""Sizes are multiples of this: video codecs halve the colour."""
ASPECTS: Final = (0.5, 16 / 9)
"""Narrowest and widest picture that is chosen, width over height."""
ON_THE_SPOT: Final = 1.0
"""Who keeps within this is not followed [m]: sway and side steps are part of the motion."""
FOLLOW_SECONDS: Final = 1.5
"""The camera that goes along averages the person's way over this time [s]."""


@runtime_checkable
class Posable(Protocol):
    """What can be posed: an avatar."""

    def pose(self, params: BodyParams) -> Gaussians:
        """Give the Gaussians of one pose, world frame."""
        ...


def outline(avatar: Posable, motion: Motion) -> Float[Tensor, "k 26 3"]:
    """Give the outermost points in 26 directions, of poses spread evenly over a motion [m]."""
    sides = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3)
    sides = sides[sides.abs().sum(1) > 0]
    found = []
    for index in sampled_frames(motion).tolist():
        means = avatar.pose(motion.params.frame(index)).means
        found.append(means[(means @ sides.T.to(means)).argmax(0)])
    return torch.stack(found)


def sampled_frames(motion: Motion) -> Tensor:
    """List the frames that stand for the whole motion."""
    count = min(motion.frame_count, SAMPLED_FRAMES)
    return torch.linspace(0, motion.frame_count - 1, count).round().long()


def follow_path(motion: Motion) -> Float[Tensor, "t 3"]:
    """Give the person's way over the floor without its steps [m].

    A loop that travels goes straight; otherwise the way is averaged over `FOLLOW_SECONDS`. Who
    stays about where they are has no way: zero.
    """
    flat = torch.tensor([1.0, 0.0, 1.0])
    ends = motion.params.transl * flat
    if float((ends.amax(0) - ends.amin(0)).norm()) < ON_THE_SPOT:
        return torch.zeros(motion.frame_count, 3)
    way = travel(motion)
    if motion.loops and float(way.norm()) > 0:
        share = torch.arange(motion.frame_count) / motion.frame_count
        middle = (motion.params.transl - share[:, None] * way).mean(0)
        return (share[:, None] * way + middle) * flat
    radius = min(round(FOLLOW_SECONDS / 2 * motion.fps), motion.frame_count - 1)
    path = motion.params.transl
    # Turned about its ends, so that somebody who walks in is not met by a camera that stands.
    before = 2 * path[:1] - path[1 : radius + 1].flip(0)
    after = 2 * path[-1:] - path[-radius - 1 : -1].flip(0)
    padded = torch.cat([before, path, after]).T[:, None]
    kernel = torch.hann_window(2 * radius + 3, periodic=False)[1:-1]
    smooth = torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])
    return smooth[:, 0].T * flat


def frame_motion(
    avatar: Posable,
    motion: Motion,
    view: View,
    *,
    height: int,
    width: int | None = None,
    still: bool = False,
) -> list[Camera]:
    """Give a camera for every frame, so that nobody ever leaves the picture.

    Cameras go along with a person who travels.

    Args:
        avatar: Who moves.
        motion: What they do, on the floor.
        view: Where to look from. "turntable" goes round once over the motion.
        height: Rows [px], made even.
        width: Columns [px], made even; None takes what the motion needs.
        still: Let all but "follow" stay where they are and see the whole way, as a picture in
            the background asks for.

    Raises:
        InputError: The view is unknown or the size impossible.
    """
    if view not in VIEWS:
        raise InputError(
            f"there is no camera called {view!r}",
            why=f"the cameras are {', '.join(VIEWS)}",
            fix="choose one of them",
        )
    points = outline(avatar, motion)
    along = view == "follow" or not still
    path = follow_path(motion) if along else torch.zeros(motion.frame_count, 3)
    near = (points - path[sampled_frames(motion)][:, None]).flatten(0, 1)
    yaw = YAWS.get(view, FOLLOW_YAW)
    rows = _even(height)
    columns = _even(
        width
        if width is not None
        else needed_width(near, rows, yaw=None if view == "turntable" else yaw)
    )
    if view == "turntable":
        cameras = turntable(near, motion.frame_count, width=columns, height=rows, pitch=PITCH)
    else:
        camera = fit_camera(near, width=columns, height=rows, yaw=yaw, pitch=PITCH)
        cameras = [camera] * motion.frame_count
    return [_moved(camera, step) for camera, step in zip(cameras, path, strict=True)]


def needed_width(points: Float[Tensor, "n 3"], height: int, *, yaw: float | None) -> int:
    """Choose the width [px] in which the person fills the height, within `ASPECTS`.

    Args:
        points: What must be visible [m].
        height: Rows [px].
        yaw: Turn of the camera [rad]; None is a camera that goes all the way round.
    """
    low, high = points.amin(0), points.amax(0)
    flat = (points - (low + high) / 2)[:, [0, 2]]
    if yaw is None:
        half = float(flat.norm(dim=1).max())
    else:
        half = float((flat @ torch.tensor([math.cos(yaw), -math.sin(yaw)])).abs().max())
    aspect = 2 * half / max(float(high[1] - low[1]), 1e-6)
    return round(height * min(max(aspect * 1.05, ASPECTS[0]), ASPECTS[1]))


def _moved(camera: Camera, step: Float[Tensor, " 3"]) -> Camera:
    T = camera.T_camera_world.clone()
    T[:3, 3] -= T[:3, :3] @ step
    return replace(camera, T_camera_world=T)


def _even(size: int) -> int:
    return max(EVEN, EVEN * math.ceil(size / EVEN))
