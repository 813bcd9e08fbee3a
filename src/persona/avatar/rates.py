"""How fast joints move, as cloth feels it: from the past alone, so that it can be had live."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_params import BodyParams
from persona.records.frame_set import JointRates
from persona.records.motion import Motion

BODY_JOINTS: Final = 22
"""Pelvis and body joints; cloth does not feel fingers and face."""
QUICK_SECONDS: Final = 0.05
"""Time over which velocity is averaged: a frame or two [s]."""
SWING_SECONDS: Final = 0.3
"""How long cloth remembers: about the swing of a skirt or a trouser leg [s]."""


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """A frame, and what has been seen until then; the last row of the means is the pelvis's."""

    turns: Float[Tensor, "22 3 3"]
    place: Float[Tensor, " 3"]
    quick: Float[Tensor, "23 3"]
    swing: Float[Tensor, "23 3"]


@dataclass
class RateTracker:
    """Follow a body frame by frame, and say how fast it moves.

    Means of the past with two time constants: the quicker one is the velocity, what it lags behind
    by is the acceleration, the slower one is the swing. Any rate of frames gives about the same.
    """

    _last: "_Moment | None" = None

    def step(self, params: BodyParams, seconds: float) -> JointRates:
        """Go on by one frame.

        Args:
            params: One pose without batch axes.
            seconds: Time since the last frame [s]; of no matter at the first, which stands still.

        Returns:
            Rates of one frame.

        Raises:
            InputError: No time has passed.
        """
        if not 0 < seconds < math.inf:
            raise InputError(
                f"a frame came {seconds} s after the last",
                why="speed is way over time",
                fix="give the seconds between two frames, 1 / fps",
            )
        turns = axis_angle_to_matrix(params.full_pose[:BODY_JOINTS])
        place = params.transl
        still = turns.new_zeros(BODY_JOINTS + 1, 3)
        last = self._last or _Moment(turns=turns, place=place, quick=still, swing=still)
        spun = matrix_to_axis_angle(last.turns.mT @ turns) / seconds
        # The pelvis's way, as felt by who is turned with it.
        moved = turns[0].T @ (place - last.place) / seconds
        now = torch.cat([spun, moved[None]])
        quick = torch.lerp(last.quick, now, 1 - math.exp(-seconds / QUICK_SECONDS))
        swing = torch.lerp(last.swing, now, 1 - math.exp(-seconds / SWING_SECONDS))
        change = (now - quick) / QUICK_SECONDS
        self._last = _Moment(turns=turns, place=place, quick=quick, swing=swing)
        return JointRates(
            velocity=quick[None, :-1],
            acceleration=change[None, :-1],
            swing=swing[None, :-1],
            root=torch.stack([quick[-1], change[-1], swing[-1]])[None],
        )


def joint_rates(motion: Motion) -> JointRates:
    """Say how fast every frame of a motion moves; it starts from rest."""
    tracker = RateTracker()
    steps = [
        tracker.step(motion.params.frame(index), 1 / motion.fps)
        for index in range(motion.frame_count)
    ]
    return JointRates(
        velocity=torch.cat([step.velocity for step in steps]),
        acceleration=torch.cat([step.acceleration for step in steps]),
        swing=torch.cat([step.swing for step in steps]),
        root=torch.cat([step.root for step in steps]),
    )


def at_rest(frames: int = 1) -> JointRates:
    """Give the rates of somebody who stands still."""
    still = torch.zeros(frames, BODY_JOINTS, 3)
    return JointRates(
        velocity=still, acceleration=still, swing=still, root=torch.zeros(frames, 3, 3)
    )
