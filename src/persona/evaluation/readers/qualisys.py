"""Cameras from a Qualisys calibration (.qca.txt): an XML file, lengths in mm, pixels in 1/64."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from persona.core.errors import FileFormatError

MAX_BYTES: Final = 4 << 20
"""A larger file is no calibration."""
SUBPIXELS: Final = 64.0
"""Units of a pixel in the file."""
MM: Final = 1000.0
"""Millimetres in a metre."""
_FLIP: Final = np.diag([1.0, -1.0, -1.0])
"""Between its cameras, which look along -z with y up, and ours, which look along z with y down."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibratedCamera:
    """A real camera, lens included."""

    name: str
    """Serial."""
    size: tuple[int, int]
    """Width and height [px]."""
    matrix: Float[ndarray, "3 3"]
    """Focal lengths and centre [px]."""
    distortion: Float[ndarray, " 5"]
    """k1, k2, p1, p2, k3 as OpenCV takes them."""
    rotation: Float[ndarray, "3 3"]
    """Takes the laboratory's directions to the camera's (x right, y down, z forward)."""
    position: Float[ndarray, " 3"]
    """Of the camera [m], laboratory frame, z up."""

    @property
    def T_camera_lab(self) -> Float[ndarray, "4 4"]:
        """Takes points of the laboratory to the camera [m]."""
        T = np.eye(4)
        T[:3, :3] = self.rotation
        T[:3, 3] = -self.rotation @ self.position
        return T


def read_qualisys(path: Path) -> dict[str, CalibratedCamera]:
    """Read all cameras of a calibration, by serial.

    Raises:
        FileFormatError: It is no such file, or a number is missing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        # Entities could name other files or grow without bound: a calibration has none.
        if len(data) > MAX_BYTES or b"<!" in data:
            raise ValueError("it is too large, or declares entities")
        root = ElementTree.fromstring(data)
        cameras = [_camera(element) for element in root.iter("camera")]
    except (OSError, ValueError, ElementTree.ParseError, KeyError) as error:
        raise FileFormatError(
            f"{path.name} cannot be read: {error}",
            why="it should be a Qualisys calibration with transform and intrinsic of every camera",
            fix="export it again as .qca.txt",
        ) from error
    if not cameras:
        raise FileFormatError(
            f"{path.name} holds no camera",
            why="it should be a Qualisys calibration",
            fix="export it again as .qca.txt",
        )
    return {camera.name: camera for camera in cameras}


def _camera(element: ElementTree.Element) -> CalibratedCamera:
    lens, place, view = (_child(element, name) for name in ("intrinsic", "transform", "fov_video"))

    def pixels(name: str) -> float:
        return float(lens[name]) / SUBPIXELS

    turn = np.array([[float(place[f"r{row}{column}"]) for column in "123"] for row in "123"])
    size = (
        int(view["right"]) - int(view["left"]) + 1,
        int(view["bottom"]) - int(view["top"]) + 1,
    )
    matrix = np.array(
        [
            [pixels("focalLengthU"), 0.0, pixels("centerPointU")],
            [0.0, pixels("focalLengthV"), pixels("centerPointV")],
            [0.0, 0.0, 1.0],
        ]
    )
    names = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1")
    bent = [float(lens[name]) for name in (*names, "tangentalDistortion2", "radialDistortion3")]
    found = CalibratedCamera(
        name=element.get("serial", ""),
        size=size,
        matrix=matrix,
        distortion=np.array(bent),
        rotation=_FLIP @ turn,
        position=np.array([float(place[axis]) for axis in "xyz"]) / MM,
    )
    if not all(np.isfinite(a).all() for a in (matrix, found.distortion, turn, found.position)):
        raise ValueError("a number is not finite")
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3):
        raise ValueError("a transform is no rotation")
    return found


def _child(element: ElementTree.Element, name: str) -> dict[str, str]:
    child = element.find(name)
    if child is None:
        raise KeyError(f"{name} of camera {element.get('serial')}")
    return dict(child.attrib)
