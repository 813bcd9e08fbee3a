"""GVHMR and WHAM: what they find in a video, saved by their users as an npz."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from persona.animation.formats.reading import (
    FARTHEST,
    MOST_BYTES,
    WIDEST_TURN,
    MotionFile,
    check_fps,
    check_frames,
    check_size,
    finite,
    refused,
)
from persona.animation.formats.world_axes import find_up, trunks_of, turn_to_y_up, turned
from persona.animation.sketch import BASE_FPS
from persona.body.files import Arrays, read_arrays
from persona.core.conventions import JOINT_COUNT
from persona.records.body_params import rest_params
from persona.records.motion import Motion

BODY_JOINTS: Final = 22
"""Joints that SMPL and SMPL-X share: pelvis to wrists. SMPL's two palms are left out."""


def holds_video_results(arrays: Arrays) -> bool:
    """Say whether these look like GVHMR's or WHAM's arrays."""
    return {"global_orient", "body_pose"} <= set(arrays) or "pose_world" in arrays


def read_video_results(
    path: Path, *, fps: float | None = None, up: str | None = None
) -> MotionFile:
    """Read GVHMR's ``global_orient, body_pose, transl`` or WHAM's ``pose_world, trans_world``.

    Both programs save pickles (.pt, .pkl), which can run anything and are not opened; their
    users save the dictionary with numpy.savez. Neither file knows its frame rate.

    Raises:
        FileFormatError: The arrays are not as described.
    """
    check_size(path)
    arrays = read_arrays(path, most=MOST_BYTES)
    wham = "pose_world" in arrays
    first = arrays["pose_world" if wham else "body_pose"]
    frames = check_frames(path, first.shape[0] if first.ndim > 1 else 0)
    pose = torch.zeros(frames, JOINT_COUNT, 3, dtype=torch.float64)
    width = first.size // frames
    if width not in ((72,) if wham else (63, 69)):
        raise refused(path, f"it has {width} numbers a frame; WHAM 72, GVHMR 63 or 69")
    body = finite(path, "pose", first, frames, width // 3, 3, most=WIDEST_TURN)
    if wham:
        pose[:, :BODY_JOINTS] = body[:, :BODY_JOINTS]
    else:
        root = finite(
            path, "global_orient", arrays["global_orient"], frames, 1, 3, most=WIDEST_TURN
        )
        pose[:, :BODY_JOINTS] = torch.cat([root, body], 1)[:, :BODY_JOINTS]
    params = rest_params(frames).with_full_pose(pose.float())
    key = "trans_world" if wham else "transl"
    if key in arrays:
        transl = finite(path, key, arrays[key], frames, 3, most=FARTHEST).float()
        params = replace(params, transl=transl)
    found, said = find_up(trunks_of(params.global_orient), otherwise="y")
    if up is not None:
        found, said = up, f"{up} (as asked)"
    rate = check_fps(path, BASE_FPS if fps is None else fps)
    assumed = "assumed: the file does not say; give --source-fps"
    facts = {
        "joints": "22 of the body; no hands, no face",
        "fps": f"{rate:g} ({assumed if fps is None else 'as asked'})",
        "up": said,
        "units": "metres (the format's)",
    }
    motion = Motion(params=turned(params, turn_to_y_up(found)), fps=rate, name=path.stem)
    return MotionFile(motion=motion, format="WHAM" if wham else "GVHMR", facts=facts)
