"""Messages between server, page and programs, byte by byte; docs/serve.md shows them.

All little-endian. A pose, and a picture of a camera, begin with 16 bytes: kind (uint32), sequence
(uint32), time in seconds on the sender's clock (float64).
"""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from persona.core.conventions import JOINT_COUNT
from persona.core.errors import InputError
from persona.geometry.cameras import Camera


class Kind(IntEnum):
    """First word of a binary message."""

    POSE = 1
    """A pose: to pages, and from programs."""
    ACK = 2
    """A page has shown the pose, or the picture, of this sequence number."""
    CAMERA = 3
    """A JPEG of a page's webcam, on its way to be followed."""
    PICTURE = 4
    """A JPEG of the avatar, drawn by the server."""


HEAD: Final = struct.Struct("<IId")
ACK: Final = struct.Struct("<II")
MOST_EXPRESSIONS: Final = 100
"""Coefficients that a body has at most."""
MOST_CAMERA_BYTES: Final = 512 << 10
"""A picture of 640 x 480 is a tenth of it."""
MOST_TEXT: Final = 4096
"""Letters of a text message."""
MOST_BYTES: Final = HEAD.size + MOST_CAMERA_BYTES
"""No message is longer; the socket itself refuses those."""
LARGEST_ANGLE: Final = 20.0
"""Nobody turns a joint by more than three rounds [rad]."""
LARGEST_WAY: Final = 1000.0
"""Nor stands farther from the origin [m]."""
LARGEST_EXPRESSION: Final = 20.0
"""Nor has a stronger expression [-]."""
LEAST_PIXELS, MOST_PIXELS = 16, 1280
"""Sides of a picture that the server draws [px]."""
FARTHEST: Final = 1e6
"""No number of a view is larger."""
_NUMBERS: Final = 3 * JOINT_COUNT + 3


@dataclass(frozen=True, eq=False, kw_only=True)
class SentPose:
    """A pose at a moment.

    Raises:
        InputError: A size is wrong, or a number is not finite or beyond all reason.
    """

    sequence: int
    """Counts on; wraps at 2^32."""
    time: float
    """When [s], on the sender's clock."""
    rotations: NDArray[np.float32]
    """Of 55 joints, axis-angle [rad], (55, 3)."""
    transl: NDArray[np.float32]
    """Added after bending [m], (3,)."""
    expression: NDArray[np.float32]
    """Coefficients, as many as are known."""

    def __post_init__(self) -> None:
        shapes = (self.rotations.shape, self.transl.shape, self.expression.shape)
        if shapes[:2] != ((JOINT_COUNT, 3), (3,)) or self.expression.ndim != 1:
            raise malformed(f"a pose came with arrays of {shapes}")
        if self.expression.size > MOST_EXPRESSIONS:
            raise malformed(f"a pose came with {self.expression.size} expression coefficients")
        for name, value, most in (
            ("rotations", self.rotations, LARGEST_ANGLE),
            ("transl", self.transl, LARGEST_WAY),
            ("expression", self.expression, LARGEST_EXPRESSION),
            ("time", np.float64(self.time), np.inf),
        ):
            if not np.isfinite(value).all() or (np.abs(value) > most).any():
                raise malformed(f"{name} of a pose goes beyond {most:g}, or is not finite")


def malformed(what: str) -> InputError:
    """Refuse a message."""
    return InputError(
        what,
        why="messages are as docs/serve.md says",
        fix="send 55 rotations, a translation and an expression with `persona.serving.send_pose`",
    )


def pack_pose(pose: SentPose) -> bytes:
    """Write a pose."""
    numbers = np.concatenate([pose.rotations.ravel(), pose.transl, pose.expression])
    head = HEAD.pack(Kind.POSE, pose.sequence & 0xFFFFFFFF, pose.time)
    return head + numbers.astype("<f4").tobytes()


def unpack_pose(data: bytes) -> SentPose:
    """Read a pose that a stranger sent.

    Raises:
        InputError: It is none.
    """
    count, left = divmod(len(data) - HEAD.size, 4)
    if left or not 0 <= count - _NUMBERS <= MOST_EXPRESSIONS:
        raise malformed(f"a pose of {len(data)} bytes came")
    kind, sequence, time = HEAD.unpack_from(data)
    if kind != Kind.POSE:
        raise malformed(f"a message of kind {kind} came in place of a pose")
    numbers = np.frombuffer(data, "<f4", offset=HEAD.size).astype(np.float32)
    return SentPose(
        sequence=sequence,
        time=time,
        rotations=numbers[: 3 * JOINT_COUNT].reshape(JOINT_COUNT, 3),
        transl=numbers[3 * JOINT_COUNT : _NUMBERS],
        expression=numbers[_NUMBERS:],
    )


def pack_picture(sequence: int, time: float, jpeg: bytes) -> bytes:
    """Write a picture of the avatar, drawn at a time of this machine's monotonic clock [s]."""
    return HEAD.pack(Kind.PICTURE, sequence, time) + jpeg


def kind_of(data: bytes) -> Kind:
    """Read the kind of a binary message.

    Raises:
        InputError: There is no such kind, or the message is too short for one.
    """
    if len(data) < ACK.size:
        raise malformed(f"a message of {len(data)} bytes came")
    value = int.from_bytes(data[:4], "little")
    if value not in Kind.__members__.values():
        raise malformed(f"a message of kind {value} came")
    return Kind(value)


def unpack_ack(data: bytes) -> int:
    """Read the sequence number of an acknowledgement.

    Raises:
        InputError: It is none.
    """
    if len(data) != ACK.size:
        raise malformed(f"an acknowledgement of {len(data)} bytes came")
    return ACK.unpack(data)[1]


def unpack_camera(data: bytes) -> tuple[float, bytes]:
    """Read a picture of a webcam: its time [s] and its JPEG.

    Raises:
        InputError: It is none, or too large.
    """
    if not HEAD.size < len(data) <= MOST_BYTES:
        raise malformed(f"a camera's picture of {len(data)} bytes came")
    time = HEAD.unpack_from(data)[2]
    if not np.isfinite(time):
        raise malformed("a camera's picture came without a time")
    return time, data[HEAD.size :]


def unpack_view(told: object) -> Camera:
    """Read the camera for which a page wants pictures.

    Raises:
        InputError: It is none, or asks for too many pixels.
    """
    if not isinstance(told, dict) or told.keys() != {"rows", "focal", "size"}:
        raise malformed("a view has rows, focal and size")
    rows, focal, size = told["rows"], told["focal"], told["size"]
    if not (_numbers(rows, 12) and _numbers([focal], 1) and _numbers(size, 2)):
        raise malformed("a view has 12 numbers of rows, one of focal and two of size")
    if not all(type(v) is int and LEAST_PIXELS <= v <= MOST_PIXELS for v in size):
        raise malformed(f"a view's sides are whole, from {LEAST_PIXELS} to {MOST_PIXELS} pixels")
    top = torch.tensor(rows, dtype=torch.float32).reshape(3, 4)
    turned = top[:, :3] @ top[:, :3].T
    if not torch.allclose(turned, torch.eye(3), atol=1e-3) or not 1 <= focal <= 100 * MOST_PIXELS:
        raise malformed("a view's rows are no rotation, or its focal length makes no sense")
    return Camera(
        width=size[0],
        height=size[1],
        focal_px=float(focal),
        center_px=(size[0] / 2, size[1] / 2),
        T_camera_world=torch.cat([top, torch.tensor([[0.0, 0.0, 0.0, 1.0]])]),
    )


def _numbers(values: object, count: int) -> bool:
    """Say whether these are as many finite numbers within reach."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        and all(abs(v) <= FARTHEST for v in values)
    )


def unpack_settings(text: str) -> dict[str, Any]:
    """Read what a page sets: smoothing, webcam, and where the server draws, motion and view.

    Raises:
        InputError: It is something else.
    """
    if len(text) > MOST_TEXT:
        raise malformed(f"a text of {len(text)} letters came")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise malformed("a text came that is no JSON") from error
    if not isinstance(told, dict) or not told.keys() <= {"smoothing", "webcam", "motion", "view"}:
        raise malformed("a text came that sets something unknown")
    if not isinstance(told.get("motion", ""), str):
        raise malformed("motion is a name")
    smoothing, webcam = told.get("smoothing", 0.0), told.get("webcam", False)
    numbers = isinstance(smoothing, int | float) and not isinstance(smoothing, bool)
    if not numbers or not 0 <= smoothing <= 1 or not isinstance(webcam, bool):
        raise malformed("smoothing is a number from 0 to 1, webcam is true or false")
    return told
