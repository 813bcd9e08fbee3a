"""One motion flows into another: the second begins where the first has come to."""

import math
from dataclasses import fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.formats.world_axes import turned
from persona.animation.resampling import mix_frames, resample
from persona.animation.sketch import NOMINAL_RIG
from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import BodyParams
from persona.records.motion import Motion


def blend(first: Motion, second: Motion, *, seconds: float) -> Motion:
    """Let the end of one motion cross over into the beginning of another.

    The second is brought to the first's rate, turned about the vertical and moved over the floor,
    so that it begins where and as the first stands at the beginning of the crossing; in the
    crossing, rotations go the shorter way from one to the other. Feet may slide in it where the
    two motions stand on different feet.

    Args:
        first: What comes first.
        second: What follows.
        seconds: Length of the crossing; 0 puts the second after the first.

    Raises:
        InputError: The crossing is longer than either motion.
    """
    second = resample(second, fps=first.fps)
    steps = round(seconds * first.fps) if math.isfinite(seconds) else -1
    shortest = min(first.frame_count, second.frame_count)
    if not 0 <= steps < shortest:
        raise InputError(
            f"a crossing of {seconds:g} s was asked for",
            why=f"the shorter motion is {shortest / first.fps:.2f} s long",
            fix="choose a shorter one, 0.3 to 0.5 s is usual",
        )
    begin = first.frame_count - max(steps, 1)
    moved = _placed(second.params, onto=first.params.frame(begin))
    pieces = [_rows(first.params, 0, first.frame_count - steps)]
    if steps:
        shares = (torch.arange(steps) + 1.0) / (steps + 1)
        pieces.append(
            mix_frames(
                _rows(first.params, begin, first.frame_count), _rows(moved, 0, steps), shares
            )
        )
    pieces.append(_rows(moved, steps, second.frame_count))
    names = [f.name for f in fields(BodyParams)]
    joined = BodyParams(**{n: torch.cat([getattr(p, n) for p in pieces]) for n in names})
    return Motion(params=joined, fps=first.fps, name=f"{first.name}-{second.name}", loops=False)


def _placed(params: BodyParams, *, onto: BodyParams) -> BodyParams:
    """Turn a motion about the vertical and shift it over the floor, so that it begins at a pose."""
    here, there = (_heading(p.global_orient) for p in (params.frame(0), onto))
    turn = axis_angle_to_matrix(torch.stack([here * 0, there - here, here * 0]).double())
    placed = turned(params, turn)
    pelvis = NOMINAL_RIG.pelvis
    shift = (onto.transl + pelvis) - (placed.transl[0] + pelvis)
    return replace(placed, transl=placed.transl + shift * torch.tensor([1.0, 0.0, 1.0]))


def _heading(orient: Float[Tensor, " 3"]) -> Float[Tensor, ""]:
    """Give the angle about the vertical at which a pelvis looks [rad]."""
    ahead = axis_angle_to_matrix(orient)[:, 2]
    return torch.atan2(ahead[0], ahead[2])


def _rows(params: BodyParams, start: int, end: int) -> BodyParams:
    return replace(params, **{f.name: getattr(params, f.name)[start:end] for f in fields(params)})
