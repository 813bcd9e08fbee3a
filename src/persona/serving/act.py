"""What the person on the server does now: a motion, and live poses that take over and are lost."""

import threading
import time
from dataclasses import fields, replace
from typing import Final

import torch
from torch import Tensor

from persona.animation.clips import clip
from persona.animation.performance import perform
from persona.animation.resampling import mix_frames
from persona.avatar.avatar import Avatar
from persona.records.body_params import BodyParams
from persona.records.motion import Motion
from persona.serving.schema import SentPose

LOST_SECONDS: Final = 0.7
"""A live pose that is older is lost; the page says the same."""
EASE_SECONDS: Final = 0.6
"""From live poses to the motion and back."""


class Act:
    """One performance that all pages of a server see. May be used from any thread."""

    def __init__(self, avatar: Avatar, motion: str) -> None:
        self._avatar = avatar
        self._lock = threading.Lock()
        self._made: dict[str, Motion] = {}
        self._live: tuple[BodyParams, float] | None = None
        self._share, self._last = 0.0, time.monotonic()
        self._motion, self._begin = self._performed(motion), self._last

    def play(self, name: str) -> None:
        """Begin a built-in motion.

        Raises:
            InputError: There is none of this name.
        """
        motion = self._performed(name)
        with self._lock:
            self._motion, self._begin = motion, time.monotonic()

    def take(self, pose: SentPose) -> None:
        """Take a live pose over."""
        with self._lock:
            params = self._motion.params.frame(0)
            width = len(params.expression)
            face = torch.zeros(width)
            known = min(width, len(pose.expression))
            face[:known] = torch.from_numpy(pose.expression[:known])
            moved = replace(params, transl=torch.from_numpy(pose.transl), expression=face)
            taken = moved.with_full_pose(torch.from_numpy(pose.rotations))
            self._live = (taken, time.monotonic())

    def at(self, now: float) -> BodyParams:
        """Give the pose at a time of the monotonic clock [s]; times go on, never back."""
        with self._lock:
            frame = int((now - self._begin) * self._motion.fps) % self._motion.frame_count
            base = self._motion.params.frame(max(frame, 0))
            fresh = self._live is not None and now - self._live[1] < LOST_SECONDS
            step = max(now - self._last, 0.0) / EASE_SECONDS
            self._last = now
            self._share = min(max((1.0 if fresh else 0.0), self._share - step), self._share + step)
            if self._live is None or self._share == 0:
                return base
            eased = self._share * self._share * (3 - 2 * self._share)
            mixed = mix_frames(_one(base), _one(self._live[0]), torch.tensor([eased]))
            return mixed.frame(0)

    def _performed(self, name: str) -> Motion:
        if name not in self._made:
            with torch.no_grad():
                self._made[name] = perform(self._avatar, clip(name))
        return self._made[name]


def _one(params: BodyParams) -> BodyParams:
    lifted: dict[str, Tensor] = {f.name: getattr(params, f.name)[None] for f in fields(params)}
    return replace(params, **lifted)
