"""Motions in files of our own format: an npz with poses over time."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from persona.animation.pose_files import (
    POSE_KEY,
    TRANSL_KEY,
    check_has_poses,
    floats_from,
    no_pose,
)
from persona.animation.sketch import BASE_FPS
from persona.body.files import read_arrays
from persona.core.atomic import replacing_file
from persona.core.conventions import JOINT_COUNT
from persona.core.errors import FileFormatError
from persona.records.body_params import rest_params
from persona.records.motion import Motion

FPS_KEY: Final = "fps"
"""Name of the number of frames a second, which may be missing."""
LOOPS_KEY: Final = "loops"
"""Name of the flag that the last frame leads back to the first; missing means it does not."""
EXPRESSION_KEY: Final = "expression"
"""Name of the expression coefficients, relative to the person's resting face."""
MOST_EXPRESSIONS: Final = 100
"""Coefficients that a body has at most."""
FASTEST: Final = 1000.0
"""No motion has more frames a second."""
LARGEST_WAY: Final = 10_000.0
"""Nobody is farther from the origin than this [m]; single precision holds a millimetre there."""


def read_motion(path: Path) -> Motion:
    """Read a motion of any length.

    Args:
        path: An npz with ``full_pose`` (frames x 55 x 3 axis-angles [rad], or frames x 165) and,
            where they are given, ``transl`` (frames x 3 [m]), ``expression`` (frames x numbers,
            relative to the resting face), ``fps`` and ``loops``.

    Raises:
        FileFormatError: The file is missing, no npz, or the arrays are not as described.
    """
    if not path.is_file():
        raise FileFormatError(
            f"the motion {path.name} cannot be read",
            why="there is no such file",
            fix="give the name of a built-in motion, or the path of an npz",
        )
    arrays = read_arrays(path)
    check_has_poses(path, arrays)
    # Whatever does not divide into whole poses is refused as not that many numbers.
    frames = max(1, round(arrays[POSE_KEY].size / (JOINT_COUNT * 3)))
    pose = floats_from(path, arrays[POSE_KEY], POSE_KEY, frames * JOINT_COUNT * 3)
    params = rest_params(frames).with_full_pose(pose.reshape(frames, JOINT_COUNT, 3))
    if TRANSL_KEY in arrays:
        transl = floats_from(path, arrays[TRANSL_KEY], TRANSL_KEY, frames * 3).reshape(frames, 3)
        if float(transl.abs().max()) > LARGEST_WAY:
            raise no_pose(path, f"{TRANSL_KEY} goes beyond {LARGEST_WAY:g} m")
        params = replace(params, transl=transl)
    fps = float(floats_from(path, arrays[FPS_KEY], FPS_KEY, 1)) if FPS_KEY in arrays else BASE_FPS
    if not 0 < fps <= FASTEST:
        raise no_pose(path, f"{FPS_KEY} is {fps:g}, not above 0 and at most {FASTEST:g}")
    if EXPRESSION_KEY in arrays:
        face = arrays[EXPRESSION_KEY]
        width = face.shape[1] if face.ndim == 2 and 0 < face.shape[1] <= MOST_EXPRESSIONS else 1
        told = floats_from(path, face, EXPRESSION_KEY, frames * width).reshape(frames, width)
        params = replace(params, expression=told)
    flag = arrays.get(LOOPS_KEY)
    loops = flag is not None and flag.dtype.kind in "biuf" and bool(flag.any())
    return Motion(params=params, fps=fps, name=path.stem, loops=loops)


def write_motion(
    motion: Motion, path: Path, *, more: Mapping[str, NDArray[np.generic]] | None = None
) -> None:
    """Write a motion so that `read_motion` gives it back; shape is not kept.

    Args:
        motion: What to write.
        path: Where to.
        more: Further arrays, for other programs, under names that `read_motion` does not use.
    """
    face = motion.params.expression
    told = {EXPRESSION_KEY: face.numpy()} if bool(face.any()) else {}
    with replacing_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            full_pose=motion.params.full_pose.numpy(),
            transl=motion.params.transl.numpy(),
            fps=np.float64(motion.fps),
            loops=np.bool_(motion.loops),
            **told,
            **(more or {}),
        )
