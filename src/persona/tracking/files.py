"""A track as a file: our own motion format, with more in it for those who want to know."""

from pathlib import Path
from typing import Final

import numpy as np

from persona.animation.motion_files import write_motion
from persona.tracking.confidence import PARTS
from persona.tracking.track import Track

BODY: Final = "open_body"
"""Body file whose betas these are, unless an avatar says otherwise."""


def write_track(track: Track, path: Path) -> None:
    """Write a track as a motion that `persona animate` plays, and everything else beside it.

    The further arrays: ``betas`` and ``joint_offsets`` of the person, ``own_pose`` and
    ``own_transl`` on their own bones, ``confidence`` by ``confidence_parts``, ``standing`` (heel,
    ball, toe of left and right), ``seen``, ``shots``, ``times``, and the camera: ``focal_px``,
    ``image_size``, ``T_camera_world`` of every frame, ``camera_moving``.
    """
    more = {
        "betas": track.identity.betas.numpy(),
        "joint_offsets": track.identity.joint_offsets.numpy(),
        "own_pose": track.own.params.full_pose.numpy(),
        "own_transl": track.own.params.transl.numpy(),
        "confidence": track.confidence.numpy(),
        "confidence_parts": np.array(tuple(PARTS)),
        "standing": track.standing.numpy(),
        "seen": track.seen.numpy(),
        "shots": track.shots.numpy(),
        "times": track.times.numpy(),
        "focal_px": np.float64(track.focal_px),
        "image_size": np.array(track.size),
        "T_camera_world": track.T_camera_world.numpy(),
        "camera_moving": np.bool_(track.camera.moving),
    }
    write_motion(track.motion, path, more=more)
