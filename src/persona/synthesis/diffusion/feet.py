"""Turn the ankles of a motion so that its feet stand as generated frames show them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import savgol_filter
from torch import Tensor

from persona.geometry.cameras import Camera
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, skew
from persona.records.motion import Motion

FOOT_MARKS: Final = ((27, 29, 31), (28, 30, 32))
"""MediaPipe's ankle, heel and toe, left and right."""
KNEES: Final = (4, 5)
"""Joints whose rotation carries the ankles'."""
ANKLE_ROWS: Final = (6, 7)
"""Left and right ankle in ``body_pose``."""
SEEN_SIGMA_M: Final = 0.02
"""Error of a detector's heels and toes relative to ankles, at the person's distance [m]."""
TURN_SIGMA: Final = 0.25
"""How far ankles of generated people are from those asked for [rad]."""
FARTHEST_M: Final = 0.2
"""Feet seen farther than this from where they were asked for are not believed [m]."""
STEPS: Final = 8
"""Gauss-Newton steps; turns are small."""
SMOOTHING_FRAMES, SMOOTHING_ORDER = 9, 2
"""Savitzky-Golay window and order; METHOD.md B."""


@dataclass(frozen=True, kw_only=True)
class FeetSight:
    """Feet of one frame: as asked for, and as seen."""

    frame: int
    """Which."""
    asked: Float[Tensor, "2 3 3"]
    """Ankle, heel and toe of both feet in the world [m]."""
    shins: Float[Tensor, "2 3 3"]
    """World rotation of the knees, which ankles turn relative to."""
    seen: Float[Tensor, "2 3 2"]
    """The six points in the picture [px]."""


def refit_ankles(motion: Motion, sights: Sequence[FeetSight], camera: Camera) -> Motion:
    """Turn the two ankles of every frame; nothing else of the pose is touched.

    Heels and toes are compared relative to the ankle, so that a person drawn a little aside does
    not twist the feet. Frames between those that were seen are interpolated, then all are smoothed.

    Args:
        motion: As asked for.
        sights: Frames that can be believed, in order; without any the motion stays as it is.
        camera: Who sees them.
    """
    if not sights:
        return motion
    turns = torch.stack([_turns(sight, camera) for sight in sights]).numpy()
    count = motion.frame_count
    at = np.array([sight.frame for sight in sights])
    every = np.zeros((count, 2, 3))
    for foot in range(2):
        for axis in range(3):
            every[:, foot, axis] = np.interp(np.arange(count), at, turns[:, foot, axis])
    if count >= SMOOTHING_FRAMES:
        every = np.asarray(savgol_filter(every, SMOOTHING_FRAMES, SMOOTHING_ORDER, axis=0))
    pose = motion.params.body_pose.clone()
    rows = list(ANKLE_ROWS)
    turned = axis_angle_to_matrix(torch.from_numpy(every).to(pose))
    pose[:, rows] = matrix_to_axis_angle(turned @ axis_angle_to_matrix(pose[:, rows]))
    return replace(motion, params=replace(motion.params, body_pose=pose))


def _turns(sight: FeetSight, camera: Camera) -> Float[Tensor, "2 3"]:
    """Find the turn of each ankle relative to its shin [axis-angle]."""
    ankles = sight.asked[:, :1]
    asked_px, depth = camera.project(sight.asked)
    sigma_px = SEEN_SIGMA_M * camera.focal_px / depth[:, :1]
    away = (sight.seen[:, :1] - asked_px[:, :1]).norm(dim=-1) / sigma_px * SEEN_SIGMA_M
    believed = (away < FARTHEST_M).float()
    wanted = sight.seen[:, 1:] - sight.seen[:, :1]
    levers = (sight.asked[:, 1:] - ankles) @ sight.shins
    R = torch.eye(3).expand(2, 3, 3)
    to_camera = camera.T_camera_world[:3, :3]
    for _ in range(STEPS):
        turned = levers @ R.mT
        points = ankles + turned @ sight.shins.mT
        pixels, deep = camera.project(points)
        residual = (pixels - asked_px[:, :1] - wanted) / sigma_px[..., None]
        moves = -to_camera @ sight.shins[:, None] @ skew(turned)
        inside = camera.to_camera(points)
        slope = (
            camera.focal_px
            / deep[..., None, None]
            * (
                moves[..., :2, :]
                - inside[..., :2, None] / deep[..., None, None] * moves[..., 2:, :]
            )
        )
        J = (slope / sigma_px[..., None, None]).flatten(1, 2) * believed[..., None]
        r = residual.flatten(1) * believed
        prior = matrix_to_axis_angle(R) / TURN_SIGMA**2
        normal = J.mT @ J + torch.eye(3) / TURN_SIGMA**2
        step = torch.linalg.solve(normal, -((J.mT @ r[..., None])[..., 0] + prior))
        R = axis_angle_to_matrix(step) @ R
    return matrix_to_axis_angle(R)
