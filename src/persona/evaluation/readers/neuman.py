"""NeuMan, one scene: bike, citron, jogging, seattle, with whole-body fits beside the pictures.

Its folder holds ``images/00000.png``; masks, either ``masks`` (white person) or ``segmentations``
(white background); ``train_split.txt`` and ``test_split.txt`` with a file name a line; the lens in
``sparse/cameras.txt`` as COLMAP writes it; and SMPL-X fits in ``smplx_optimized``: shape, joint
offsets, and a pose for every frame in the frame's own camera. The photo is a frame of the train
split; the test split judges. Its frames do not follow each other, so that nothing is said about
time. The original SMPL fits have no hands and another scale in every scene; they are not read.

References:
    Jiang et al., "NeuMan: neural human radiance field from a single video", ECCV 2022; whole-body
    fits: Moon et al., "Expressive whole-body 3D Gaussian avatar", ECCV 2024.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from persona.core.config import read_json
from persona.core.conventions import T_PHOTO_CAMERA_WORLD
from persona.core.errors import FileFormatError, InputError
from persona.evaluation.readers.folders import (
    MAX_JSON,
    OwnBody,
    frame_from,
    needed_file,
    needed_folder,
    one_focal,
    pose_of,
    read_numbers,
    read_picture,
)
from persona.evaluation.readers.video import evenly
from persona.evaluation.spec import SubjectSpec
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_params import BodyParams
from persona.records.photo import Photo

NAMES: Final = {
    "root_pose": "global_orient",
    "body_pose": "body_pose",
    "jaw_pose": "jaw_pose",
    "leye_pose": "leye_pose",
    "reye_pose": "reye_pose",
    "lhand_pose": "left_hand_pose",
    "rhand_pose": "right_hand_pose",
    "trans": "transl",
}
"""Names in the fits -> SMPL-X's own."""
MOST_LINES: Final = 100_000
"""Longer lists of frames are something else."""


def neuman_subject(path: Path, spec: SubjectSpec, *, body: Path) -> Subject:
    """Read a scene.

    Args:
        path: Folder of the scene.
        spec: Name, number of the photo's frame, size.
        body: The SMPL-X file of the fits: neutral.

    Raises:
        FileFormatError: A piece is missing or damaged; it says which.
        InputError: The frame that was named as photo is none of the train split.
    """
    scene = _Scene.of(needed_folder(path, "the scene"), spec, body)
    train, test = (_split(path / f"{name}_split.txt") for name in ("train", "test"))
    numbers = [_number(name) for name in train]
    if spec.front is not None and spec.front not in numbers:
        raise InputError(
            f"frame {spec.front} was named as the photo of {path.name}",
            why="the photo is a frame of the train split",
            fix="choose a number from train_split.txt",
        )
    chosen = train[0] if spec.front is None else train[numbers.index(spec.front)]
    names = [test[k] for k in evenly(list(range(len(test))), spec.frames)]
    still = scene.frame(chosen, 0)

    def read(start: int) -> Iterator[SubjectFrame]:
        return (scene.frame(names[number], number) for number in range(start, len(names)))

    return Subject(
        name=spec.name,
        dataset="neuman",
        photo=Photo(rgb=scene.picture(chosen), name=spec.name),
        frame_count=len(names),
        read=read,
        still=still,
        person=spec.person,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Scene:
    folder: Path
    camera: Camera
    own: OwnBody
    rows: int

    @classmethod
    def of(cls, folder: Path, spec: SubjectSpec, body: Path) -> "_Scene":
        fits = needed_folder(folder / "smplx_optimized", "SMPL-X fits of the scene")
        shape = read_numbers(fits / "shape_param.json", "the person's shape", (None,))
        offsets = None
        if (fits / "joint_offset.json").is_file():
            offsets = read_numbers(fits / "joint_offset.json", "joint offsets", (55, 3))
        return cls(
            folder=folder,
            camera=_lens(folder / "sparse" / "cameras.txt"),
            own=OwnBody.of(needed_file(body, "the SMPL-X file"), shape, offsets),
            rows=spec.rows,
        )

    def picture(self, name: str) -> torch.Tensor:
        return read_picture(self.folder / "images" / name, "a frame of the split")

    def frame(self, name: str, index: int) -> SubjectFrame:
        picture = self.picture(name)
        if picture.shape[:2] != (self.camera.height, self.camera.width):
            raise FileFormatError(
                f"images/{name} is {picture.shape[1]} x {picture.shape[0]}",
                why=f"its camera's pictures are {self.camera.width} x {self.camera.height}",
                fix="unpack the data set again: pictures and cameras belong together",
            )
        mask = self._mask(name)
        if mask.shape != picture.shape[:2]:
            raise FileFormatError(
                f"the mask of {name} is {mask.shape[1]} x {mask.shape[0]}",
                why=f"its picture is {picture.shape[1]} x {picture.shape[0]}",
                fix="unpack the data set again",
            )
        return frame_from(
            picture,
            mask,
            self.camera,
            self._pose(name),
            self.own,
            index=index,
            name=Path(name).stem,
            rows=self.rows,
        )

    def _mask(self, name: str) -> torch.Tensor:
        if (self.folder / "masks").is_dir():
            return (read_picture(self.folder / "masks" / name, "its mask")[..., 0] > 0.5).float()
        needed_folder(self.folder / "segmentations", "masks, white where the background is")
        back = read_picture(self.folder / "segmentations" / name, "its mask, white outside")
        return (back[..., 0] <= 0.5).float()

    def _pose(self, name: str) -> BodyParams:
        """Read a pose; from the camera's frame, y down, to ours, y up."""
        file = self.folder / "smplx_optimized" / "smplx_params" / f"{_number(name)}.json"
        values = read_json(needed_file(file, "the pose of a frame"), max_bytes=MAX_JSON)
        if not isinstance(values, dict):
            values = {}
        given = {NAMES[key]: _array(value) for key, value in values.items() if key in NAMES}
        params = pose_of(given, where=f"smplx_params/{file.name}")
        flip = torch.tensor(T_PHOTO_CAMERA_WORLD)[:3, :3]
        turned = flip @ axis_angle_to_matrix(params.global_orient)
        # The body turns about its pelvis, wherever that is at rest.
        pelvis = self.own.joints(replace(params, transl=torch.zeros(3)))[0]
        return replace(
            params,
            global_orient=matrix_to_axis_angle(turned),
            transl=flip @ (pelvis + params.transl) - pelvis,
        )


def _array(value: object) -> np.ndarray:
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError):
        return np.zeros(0, np.float32)


def _split(path: Path) -> list[str]:
    with needed_file(path, "names of the split's frames").open() as file:
        lines = [line.strip() for line, _ in zip(file, range(MOST_LINES), strict=False)]
    names = [line for line in lines if line]
    bad = [name for name in names if not Path(name).stem.isdigit() or Path(name).name != name]
    if bad or not names:
        raise FileFormatError(
            f"{path.name} holds {bad[0]!r}" if bad else f"{path.name} is empty",
            why="each line is the file name of a frame, 00012.png",
            fix="unpack the data set again",
        )
    return names


def _number(name: str) -> int:
    return int(Path(name).stem)


def _lens(path: Path) -> Camera:
    """Read the one lens of a scene, as COLMAP writes it."""
    with needed_file(path, "the lens, as COLMAP writes it").open() as file:
        lines = [line.split() for line, _ in zip(file, range(MOST_LINES), strict=False)]
    cameras = [words for words in lines if words and not words[0].startswith("#")]
    try:
        (words,) = cameras
        model, numbers = words[1], [float(word) for word in words[2:]]
        if model == "SIMPLE_PINHOLE":
            width, height, fx, x, y = numbers
            fy = fx
        elif model == "PINHOLE":
            width, height, fx, fy, x, y = numbers
        else:
            raise ValueError(f"the camera model {model} bends lines")
    except (ValueError, IndexError) as error:
        raise FileFormatError(
            f"{path.name} is not understood: {error}",
            why="a scene has one camera, PINHOLE or SIMPLE_PINHOLE, with its size and lens",
            fix="undistort the pictures with COLMAP, or unpack the data set again",
        ) from error
    return Camera(
        width=int(width),
        height=int(height),
        focal_px=one_focal(fx, fy, where=path.name),
        center_px=(x, y),
        T_camera_world=torch.tensor(T_PHOTO_CAMERA_WORLD),
    )
