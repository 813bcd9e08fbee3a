"""GVHMR and WHAM: what they find in a video, as they save it or as an npz."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
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
from persona.animation.formats.world_axes import set_upright
from persona.animation.sketch import BASE_FPS
from persona.body.files import Arrays, read_arrays
from persona.core.conventions import JOINT_COUNT
from persona.core.pickles import read_pickled_arrays
from persona.records.body_params import rest_params
from persona.records.motion import Motion

BODY_JOINTS: Final = 22
"""Joints that SMPL and SMPL-X share: pelvis to wrists. SMPL's two palms are left out."""


WANTED: Final = (
    *("global_orient", "body_pose", "transl", "betas"),
    *("pose_world", "trans_world", "frame_ids"),
)
"""Arrays that are taken out of a pickle; the rest, such as all vertices, stays in it."""
GVHMR_GROUPS: Final = ("smpl_params_global", "smpl_params_incam", "")
"""Where GVHMR keeps a motion: in the world, or seen by the camera."""
MOST_PICKLE_BYTES: Final = 2**30
"""WHAM's files hold the body's vertices of every frame: 83 kB each."""
PICKLE_SECONDS: Final = 20
"""Processor time for unpickling one."""


def holds_video_results(arrays: Arrays) -> bool:
    """Say whether these look like GVHMR's or WHAM's arrays."""
    return {"global_orient", "body_pose"} <= set(arrays) or "pose_world" in arrays


def read_video_results(
    path: Path, *, fps: float | None = None, up: str | None = None, person: int | None = None
) -> MotionFile:
    """Read GVHMR's ``global_orient, body_pose, transl`` or WHAM's ``pose_world, trans_world``.

    Both programs save pickles: GVHMR a file of `torch.save`, WHAM one of joblib. Those are read in
    a process of its own that runs nothing they name; an npz of the same arrays is read, too.
    Neither knows its frame rate.

    Args:
        path: ``hmr4d_results.pt``, ``wham_output.pkl``, or an npz.
        fps: The rate; None takes 30 and says so.
        up: One of `world_axes.AXES`; None finds out.
        person: Which of the people in a WHAM file, counted from 1; None takes who is there longest.

    Raises:
        FileFormatError: The arrays are not as described.
    """
    arrays, whose = _arrays_of(path, person)
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
    params, _, said = set_upright(params, otherwise="y", asked=up)
    rate = check_fps(path, BASE_FPS if fps is None else fps)
    assumed = "assumed: the file does not say; give --source-fps"
    facts = {
        "joints": "22 of the body; no hands, no face",
        "fps": f"{rate:g} ({assumed if fps is None else 'as asked'})",
        "up": said,
        "units": "metres (the format's)",
        **whose,
    }
    motion = Motion(params=params, fps=rate, name=path.stem)
    return MotionFile(motion=motion, format="WHAM" if wham else "GVHMR", facts=facts)


def _arrays_of(path: Path, person: int | None) -> tuple[Arrays, dict[str, str]]:
    """Give one person's arrays by their bare names, and what to say about them."""
    if path.suffix.lower() == ".npz":
        check_size(path)
        return read_arrays(path, most=MOST_BYTES), {}
    found = read_pickled_arrays(path, most=MOST_PICKLE_BYTES, seconds=PICKLE_SECONDS, wanted=WANTED)
    groups: dict[str, Arrays] = {}
    for name, array in found.items():
        group, _, key = name.rpartition("/")
        groups.setdefault(group, {})[key] = array
    for group in GVHMR_GROUPS:
        if group in groups and holds_video_results(groups[group]):
            return groups[group], {"space": group or "not stated"}
    people = {g: a for g, a in groups.items() if "pose_world" in a and a["pose_world"].ndim == 2}
    if not people:
        held = ", ".join(sorted(found)[:8]) or "nothing of theirs"
        raise refused(path, f"it holds {held}; GVHMR's and WHAM's files hold other arrays")
    names = sorted(people)
    if person is not None and not 1 <= person <= len(names):
        raise refused(path, f"person {person} was asked for, and it holds {len(names)}")
    longest = max(names, key=lambda name: len(people[name]["pose_world"]))
    name = longest if person is None else names[person - 1]
    how = "there longest" if person is None else "as asked"
    whose = {"person": f"{names.index(name) + 1} of {len(names)} ({how})"}
    ids = people[name].get("frame_ids")
    if ids is not None and ids.ndim == 1 and ids.dtype.kind in "iu" and len(ids) > 1:
        lost = int(ids.astype(np.int64)[-1] - ids.astype(np.int64)[0]) + 1 - len(ids)
        if lost > 0:
            whose["gaps"] = f"{lost} frames of the video are missing and were closed up"
    return people[name], whose
