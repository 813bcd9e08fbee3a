"""The camera that a motion was filmed with, brought along to the person who now does it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.formats.json_folder import read_json_folder
from persona.animation.formats.reading import (
    FARTHEST,
    MOST_BYTES,
    check_frames,
    finite,
    refused,
)
from persona.animation.grounding import leg_rig
from persona.animation.sketch import NOMINAL_RIG
from persona.avatar import Avatar
from persona.body.files import read_arrays
from persona.core.errors import InputError
from persona.geometry.cameras import Camera
from persona.records.motion import Motion

KEYS: Final = ("T_camera_world", "focal_px", "image_size")
"""Arrays of our own npz that say how a motion was filmed."""


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """Cameras of a motion's own frames."""

    cameras: Sequence[Camera]
    """One for each frame of the file."""


def read_cameras(path: Path) -> Filmed:
    """Read how a motion was filmed: from a track of our own, or a folder of PERSONA or ExAvatar.

    Raises:
        InputError: The file does not say.
        FileFormatError: It is damaged.
    """
    if path.is_dir():
        cameras = read_json_folder(path).cameras
        if cameras:
            return Filmed(cameras=cameras)
    elif path.suffix.lower() == ".npz":
        arrays = read_arrays(path, most=MOST_BYTES, names=KEYS)
        if set(KEYS) <= set(arrays):
            size = finite(path, "image_size", arrays["image_size"], 2, most=1e5)
            focal = float(finite(path, "focal_px", arrays["focal_px"], 1, most=1e6))
            given = arrays["T_camera_world"]
            count = check_frames(path, given.shape[0] if given.ndim == 3 else 0)
            poses = finite(path, "T_camera_world", given, count, 4, 4, most=FARTHEST).float()
            turns = poses[:, :3, :3]
            if float((turns @ turns.mT - torch.eye(3)).abs().max()) > 1e-3:
                raise refused(path, "T_camera_world holds what is no rotation")
            return filmed_by((int(size[0]), int(size[1])), focal, poses)
    raise InputError(
        f"{path.name} does not say how it was filmed",
        why="only tracks of our own and folders of PERSONA or ExAvatar hold cameras",
        fix="choose another --camera, front for example",
    )


def filmed_by(
    size: tuple[int, int], focal_px: float, T_camera_world: Float[Tensor, "t 4 4"]
) -> Filmed:
    """Make cameras of one film of their places.

    Args:
        size: Width and height of its pictures [px].
        focal_px: Focal length.
        T_camera_world: World to camera for every frame (x right, y down, z forward) [m].
    """
    width, height = size
    camera = Camera(
        width=width,
        height=height,
        focal_px=focal_px,
        center_px=(width / 2, height / 2),
        T_camera_world=T_camera_world[0],
    )
    return Filmed(cameras=[replace(camera, T_camera_world=T) for T in T_camera_world])


def cameras_for(
    filmed: Filmed, source: Motion, performed: Motion, avatar: Avatar, *, height: int, speed: float
) -> list[Camera]:
    """See the person where the film saw the one who did the motion.

    Strides scale with legs, and so does the world here, the camera's place in it included; then it
    is shifted to where the performed pelvis is, by the median over the frames.

    Args:
        filmed: One camera for each frame of the file.
        source: The motion as read, at its own rate, y up.
        performed: What the avatar does, at the rate that is drawn.
        avatar: Who does it.
        height: Rows wanted [px], made even.
        speed: How many times faster the file is played.
    """
    rig = leg_rig(avatar.body, avatar.identity)
    scale = float((rig.thighs.norm(dim=-1) + rig.shins.norm(dim=-1)).mean()) / float(
        (NOMINAL_RIG.thighs.norm(dim=-1) + NOMINAL_RIG.shins.norm(dim=-1)).mean()
    )
    rows = torch.arange(performed.frame_count) / performed.fps * source.fps * speed
    rows = rows.round().long().clamp(max=min(source.frame_count, len(filmed.cameras)) - 1)
    theirs = source.params.transl[rows] + NOMINAL_RIG.pelvis.float()
    ours = performed.params.transl + rig.pelvis.float()
    shift = (ours - scale * theirs).median(0).values
    factor = 2 * round(height / 2) / filmed.cameras[0].height
    found = []
    for row in rows.tolist():
        camera = filmed.cameras[row].scaled(factor)
        T = camera.T_camera_world.clone()
        T[:3, 3] = scale * T[:3, 3] - T[:3, :3] @ shift
        width = 2 * max(1, round(camera.width / 2))
        found.append(replace(camera, T_camera_world=T, width=width, height=2 * round(height / 2)))
    return found
