"""X-Humans, one person (00028, 00034, 00087): pictures, depth and SMPL-X fits of several takes.

Its folder holds ``train`` and ``test``, in each a folder for every take with
``render/image/color_000001.png``, ``render/depth/depth_000001.tiff``, ``render/cameras.npz``
(``intrinsic`` 3 x 3, ``extrinsic`` of every frame 3 x 4 or 4 x 4) and
``SMPLX/mesh-f00001_smplx.pkl``. The person is where depth is less than its largest value. The photo
is the first frame of the first train take, or the one named; all test takes judge, one after the
other. Hands are taken as axis-angle about a flat hand.

References:
    Shen et al., "X-Avatar: expressive human avatars", CVPR 2023.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float

from persona.core.errors import FileFormatError, InputError
from persona.core.pickles import read_pickled_arrays
from persona.evaluation.readers.folders import (
    POSE_FIELDS,
    OwnBody,
    frame_from,
    needed_file,
    needed_folder,
    one_focal,
    pose_of,
    read_picture,
)
from persona.evaluation.readers.video import evenly
from persona.evaluation.spec import SubjectSpec
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.records.photo import Photo

PICTURE: Final = re.compile(r"color_(\d{1,9})\.png")
"""Names of pictures."""
MAX_PICKLE: Final = 16 << 20
"""Largest file of one pose."""
MAX_NPZ: Final = 64 << 20
"""Largest file of a take's cameras."""
MAX_DEPTH: Final = 64 << 20
"""Largest depth picture."""
SECONDS: Final = 20
"""Processor time for reading one pose."""


def xhumans_subject(path: Path, spec: SubjectSpec, *, body: Path) -> Subject:
    """Read a person.

    Args:
        path: Folder of the person.
        spec: Name, number of the photo's frame in the first train take, size, number of frames.
        body: The SMPL-X file of the fits, of the person's sex.

    Raises:
        FileFormatError: A piece is missing or damaged; it says which.
        InputError: The take has no frame of the photo's number.
    """
    needed_folder(path, "the person")
    train, test = (_takes(path / split) for split in ("train", "test"))
    first = train[0]
    wanted = first.numbers[0] if spec.front is None else spec.front
    if wanted not in first.numbers:
        raise InputError(
            f"frame {wanted} was named as the photo of {path.name}",
            why=f"{first.folder.name} has {first.numbers[0]} to {first.numbers[-1]}",
            fix="choose one of those with front = N",
        )
    shape = first.pose(wanted).get("betas", np.zeros(10, np.float32))
    own = OwnBody.of(
        needed_file(body, "the SMPL-X file"), np.asarray(shape, np.float32).reshape(-1)
    )
    listed = [(take, number) for take in test for number in take.numbers]
    listed = [listed[k] for k in evenly(list(range(len(listed))), spec.frames)]

    def read(start: int) -> Iterator[SubjectFrame]:
        for index in range(start, len(listed)):
            take, number = listed[index]
            yield take.frame(number, index, own, spec.rows)

    return Subject(
        name=spec.name,
        dataset="xhumans",
        photo=Photo(rgb=first.picture(wanted), name=spec.name),
        frame_count=len(listed),
        read=read,
        still=first.frame(wanted, 0, own, spec.rows),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Take:
    folder: Path
    numbers: tuple[int, ...]
    names: dict[int, str]
    intrinsic: Float[np.ndarray, "3 3"]
    extrinsic: Float[np.ndarray, "n r 4"]

    def picture(self, number: int) -> torch.Tensor:
        return read_picture(self.folder / "render" / "image" / self.names[number], "a frame")

    def pose(self, number: int) -> dict[str, np.ndarray]:
        file = self.folder / "SMPLX" / f"mesh-f{number:05d}_smplx.pkl"
        needed_file(file, "the SMPL-X fit of a frame")
        wanted = (*POSE_FIELDS, "betas")
        found = read_pickled_arrays(file, most=MAX_PICKLE, seconds=SECONDS, wanted=wanted)
        return {key.rsplit("/", 1)[-1]: np.asarray(value) for key, value in found.items()}

    def frame(self, number: int, index: int, own: OwnBody, rows: int) -> SubjectFrame:
        picture = self.picture(number)
        mask = self._mask(number)
        if mask.shape != picture.shape[:2]:
            raise FileFormatError(
                f"depth of frame {number} of {self.folder.name} is {tuple(mask.shape)}",
                why=f"its picture is {tuple(picture.shape[:2])}",
                fix="unpack the data set again",
            )
        where = f"{self.folder.name}, frame {number}"
        return frame_from(
            picture,
            mask,
            self._camera(number, picture),
            pose_of(self.pose(number), where=where),
            own,
            index=index,
            name=f"{self.folder.name}_{number:06d}",
            rows=rows,
        )

    def _camera(self, number: int, picture: torch.Tensor) -> Camera:
        T = torch.eye(4)
        at = self.extrinsic[self.numbers.index(number)]
        T[:3] = torch.from_numpy(at[:3].astype(np.float32))
        K = self.intrinsic
        return Camera(
            width=picture.shape[1],
            height=picture.shape[0],
            focal_px=one_focal(float(K[0, 0]), float(K[1, 1]), where="cameras.npz"),
            center_px=(float(K[0, 2]), float(K[1, 2])),
            T_camera_world=T,
        )

    def _mask(self, number: int) -> torch.Tensor:
        name = f"depth_{PICTURE.fullmatch(self.names[number])[1]}.tiff"  # type: ignore[index]
        file = needed_file(self.folder / "render" / "depth" / name, "depth, which is the mask")
        data = np.fromfile(file, np.uint8, count=MAX_DEPTH)
        depth = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if depth is None or depth.ndim != 2:
            raise FileFormatError(
                f"{name} is no picture of depth",
                why="it has one number a pixel, the largest where nobody is",
                fix="unpack the data set again",
            )
        return torch.from_numpy((depth < depth.max()).astype(np.float32))


def _takes(folder: Path) -> list[_Take]:
    needed_folder(folder, "takes of the split")
    takes = [_take(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()]
    if not takes:
        raise FileFormatError(
            f"{folder.name} holds no take",
            why="each take is a folder with render and SMPLX",
            fix="unpack the data set again",
        )
    return takes


def _take(folder: Path) -> _Take:
    pictures = needed_folder(folder / "render" / "image", f"pictures of {folder.name}")
    found = {
        int(match[1]): entry.name
        for entry in pictures.iterdir()
        if (match := PICTURE.fullmatch(entry.name))
    }
    file = needed_file(folder / "render" / "cameras.npz", f"cameras of {folder.name}")
    try:
        if file.stat().st_size > MAX_NPZ:
            raise ValueError("it is too large")
        with np.load(file, allow_pickle=False) as cameras:
            intrinsic, extrinsic = cameras["intrinsic"], cameras["extrinsic"]
        if intrinsic.shape != (3, 3) or extrinsic.ndim != 3 or extrinsic.shape[1:] not in _SHAPES:
            raise ValueError(f"shapes are {intrinsic.shape} and {extrinsic.shape}")
        if len(extrinsic) != len(found) or not found:
            raise ValueError(f"{len(extrinsic)} cameras for {len(found)} pictures")
        if not (np.isfinite(intrinsic).all() and np.isfinite(extrinsic).all()):
            raise ValueError("a number is not finite")
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(
            f"cameras.npz of {folder.name} is not understood: {error}",
            why="it holds intrinsic (3 x 3), and extrinsic (3 x 4 or 4 x 4) of every picture",
            fix="unpack the data set again",
        ) from error
    return _Take(
        folder=folder,
        numbers=tuple(sorted(found)),
        names=found,
        intrinsic=intrinsic,
        extrinsic=extrinsic,
    )


_SHAPES: Final = ((3, 4), (4, 4))
