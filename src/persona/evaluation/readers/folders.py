"""What readers of published folders share: pieces that must be there, pictures, poses, joints."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.body import SmplxBody, load_body
from persona.core.config import read_json
from persona.core.errors import FileFormatError
from persona.core.types import Image, Mask
from persona.evaluation.subjects import SubjectFrame
from persona.geometry.cameras import Camera
from persona.images.crops import resize
from persona.images.files import read_image
from persona.records.body_params import BodyParams, rest_params
from persona.records.frame_set import JointRates

MAX_JSON: Final = 8 << 20
"""Larger files of one frame's numbers are something else."""
SQUARE: Final = 0.02
"""Focal lengths in x and y may differ by this share: ours are one."""
POSE_FIELDS: Final[dict[str, int]] = {
    "global_orient": 3,
    "body_pose": 63,
    "jaw_pose": 3,
    "leye_pose": 3,
    "reye_pose": 3,
    "left_hand_pose": 45,
    "right_hand_pose": 45,
    "transl": 3,
}
"""SMPL-X's own names, and numbers in each."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnBody:
    """The body that a data set's poses belong to, in the shape of one person."""

    body: SmplxBody
    """Their SMPL-X file."""
    betas: Float[Tensor, " s"]
    """Shape in that file's own components."""
    joint_offsets: Float[Tensor, "55 3"] | None = None
    """Added to the rest joints [m]."""

    @classmethod
    def of(
        cls,
        path: Path,
        betas: Float[np.ndarray, " s"],
        joint_offsets: Float[np.ndarray, "55 3"] | None = None,
    ) -> "OwnBody":
        """Open the body file with as many shape components as the person has.

        Raises:
            FileFormatError: It is no SMPL-X file.
            InputError: It has fewer components.
        """
        offsets = None if joint_offsets is None else torch.from_numpy(joint_offsets).float()
        return cls(
            body=load_body(path, betas=len(betas)),
            betas=torch.from_numpy(betas.copy()).float(),
            joint_offsets=offsets,
        )

    def joints(self, params: BodyParams) -> Float[Tensor, "55 3"]:
        """Give the joints in a pose [m]; expression moves none that matters."""
        shaped = replace(params, betas=self.betas)
        with torch.no_grad():
            return self.body.forward(shaped, joint_offsets=self.joint_offsets).joints


def pose_of(values: Mapping[str, np.ndarray], *, where: str) -> BodyParams:
    """Take a pose from SMPL-X's own fields; expression is left at rest.

    Expressions are components of another body, and mean nothing to ours.

    Raises:
        FileFormatError: A field is missing, or has another number of entries.
    """
    found = {}
    for name, count in POSE_FIELDS.items():
        if name not in values:
            raise FileFormatError(
                f"{where} has no {name}",
                why=f"a pose needs {', '.join(POSE_FIELDS)}",
                fix="take the data set's SMPL-X fits, not those of SMPL",
            )
        numbers = np.asarray(values[name], np.float32).reshape(-1)
        if len(numbers) != count or not np.isfinite(numbers).all():
            raise FileFormatError(
                f"{name} in {where} has {len(numbers)} numbers",
                why=f"it should have {count}, all of them finite; hands as axis-angle, not as "
                "principal components",
                fix="unpack the data set again, or convert its hands",
            )
        tensor = torch.from_numpy(numbers.copy())
        found[name] = tensor.reshape(-1, 3) if count > 3 else tensor
    return replace(rest_params(), **found)


def frame_from(
    picture: Image,
    mask: Mask,
    camera: Camera,
    params: BodyParams,
    own: OwnBody,
    *,
    index: int,
    name: str,
    rows: int,
    rates: JointRates | None = None,
) -> SubjectFrame:
    """Make a frame, shrunk to so many rows at most."""
    joints = own.joints(params)
    height = picture.shape[0]
    if height > rows:
        camera = camera.scaled(rows / height)
        picture = resize(picture, width=camera.width, height=camera.height)
        mask = resize(mask, width=camera.width, height=camera.height)
    return SubjectFrame(
        index=index,
        name=name,
        picture=picture,
        mask=mask,
        camera=camera,
        params=params,
        rates=rates,
        joints=joints,
    )


def needed_file(path: Path, what: str) -> Path:
    """Insist on a file.

    Raises:
        FileFormatError: It is not there.
    """
    if not path.is_file():
        raise FileFormatError(
            f"{path.parent.name}/{path.name} is missing: {what}",
            why="the published folder has it",
            fix="unpack the data set again, and let path lead to the folder of one subject",
        )
    return path


def needed_folder(path: Path, what: str) -> Path:
    """Insist on a folder.

    Raises:
        FileFormatError: It is not there.
    """
    if not path.is_dir():
        raise FileFormatError(
            f"the folder {path.name} is missing: {what}",
            why="the published folder has it",
            fix="unpack the data set again, and let path lead to the folder of one subject",
        )
    return path


def read_picture(path: Path, what: str) -> Image:
    """Read a picture that must be there."""
    return read_image(needed_file(path, what)).rgb


def read_numbers(path: Path, what: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Read a JSON file of nothing but nested lists of numbers.

    Raises:
        FileFormatError: It is missing, or holds another shape.
    """
    values = read_json(needed_file(path, what), max_bytes=MAX_JSON)
    try:
        array = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        array = np.full(1, np.nan, np.float32)
    fits = len(array.shape) == len(shape) and all(
        wanted is None or wanted == has for wanted, has in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise FileFormatError(
            f"{path.name} holds numbers of shape {array.shape}",
            why=f"{what} has shape {shape}, all of them finite",
            fix="unpack the data set again",
        )
    return array


def one_focal(x: float, y: float, *, where: str) -> float:
    """Give one focal length for both axes.

    Raises:
        FileFormatError: They differ by more than `SQUARE`.
    """
    if not (x > 0 and y > 0) or abs(x - y) > SQUARE * max(x, y):
        raise FileFormatError(
            f"{where} has focal lengths {x:g} and {y:g}",
            why="pixels are taken to be square",
            fix="resample the pictures to square pixels",
        )
    return (x + y) / 2
