"""Read one pose from an npz."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from persona.body.files import Arrays, read_arrays
from persona.core.conventions import JOINT_COUNT
from persona.core.errors import FileFormatError
from persona.records.body_params import BodyParams

POSE_KEY: Final = "full_pose"
"""Name of the array with the rotations."""
TRANSL_KEY: Final = "transl"
"""Name of the array with the translation, which may be missing."""
LARGEST_TRANSL: Final = 100.0
"""A person farther away cannot be seen [m]."""


def read_pose(path: Path, like: BodyParams) -> BodyParams:
    """Read ``full_pose`` (55 x 3 axis-angles [rad]) and, where given, ``transl`` (3) [m].

    Args:
        path: An npz with these names.
        like: Gives everything that the file does not.

    Raises:
        FileFormatError: The file is missing, no npz, or the arrays are not as described.
    """
    if not path.is_file():
        raise FileFormatError(
            f"the pose {path.name} cannot be read",
            why="there is no such file",
            fix="give photo, canonical, or the path of an npz",
        )
    arrays = read_arrays(path)
    check_has_poses(path, arrays)
    pose = floats_from(path, arrays[POSE_KEY], POSE_KEY, JOINT_COUNT * 3).reshape(JOINT_COUNT, 3)
    params = like.with_full_pose(pose)
    if TRANSL_KEY in arrays:
        transl = floats_from(path, arrays[TRANSL_KEY], TRANSL_KEY, 3)
        if float(transl.abs().max()) > LARGEST_TRANSL:
            raise no_pose(path, f"{TRANSL_KEY} is {transl.tolist()}, beyond {LARGEST_TRANSL:g} m")
        params = replace(params, transl=transl)
    return params


def check_has_poses(path: Path, arrays: Arrays) -> None:
    """Refuse a file without the array every pose and every motion is read from."""
    if POSE_KEY not in arrays:
        raise no_pose(path, f"it has no array {POSE_KEY}, only {', '.join(arrays) or 'none'}")


def floats_from(path: Path, array: np.ndarray, name: str, count: int) -> torch.Tensor:
    """Give the ``count`` finite numbers of an array, flat.

    Raises:
        FileFormatError: There is another number of them, or they are none.
    """
    if array.size != count or array.dtype.kind not in "iuf":
        raise no_pose(path, f"{name} has shape {array.shape} of {array.dtype}, not {count} numbers")
    values = torch.from_numpy(array.astype(np.float32).reshape(count))
    if not torch.isfinite(values).all():
        raise no_pose(path, f"{name} holds numbers that are not finite")
    return values


def no_pose(path: Path, why: str) -> FileFormatError:
    """Say that a file's arrays are not as they should be, and how to make them."""
    return FileFormatError(
        f"{path.name} holds no pose",
        why=why,
        fix=f"save one with numpy.savez(path, {POSE_KEY}=array of {JOINT_COUNT} x 3 axis-angles)",
    )
