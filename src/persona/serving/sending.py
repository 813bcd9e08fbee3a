"""Send poses to a running `persona serve` from Python."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from persona.core.conventions import JOINT_COUNT
from persona.core.errors import InputError
from persona.serving.schema import MOST_BYTES, SentPose, malformed, pack_pose

Numbers = NDArray[Any] | Sequence[Any]
"""An array, or numbers in a row, nested or not."""


def live_address(link: str) -> str:
    """Give the address at which viewers get poses, for the link that `persona serve` printed."""
    return link.rstrip("/").replace("http://", "ws://", 1) + "/live"


def pose_address(link: str) -> str:
    """Give the address at which programs hand in poses."""
    return link.rstrip("/").replace("http://", "ws://", 1) + "/pose"


class PoseSender:
    """A connection that poses are sent over, one after the other.

    Example:
        >>> with PoseSender("http://127.0.0.1:8765/TOKEN/") as sender:  # doctest: +SKIP
        ...     sender.send(rotations, [0, 0, 0])

    Raises:
        InputError: Nobody answers there, or not to this link.
    """

    def __init__(self, link: str) -> None:
        self._open = ExitStack()
        try:
            connecting = connect(pose_address(link), max_size=MOST_BYTES, proxy=None)
            self._connection: ClientConnection = self._open.enter_context(connecting)
        except (OSError, ValueError, WebSocketException) as error:
            raise InputError(
                f"{link} did not answer: {error}",
                why="poses go to a running `persona serve`",
                fix="start it, and give the whole link that it prints, token included",
            ) from error
        self._count = 0

    def send(
        self, rotations: Numbers, transl: Numbers = (0, 0, 0), expression: Numbers = ()
    ) -> None:
        """Show a pose.

        Args:
            rotations: Of 55 joints in SMPL-X order, axis-angle [rad], (55, 3) or 165 numbers.
            transl: Added after bending [m].
            expression: As many coefficients as you like.

        Raises:
            InputError: A size is wrong, a number out of range, or the server has gone.
        """
        turns = np.asarray(rotations, np.float32)
        if turns.size != 3 * JOINT_COUNT:
            raise malformed(f"rotations of shape {turns.shape} were given")
        pose = SentPose(
            sequence=self._count,
            time=time.monotonic(),
            rotations=turns.reshape(JOINT_COUNT, 3),
            transl=np.asarray(transl, np.float32),
            expression=np.asarray(expression, np.float32),
        )
        self._count += 1
        try:
            self._connection.send(pack_pose(pose))
        except WebSocketException as error:
            raise InputError(
                f"the server has gone: {error}",
                why="poses go to a running `persona serve`",
                fix="start it again, and take its new link",
            ) from error

    def close(self) -> None:
        """Hang up."""
        self._open.close()

    def __enter__(self) -> "PoseSender":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def send_pose(
    link: str,
    rotations: Numbers,
    transl: Numbers = (0, 0, 0),
    expression: Numbers = (),
) -> None:
    """Show one pose on the page of a running `persona serve`; see `PoseSender` for many."""
    with PoseSender(link) as sender:
        sender.send(rotations, transl, expression)
