"""Virtual Motion Capture: OSC messages with poses, in from other programs and out to them.

VMC speaks Unity's language: left-handed axes (x right, y up, z forward, as the person faces), so
that left and right lie the other way round than here. Turning x about takes one to the other:
``(x, y, z) -> (-x, y, z)`` for places and ``(x, y, z, w) -> (x, -y, -z, w)`` for rotations. Bones
of VRM models, as those of SMPL-X, have no rotation in a T-pose.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket
from pythonosc.osc_packet import ParseError as PacketError
from pythonosc.parsing.osc_types import ParseError
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from persona.core.conventions import JOINT_COUNT
from persona.core.errors import InputError
from persona.serving.schema import LARGEST_EXPRESSION, LARGEST_WAY, SentPose
from persona.serving.vrm_names import BONES, PRESETS

PORT: Final = 39539
"""Where VMC's marionettes listen."""
MOST_MESSAGES: Final = 512
"""Of one packet; 55 bones and 100 shapes need 160."""
MOST_BYTES: Final = 32 << 10
"""Of one packet."""
GATHER_SECONDS: Final = 0.006
"""How long a frame that comes in several packets is waited for."""
_FLIP_PLACE: Final = np.array([-1.0, 1.0, 1.0])
_FLIP_TURN: Final = np.array([1.0, -1.0, -1.0, 1.0])

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Stature:
    """What of a person turns VMC's numbers into theirs."""

    pelvis: Floats
    """Rest place of the pelvis [m], (3,)."""
    standing: float
    """Height of the pelvis when standing [m]."""
    face: Floats
    """Expression that the avatar has at rest."""
    arkit: tuple[str, ...]
    """Names of shapes."""
    matrix: Floats
    """What each is in expression coefficients and jaw [rad], as `body.arkit.arkit_matrix` says."""


def flip_place(place: Floats) -> Floats:
    """Take a place from Unity's axes to ours, or back."""
    return place * _FLIP_PLACE


def flip_turn(quat_xyzw: Floats) -> Floats:
    """Take a rotation from Unity's axes to ours, or back."""
    return quat_xyzw * _FLIP_TURN


def read_packet(data: bytes) -> list[tuple[str, list[Any]]]:
    """Read the messages of an OSC packet that a stranger sent.

    Raises:
        InputError: It is damaged, too large, or holds too much.
    """
    if not 0 < len(data) <= MOST_BYTES:
        raise _damaged(f"a packet of {len(data)} bytes came")
    try:
        found = OscPacket(data).messages
    except (
        *(PacketError, ParseError, ValueError, IndexError, KeyError, TypeError, OverflowError),
        *(struct.error, RecursionError),
    ) as error:
        raise _damaged(f"a packet could not be read: {type(error).__name__}") from error
    if len(found) > MOST_MESSAGES:
        raise _damaged(f"a packet of {len(found)} messages came")
    return [(timed.message.address, timed.message.params) for timed in found]


@dataclass
class Puppeteer:
    """Gather bones and shapes, and say what pose they make."""

    stature: Stature
    turns: Floats = field(default_factory=lambda: np.zeros((JOINT_COUNT, 3)))
    """Of all joints, axis-angle in our axes [rad]."""
    strengths: dict[str, float] = field(default_factory=dict)
    """ARKit shape -> strength that has been applied."""
    _coming: dict[str, float] = field(default_factory=dict)
    _hips: Floats | None = None
    _first_height: float | None = None
    _root: Floats = field(default_factory=lambda: np.zeros(3))

    def take(self, address: str, params: list[Any]) -> bool:
        """Take a message; return whether it moved anything. Unknown ones are no matter."""
        if address in ("/VMC/Ext/Bone/Pos", "/VMC/Ext/Root/Pos") and len(params) >= 8:
            name, numbers = params[0], _numbers(params[1:8])
            if not isinstance(name, str) or numbers is None:
                return False
            return self._bone(name, numbers, root="Root" in address)
        if address == "/VMC/Ext/Blend/Val" and len(params) >= 2:
            value = _numbers(params[1:2])
            if not isinstance(params[0], str) or value is None or len(self._coming) > MOST_MESSAGES:
                return False
            self._coming[params[0].lower()] = float(np.clip(value[0], 0, 1))
            return False
        if address == "/VMC/Ext/Blend/Apply":
            self.strengths, self._coming = dict(self._coming), {}
            return True
        return False

    def pose(self) -> SentPose:
        """Give the pose as it is now."""
        own = self.stature
        width = own.matrix.shape[1] - 1
        mixed = self._mixed()
        turns = self.turns.copy()
        turns[BONES["Jaw"], 0] += mixed[width]
        expression = mixed[:width]
        kept = min(width, len(own.face))
        expression[:kept] += own.face[:kept]
        transl = np.array([0.0, own.standing, 0.0]) - own.pelvis
        if self._hips is not None and self._first_height:
            scale = own.standing / self._first_height
            transl = (flip_place(self._hips + self._root) * scale) - own.pelvis
        return SentPose(
            sequence=0,
            time=time.monotonic(),
            rotations=turns.astype(np.float32),
            transl=transl.clip(-LARGEST_WAY, LARGEST_WAY).astype(np.float32),
            expression=expression.clip(-LARGEST_EXPRESSION, LARGEST_EXPRESSION).astype(np.float32),
        )

    def _bone(self, name: str, numbers: Floats, *, root: bool) -> bool:
        place, quat = numbers[:3], numbers[3:]
        size = float(np.linalg.norm(quat))
        if np.abs(place).max() > LARGEST_WAY or not 0.5 < size < 2:
            return False
        if root:
            self._root = place
            return True
        joint = BONES.get(name)
        if joint is None:
            return False
        self.turns[joint] = Rotation.from_quat(flip_turn(quat)).as_rotvec()
        if name == "Hips":
            self._hips = place
            if self._first_height is None and place[1] > 0.1:
                self._first_height = float(place[1])
        return True

    def _mixed(self) -> Floats:
        own = self.stature
        total = np.zeros(own.matrix.shape[1])
        rows = {name.lower(): row for name, row in zip(own.arkit, own.matrix, strict=True)}
        for name, strength in self.strengths.items():
            if name in rows:
                total += strength * rows[name]
            else:
                for shape, share in PRESETS.get(name, {}).items():
                    total += strength * share * rows.get(shape.lower(), 0.0)
        return total


def vmc_packet(pose: SentPose, stature: Stature) -> bytes:
    """Write a pose as one VMC bundle: root, bones, and the ARKit shapes nearest to the face."""
    bundle = OscBundleBuilder(IMMEDIATELY)
    still = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    bundle.add_content(_message("/VMC/Ext/OK", 1))
    bundle.add_content(_message("/VMC/Ext/Root/Pos", "root", *still))
    quats = flip_turn(Rotation.from_rotvec(pose.rotations.astype(np.float64)).as_quat())
    hips = flip_place(pose.transl + stature.pelvis)
    for name, joint in BONES.items():
        place = hips if name == "Hips" else np.zeros(3)
        numbers = [float(v) for v in (*place, *quats[joint])]
        bundle.add_content(_message("/VMC/Ext/Bone/Pos", name, *numbers))
    if len(stature.matrix):
        width = stature.matrix.shape[1] - 1
        face = np.zeros(width)
        known = min(width, len(pose.expression), len(stature.face))
        face[:known] = pose.expression[:known] - stature.face[:known]
        strengths = nnls(stature.matrix[:, :width].T, face)[0].clip(0, 1)
        for name, strength in zip(stature.arkit, strengths, strict=True):
            bundle.add_content(_message("/VMC/Ext/Blend/Val", name, float(strength)))
        bundle.add_content(_message("/VMC/Ext/Blend/Apply"))
    return bundle.build().dgram


def vmc_ear(port: int) -> socket.socket:
    """Take the UDP port on which VMC will be heard.

    Raises:
        InputError: It is taken, or not allowed.
    """
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.settimeout(0)
    try:
        ear.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        ear.close()
        raise InputError(
            f"UDP port {port} cannot be used: {error}",
            why="another program listens for VMC there, or the system does not allow it",
            fix="end it, choose another with --vmc, or --vmc 0 to hear none",
        ) from error
    return ear


@contextlib.asynccontextmanager
async def hear_vmc(
    ear: socket.socket, stature: Stature, publish: Callable[[SentPose], None]
) -> AsyncIterator[None]:
    """Listen for as long as the context lasts; damaged packets are left out."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Ear(Puppeteer(stature), publish, loop), sock=ear
    )
    root = logging.getLogger()
    root.addFilter(_not_of_osc)
    try:
        yield
    finally:
        root.removeFilter(_not_of_osc)
        transport.close()


def _not_of_osc(record: logging.LogRecord) -> bool:
    """Drop what python-osc writes to the root logger: every damaged packet, whole."""
    return "pythonosc" not in record.pathname


def vmc_speaker(port: int, stature: Stature) -> Callable[[SentPose], None]:
    """Give what sends every pose to a program on this machine."""
    mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mouth.settimeout(0)

    def speak(pose: SentPose) -> None:
        # Nobody may be listening, and a full buffer means a later pose is worth more.
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            mouth.sendto(vmc_packet(pose, stature), ("127.0.0.1", port))

    return speak


class _Ear(asyncio.DatagramProtocol):
    """Takes packets, and publishes a moment after the first of each frame."""

    def __init__(
        self,
        puppeteer: Puppeteer,
        publish: Callable[[SentPose], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._puppeteer, self._publish, self._loop = puppeteer, publish, loop
        self._waiting = False

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            messages = read_packet(data)
        except InputError:
            return
        moved = [self._puppeteer.take(address, params) for address, params in messages]
        if any(moved) and not self._waiting:
            self._waiting = True
            self._loop.call_later(GATHER_SECONDS, self._show)

    def _show(self) -> None:
        self._waiting = False
        self._publish(self._puppeteer.pose())


def _numbers(values: list[Any]) -> Floats | None:
    """Take numbers, and nothing that is not finite or no number."""
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return None
    numbers = np.array([float(v) for v in values])
    return numbers if np.isfinite(numbers).all() else None


def _message(address: str, *values: Any) -> Any:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()


def _damaged(what: str) -> InputError:
    return InputError(what, why="VMC is OSC over UDP", fix="send VMC from a program that speaks it")
