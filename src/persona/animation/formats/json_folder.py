"""PERSONA, ExAvatar and LHM: a folder with the SMPL-X parameters of every frame as JSON."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from persona.animation.formats.reading import (
    FARTHEST,
    MOST_BYTES,
    MOST_FRAMES,
    WIDEST_TURN,
    MotionFile,
    check_fps,
    finite,
    refused,
)
from persona.animation.formats.world_axes import set_upright, turn_to_y_up, turned
from persona.animation.sketch import BASE_FPS
from persona.core.atomic import replacing_folder
from persona.geometry.cameras import MAX_SIZE_PX, Camera
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion

PARAMS: Final = ("smplx_params_smoothed", "smplx_params")
"""Names of the folder with the poses, best first."""
CAMERAS: Final = ("cam_params", "cam_params_smoothed")
"""Names of the folder with the cameras."""
MOST_JSON: Final = 2**20
"""Bytes of one frame; a full one takes 8 thousand."""
POSES: Final = {
    "root_pose": ("global_orient", (3,)),
    "body_pose": ("body_pose", (21, 3)),
    "jaw_pose": ("jaw_pose", (3,)),
    "leye_pose": ("leye_pose", (3,)),
    "reye_pose": ("reye_pose", (3,)),
    "lhand_pose": ("left_hand_pose", (15, 3)),
    "rhand_pose": ("right_hand_pose", (15, 3)),
}
"""Their name, our name and shape."""
PICTURE: Final = (1024, 1024)
"""Height and width of the pictures that the written cameras take [px]."""
DISTANCE: Final = 4.0
"""From the written camera to the person at the start [m]."""


def read_json_folder(path: Path, *, fps: float | None = None, up: str | None = None) -> MotionFile:
    """Read a folder of numbered JSON files, or one that holds a folder ``smplx_params``.

    Cameras are read where a folder ``cam_params`` lies beside, or where the poses carry them as
    those of LHM do, and are turned with the motion.
    Expressions and betas are SMPL-X's, which the shipped body does not share.

    Raises:
        FileFormatError: No frames, or one that is damaged or differs from the first in its keys.
    """
    folder = next((path / name for name in PARAMS if (path / name).is_dir()), path)
    files = _numbered(folder)
    if not files:
        raise refused(path, "it holds no numbered JSON files", fix="give the folder smplx_params")
    total = sum(file.stat().st_size for file in files)
    if total > MOST_BYTES or len(files) > MOST_FRAMES:
        raise refused(path, f"{len(files)} files of {total / 2**20:.0f} MB are more than is read")
    frames = [_frame(file) for file in files]
    params = _params(path, files, frames)
    params, turn, said = set_upright(params, otherwise="-y", asked=up)
    cameras = [
        seen
        for file, data in zip(files, frames, strict=True)
        if (seen := _camera(path, folder, file, data, turn)) is not None
    ]
    lhm = "pad_ratio" in frames[0]
    facts = {
        "joints": "SMPL-X, 55 joints",
        "fps": f"{fps:g} (as asked)"
        if fps is not None
        else f"{BASE_FPS:g} (assumed: the files do not say; give --source-fps)",
        "up": said,
        "units": "metres (the format's)",
        "cameras": f"{len(cameras)} beside {len(files)} frames" if cameras else "none",
        "gaps": _gaps([int(file.stem) for file in files]),
    }
    motion = Motion(
        params=params,
        fps=check_fps(path, BASE_FPS if fps is None else fps),
        name=path.name,
    )
    name = "LHM JSON" if lhm else "PERSONA/ExAvatar JSON"
    return MotionFile(motion=motion, format=name, facts=facts, cameras=cameras)


def write_json_folder(motion: Motion, path: Path) -> None:
    """Write ``smplx_params`` and ``cam_params`` as PERSONA and ExAvatar read them.

    The world has y down, as that of their cameras; one still camera looks at the person at the
    start from the front, whole in a picture of 1024 x 1024.
    """
    world = turned(motion.params, turn_to_y_up("-y").T)
    center = world.transl[0].double()
    shift = [-float(center[0]), -float(center[1]) + 0.35, DISTANCE - float(center[2])]
    camera = {
        "R": torch.eye(3).tolist(),
        "t": shift,
        "focal": [1.5 * PICTURE[0]] * 2,
        "princpt": [PICTURE[1] / 2, PICTURE[0] / 2],
    }
    with replacing_folder(path) as partial:
        for name in ("smplx_params", "cam_params"):
            (partial / name).mkdir()
        for index in range(motion.frame_count):
            frame = world.frame(index)
            data = {theirs: getattr(frame, ours).tolist() for theirs, (ours, _) in POSES.items()}
            data |= {"expr": frame.expression.tolist(), "trans": frame.transl.tolist()}
            data["shape"] = frame.betas.tolist()
            (partial / "smplx_params" / f"{index}.json").write_text(json.dumps(data))
            (partial / "cam_params" / f"{index}.json").write_text(json.dumps(camera))


def _numbered(folder: Path) -> list[Path]:
    """List the files whose names are numbers, in the order of the numbers."""
    found = [
        file
        for file in folder.iterdir()
        if file.suffix == ".json"
        and file.stem.isascii()
        and file.stem.isdigit()
        and len(file.stem) < 12
    ]
    return sorted(found, key=lambda file: int(file.stem))


def _frame(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MOST_JSON:
        raise refused(file, f"it has {file.stat().st_size} bytes; a frame has at most {MOST_JSON}")
    try:
        data = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise refused(file, f"it is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise refused(file, "it is no JSON object")
    return data


def _params(path: Path, files: list[Path], frames: list[dict[str, Any]]) -> BodyParams:
    params = rest_params(len(frames))
    for theirs, (ours, shape) in POSES.items():
        if theirs not in frames[0]:
            if theirs in ("root_pose", "body_pose"):
                raise refused(files[0], f"it has no {theirs}, only {', '.join(frames[0])[:200]}")
            continue
        rows = [
            _value(file, data, theirs, *shape) for file, data in zip(files, frames, strict=True)
        ]
        params = replace(params, **{ours: torch.stack(rows).float()})
    if "trans" in frames[0]:
        rows = [
            finite(file, "trans", data.get("trans"), 3, most=FARTHEST)
            for file, data in zip(files, frames, strict=True)
        ]
        params = replace(params, transl=torch.stack(rows).float())
    for key, ours in (("expr", "expression"), ("betas", "betas"), ("shape", "betas")):
        if not isinstance(frames[0].get(key), list) or not frames[0][key]:
            continue
        width = len(frames[0][key])
        rows = [_value(file, data, key, width) for file, data in zip(files, frames, strict=True)]
        room = getattr(params, ours).shape[1]
        kept = torch.stack(rows)[:, :room].float()
        kept = torch.nn.functional.pad(kept, (0, room - kept.shape[1]))
        params = replace(params, **{ours: kept})
    return params


def _value(file: Path, data: dict[str, Any], key: str, *shape: int) -> Tensor:
    if key not in data:
        raise refused(file, f"it has no {key}, which the first frame has")
    return finite(file, key, data[key], *shape, most=WIDEST_TURN)


def _camera(
    path: Path, folder: Path, file: Path, data: dict[str, Any], turn: Tensor
) -> Camera | None:
    """Read the camera of one frame, beside the poses or among them."""
    for base in (folder.parent, path):
        for name in CAMERAS:
            beside = base / name / file.name
            if beside.is_file():
                return _as_camera(beside, _frame(beside), turn)
    return _as_camera(file, data, turn) if "focal" in data and "princpt" in data else None


def _as_camera(file: Path, data: dict[str, Any], turn: Tensor) -> Camera:
    """Make a camera; one whose place is not told is at the origin of the file's world."""
    missing = [key for key in ("focal", "princpt") if key not in data]
    if missing:
        raise refused(file, f"the camera has no {', '.join(missing)}")
    focal = finite(file, "focal", data["focal"], 2, most=1e6)
    middle = finite(file, "princpt", data["princpt"], 2, most=1e6)
    pose = torch.eye(4, dtype=torch.float64)
    if "R" in data:
        pose[:3, :3] = finite(file, "R", data["R"], 3, 3, most=1.01)
    if "t" in data:
        pose[:3, 3] = finite(file, "t", data["t"], 3, most=FARTHEST)
    pose[:3, :3] = pose[:3, :3] @ turn.T
    size = data.get("img_size_wh", (2 * middle).tolist())
    wide = finite(file, "img_size_wh", size, 2, most=MAX_SIZE_PX)
    if not (bool((focal > 0).all()) and bool((wide >= 1).all())):
        raise refused(file, "the camera has no positive focal length or size")
    return Camera(
        width=round(float(wide[0])),
        height=round(float(wide[1])),
        focal_px=float(focal.mean()),
        center_px=(float(middle[0]), float(middle[1])),
        T_camera_world=pose.float(),
    )


def _gaps(numbers: list[int]) -> str:
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    return (
        f"{missing} numbers missing; the frames are played as if there were none"
        if missing
        else "none"
    )
