"""One Euro filters for poses: steady when slow, prompt when quick."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from persona.serving.schema import SentPose

Floats = NDArray[np.float64]

STEADIEST_HZ, FREEST_HZ = 0.6, 12.0
"""Cut-off for what hardly moves, at full and at little smoothing [Hz]."""
SPEED_GAIN: Final = 0.7
"""How much speed opens the filter [1/rad, 1/m]."""
SPEED_HZ: Final = 1.0
"""Cut-off of the speed itself, the paper's [Hz]."""
LONGEST_GAP: Final = 0.5
"""After a longer pause the past says nothing [s]."""


@dataclass(frozen=True)
class _Past:
    time: float
    turns: Rotation
    rest: Floats
    spin: Floats
    drift: Floats


class PoseSmoother:
    """Follow poses one by one.

    Rotations are filtered along the turn from the last one, so that no component wraps around.

    References:
        Casiez, Roussel and Vogel, "1 Euro filter: a simple speed-based low-pass filter for noisy
        input in interactive systems", CHI 2012.
    """

    def __init__(self, strength: float = 0.5) -> None:
        self.strength = strength
        """0 passes everything, 1 smooths most; may be changed at any time."""
        self._past: _Past | None = None

    def __call__(self, pose: SentPose) -> SentPose:
        """Give the pose as it is shown."""
        turns = Rotation.from_rotvec(pose.rotations.astype(np.float64))
        rest = np.concatenate([pose.transl, pose.expression]).astype(np.float64)
        past = self._past
        gap = math.inf if past is None else pose.time - past.time
        fits = past is not None and past.rest.shape == rest.shape and 0 < gap <= LONGEST_GAP
        if self.strength <= 0 or past is None or not fits:
            still = np.zeros((len(pose.rotations), 3))
            self._past = _Past(pose.time, turns, rest, still, np.zeros_like(rest))
            return pose
        way = (past.turns.inv() * turns).as_rotvec()
        share = _share(SPEED_HZ, gap)
        spin = past.spin + share * (way / gap - past.spin)
        drift = past.drift + share * ((rest - past.rest) / gap - past.drift)
        speed = np.linalg.norm(spin, axis=1, keepdims=True)
        turns = past.turns * Rotation.from_rotvec(self._open(speed, gap) * way)
        rest = past.rest + self._open(np.abs(drift), gap) * (rest - past.rest)
        self._past = _Past(pose.time, turns, rest, spin, drift)
        return SentPose(
            sequence=pose.sequence,
            time=pose.time,
            rotations=turns.as_rotvec().astype(np.float32),
            transl=rest[:3].astype(np.float32),
            expression=rest[3:].astype(np.float32),
        )

    def _open(self, speed: Floats, gap: float) -> Floats | np.float64:
        slow = FREEST_HZ * (STEADIEST_HZ / FREEST_HZ) ** self.strength
        return _share(slow * (1 + SPEED_GAIN * speed), gap)


def _share(cutoff_hz: Floats | float, seconds: float) -> Floats | np.float64:
    """How much of a new value a low-pass of first order takes."""
    tau = 1 / (2 * math.pi * np.asarray(cutoff_hz, dtype=np.float64))
    return 1 / (1 + tau / seconds)
