"""Motions in time: another rate, another length, from one pose into another."""

import math
from dataclasses import fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import ease
from persona.core.errors import InputError
from persona.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_to_axis_angle,
    slerp,
)
from persona.records.body_params import BodyParams
from persona.records.motion import Motion


def resample(motion: Motion, *, fps: float) -> Motion:
    """Give the same motion at another rate.

    Rotations go the shorter way at constant speed between frames, everything else goes straight.
    A looping motion keeps its duration to the nearest frame, so that it still closes; another one
    keeps its first and last frame.

    Raises:
        InputError: The rate is not a positive number.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(
            f"a motion was asked for at {fps} frames a second",
            why="the rate must be a positive number",
            fix="choose 24, 25, 30, 50 or 60",
        )
    if fps == motion.fps:
        return motion
    if motion.loops:
        count = max(1, round(motion.duration * fps))
        times = torch.arange(count, dtype=torch.float64) * (motion.frame_count / count)
        # The rate that makes a whole number of frames fill the loop; off by less than one frame.
        return replace(motion, params=sample(_closed(motion), times), fps=fps)
    span = motion.frame_count - 1
    count = max(1, math.floor(span / motion.fps * fps + 1e-6) + 1)
    times = torch.arange(count, dtype=torch.float64) * (motion.fps / fps)
    return replace(motion, params=sample(motion.params, times.clamp(max=span)), fps=fps)


def loop_for(motion: Motion, *, seconds: float) -> Motion:
    """Give ``seconds`` of a motion: cut it, or repeat it when it loops.

    A repeated walk walks on: every repetition starts where the last one ended. A motion that
    does not loop holds its last frame.
    """
    count = max(1, round(seconds * motion.fps))
    indices = torch.arange(count)
    if not motion.loops:
        params = _pick(motion.params, indices.clamp(max=motion.frame_count - 1))
        return replace(motion, params=params)
    params = _pick(motion.params, indices % motion.frame_count)
    rounds = (indices // motion.frame_count).to(params.transl.dtype)
    travelled = params.transl + rounds[:, None] * travel(motion)
    closes = count % motion.frame_count == 0
    return replace(motion, params=replace(params, transl=travelled), loops=closes)


def trim(motion: Motion, *, start: float = 0.0, end: float | None = None) -> Motion:
    """Keep what lies between two times [s]; a cut motion no longer loops.

    Raises:
        InputError: Nothing lies between them.
    """
    last = motion.frame_count if end is None else math.ceil(min(end, motion.duration) * motion.fps)
    first = math.floor(max(start, 0.0) * motion.fps)
    if not first < last:
        raise InputError(
            f"{start:g} to {motion.duration if end is None else end:g} s was asked for",
            why=f"the motion is {motion.duration:g} s long",
            fix="begin before its end, and end after the beginning",
        )
    if (first, last) == (0, motion.frame_count):
        return motion
    return replace(motion, params=_pick(motion.params, torch.arange(first, last)), loops=False)


def travel(motion: Motion) -> Float[Tensor, " 3"]:
    """Say how far one round of a looping motion carries the body [m].

    The frame after the last one is the first one, moved; how far is what makes the path through
    the seam a cubic.
    """
    x = motion.params.transl
    if not motion.loops or motion.frame_count < 4:
        return torch.zeros(3, dtype=x.dtype)
    total = (x[1] - 3 * x[0] + 3 * x[-1] - x[-2]) / 2
    # Rounding of the estimate must not make a motion on the spot wander.
    return torch.where(total.abs() < 0.005, torch.zeros_like(total), total)


def join(
    start: BodyParams | None, motion: Motion, end: BodyParams | None, *, seconds: float
) -> Motion:
    """Ease from a pose into a motion and, at its end, into a pose.

    Args:
        start: One pose to begin with, held for no time; None begins with the motion.
        motion: What is played between.
        end: One pose to arrive at; None ends with the motion.
        seconds: Length of either transition.
    """
    steps = max(1, round(seconds * motion.fps))
    pieces = [motion.params]
    if start is not None:
        pieces.insert(0, _between(start, motion.params.frame(0), torch.arange(steps) / steps))
    if end is not None:
        last = motion.params.frame(motion.frame_count - 1)
        pieces.append(_between(last, end, torch.arange(1, steps + 1) / steps))
    names = [f.name for f in fields(BodyParams)]
    joined = {name: torch.cat([getattr(piece, name) for piece in pieces]) for name in names}
    return replace(motion, params=BodyParams(**joined), loops=False)


def wear_face(motion: Motion, params: BodyParams) -> Motion:
    """Give every frame the expression, jaw and shape coefficients of ``params``.

    A person looks most like themselves with the face of their photo. A motion with expressions of
    its own, as tracked from a film, moves from there: they are relative to a resting face.
    """
    count = motion.frame_count
    kept = {
        name: getattr(params, name).expand(count, -1)
        for name in ("expression", "jaw_pose", "betas")
    }
    told, photo = motion.params.expression, kept["expression"]
    if bool(told.any()):
        width = min(told.shape[1], photo.shape[1])
        moved = photo.clone()
        moved[:, :width] += told[:, :width]
        kept |= {"expression": moved, "jaw_pose": kept["jaw_pose"] + motion.params.jaw_pose}
    return replace(motion, params=replace(motion.params, **kept))


def close_loop(motion: Motion) -> Motion:
    """Append to a looping motion the frame that comes after its last, for players that interpolate.

    They go back to the start when the last key has been shown; without it a step would be lost.
    """
    return replace(motion, params=_closed(motion)) if motion.loops else motion


def _closed(motion: Motion) -> BodyParams:
    """Append the first frame, moved to where the next round starts."""
    again = _pick(motion.params, torch.tensor([0]))
    again = replace(again, transl=again.transl + travel(motion))
    names = [f.name for f in fields(BodyParams)]
    return BodyParams(
        **{n: torch.cat([getattr(motion.params, n), getattr(again, n)]) for n in names}
    )


def sample(params: BodyParams, times: Float[Tensor, " m"]) -> BodyParams:
    """Look up fractional frames: rotations the shorter way, everything else straight."""
    last = params.transl.shape[0] - 1
    low = times.floor().long().clamp(0, last)
    high = (low + 1).clamp(max=last)
    share = (times - low).to(params.transl.dtype)
    return mix_frames(_pick(params, low), _pick(params, high), share)


def _between(start: BodyParams, end: BodyParams, shares: Float[Tensor, " m"]) -> BodyParams:
    """Give poses at ``shares`` of the way from one to the other, eased."""
    count = shares.shape[0]
    return mix_frames(_held(start, count), _held(end, count), ease(shares, 0.0, 1.0))


def _held(params: BodyParams, steps: int) -> BodyParams:
    """Repeat one pose."""
    lifted = replace(params, **{f.name: getattr(params, f.name)[None] for f in fields(params)})
    return _pick(lifted, torch.zeros(steps, dtype=torch.int64))


def mix_frames(start: BodyParams, end: BodyParams, share: Float[Tensor, " m"]) -> BodyParams:
    """Go a share of the way from each frame to its partner: rotations the shorter way."""
    pose = slerp(
        axis_angle_to_quaternion(start.full_pose),
        axis_angle_to_quaternion(end.full_pose),
        share[:, None].expand(-1, 55),
    )
    straight = {
        name: torch.lerp(getattr(start, name), getattr(end, name), share[:, None])
        for name in ("betas", "expression", "transl")
    }
    return replace(start, **straight).with_full_pose(quaternion_to_axis_angle(pose))


def _pick(params: BodyParams, indices: Tensor) -> BodyParams:
    return replace(params, **{f.name: getattr(params, f.name)[indices] for f in fields(params)})
