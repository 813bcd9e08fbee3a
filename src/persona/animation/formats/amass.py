"""AMASS: SMPL-X, SMPL-H and SMPL parameters over time in an npz, floor at z = 0."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

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
from persona.animation.formats.world_axes import set_upright, turn_to_y_up, turned
from persona.animation.sketch import BASE_FPS
from persona.body.files import Arrays, read_arrays
from persona.core.atomic import replacing_file
from persona.core.conventions import JOINT_COUNT
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion

RATE_KEYS: Final = ("mocap_frame_rate", "mocap_framerate", "fps")
"""Names of the frame rate: SMPL-X files, SMPL-H files, everybody else."""
KINDS: Final = {165: "SMPL-X", 156: "SMPL-H", 72: "SMPL"}
"""Numbers of one frame's pose, and whose they are."""
PARTS: Final = (
    ("root_orient", 0, 1),
    ("pose_body", 1, 22),
    ("pose_jaw", 22, 23),
    ("pose_eye", 23, 25),
    ("pose_hand", 25, 55),
)
"""The other layout: a pose in pieces, and which joints each is."""
MOST_COEFFICIENTS: Final = 400
"""Betas or expressions in a file."""
WIDEST_COEFFICIENT: Final = 1000.0


def holds_amass(arrays: Arrays) -> bool:
    """Say whether these look like AMASS arrays, of either layout."""
    return "poses" in arrays or "pose_body" in arrays


def read_amass(path: Path, *, fps: float | None = None, up: str | None = None) -> MotionFile:
    """Read an AMASS npz: ``poses`` in one piece or in pieces, ``trans``, and a rate.

    Betas are SMPL-X's, which the shipped body does not share: they are kept, not applied.

    Args:
        path: The file.
        fps: The rate where the file is wrong or silent.
        up: One of `world_axes.AXES`; None finds out.

    Raises:
        FileFormatError: The arrays are not as described.
    """
    check_size(path)
    arrays = read_arrays(path, most=MOST_BYTES)
    pose, kind = _pose(path, arrays)
    frames = len(pose)
    rate, rate_fact = _rate(path, arrays, fps)
    params = rest_params(frames).with_full_pose(pose.float())
    if "trans" in arrays:
        transl = finite(path, "trans", arrays["trans"], frames, 3, most=FARTHEST)
        params = replace(params, transl=transl.float())
    params = _with_coefficients(path, arrays, params)
    params, _, up_fact = set_upright(params, otherwise="z", asked=up)
    facts = {
        "joints": f"{kind}, {pose.shape[1]} joints",
        "fps": rate_fact,
        "up": up_fact,
        "units": "metres (the format's)",
        "gender": _text(arrays.get("gender")) or "not stated",
    }
    motion = Motion(params=params, fps=rate, name=path.stem)
    return MotionFile(motion=motion, format=f"AMASS {kind}", facts=facts)


def write_amass(motion: Motion, path: Path) -> None:
    """Write what the SMPL-X Blender add-on opens as AMASS: z up, both layouts of the pose."""
    params = motion.params
    # The inverse of what a z-up file is turned by when it is read.
    world = turned(params, turn_to_y_up("z").T)
    pose = world.full_pose.numpy().astype(np.float64)
    frames = motion.frame_count
    pieces = {name: pose[:, a:b].reshape(frames, -1) for name, a, b in PARTS}
    betas = params.betas[0].numpy().astype(np.float64)
    with replacing_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            poses=pose.reshape(frames, -1),
            trans=world.transl.numpy().astype(np.float64),
            betas=np.pad(betas, (0, max(0, 16 - len(betas)))),
            num_betas=np.int64(max(16, len(betas))),
            gender=np.array("neutral"),
            surface_model_type=np.array("smplx"),
            mocap_frame_rate=np.float64(motion.fps),
            mocap_time_length=np.float64(motion.duration),
            expression=params.expression.numpy().astype(np.float64),
            **pieces,
        )


def _pose(path: Path, arrays: Arrays) -> tuple[Tensor, str]:
    """Give rotations (frames, 55, 3) [rad] and whose layout they came in."""
    if "poses" in arrays:
        poses = arrays["poses"]
        frames = check_frames(path, poses.shape[0] if poses.ndim > 1 else 0)
        width = poses.size // frames
        if width not in KINDS:
            raise refused(
                path,
                f"poses has {width} numbers a frame; "
                + ", ".join(f"{v} {k}" for k, v in KINDS.items()),
                fix="use an SMPL-X, SMPL-H or SMPL file",
            )
        flat = finite(path, "poses", poses, frames, width // 3, 3, most=WIDEST_TURN)
        return _placed(flat), KINDS[width]
    root = arrays.get("root_orient")
    frames = check_frames(path, 0 if root is None or root.ndim < 2 else root.shape[0])
    pose = torch.zeros(frames, JOINT_COUNT, 3, dtype=torch.float64)
    for name, a, b in PARTS:
        if name in arrays:
            pose[:, a:b] = finite(path, name, arrays[name], frames, b - a, 3, most=WIDEST_TURN)
        elif name == "pose_body":
            raise refused(path, f"it has no pose_body, only {', '.join(arrays)}")
    return pose, "SMPL-X" if "pose_jaw" in arrays else "SMPL-H"


def _placed(poses: Tensor) -> Tensor:
    """Put the joints of SMPL-H and SMPL where SMPL-X has them; the two palms of SMPL have none."""
    full = poses.new_zeros(len(poses), JOINT_COUNT, 3)
    full[:, :22] = poses[:, :22]
    if poses.shape[1] == JOINT_COUNT:
        return poses
    if poses.shape[1] == 52:
        full[:, 25:] = poses[:, 22:]
    return full


def _rate(path: Path, arrays: Arrays, asked: float | None) -> tuple[float, str]:
    if asked is not None:
        return check_fps(path, asked), f"{asked:g} (as asked)"
    for key in RATE_KEYS:
        if key in arrays:
            rate = float(finite(path, key, arrays[key], 1, most=1e9))
            return check_fps(path, rate), f"{rate:g} ({key})"
    return BASE_FPS, f"{BASE_FPS:g} (assumed: the file does not say; give --source-fps)"


def _with_coefficients(path: Path, arrays: Arrays, params: BodyParams) -> BodyParams:
    """Keep the first betas and expressions, as many as we have room for."""
    frames, room = params.betas.shape
    if "betas" in arrays and arrays["betas"].size:
        betas = arrays["betas"].reshape(-1)[:MOST_COEFFICIENTS]
        first = finite(path, "betas", betas, len(betas), most=WIDEST_COEFFICIENT)[:room].float()
        params = replace(params, betas=_padded(first, room).expand(frames, -1).clone())
    if "expression" in arrays and arrays["expression"].size:
        width = arrays["expression"].size // frames
        values = arrays["expression"]
        rows = finite(path, "expression", values, frames, width, most=WIDEST_COEFFICIENT)
        params = replace(params, expression=_padded(rows[:, :room].float(), room))
    return params


def _padded(values: Tensor, room: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, room - values.shape[-1]))


def _text(array: np.ndarray | None) -> str:
    if array is None or array.dtype.kind not in "US" or array.size != 1:
        return ""
    value = array.reshape(-1)[0]
    return str(value.decode("latin1") if isinstance(value, bytes) else value)[:32]
