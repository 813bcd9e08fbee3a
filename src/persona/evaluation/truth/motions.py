"""What generated people do: built-in motions, changed so that no avatar was taught just these."""

import math
from dataclasses import fields, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.clips import clip
from persona.animation.grounding import ground_motion
from persona.animation.program import chain
from persona.animation.resampling import join, loop_for
from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS, mirror_pose
from persona.core.seeds import Seeds
from persona.evaluation.truth.people import TruePerson
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams
from persona.records.motion import Motion

SIMULATED_FPS: Final = 30.0
"""Frames a second of the simulation; every second one is drawn."""
LEAD_SECONDS: Final = 0.8
"""From the photo's pose into the first act [s]; not shown."""
UNREST_DEG: Final = 9.0
"""How far joints of trunk and arms stray from the built-in motion [deg]."""
UNREST_SECONDS: Final = 0.9
"""How long straying one way takes [s]."""
RESTLESS: Final = (
    *("spine1", "spine2", "spine3", "neck", "head"),
    *(f"{side}_{name}" for side in ("left", "right") for name in ("shoulder", "elbow", "wrist")),
)
"""Joints that stray."""


def compose(
    person: TruePerson, body: SmplxBody, identity: Identity, photo: BodyParams, *, seconds: float
) -> tuple[Motion, int]:
    """Let a person act for so long, on their own legs, beginning in the photo's pose.

    Built-in motions at other speeds and from another moment than clothes are taught with; for some
    people left and right are exchanged, and trunk and arms of all stray at random.

    Returns:
        The motion at `SIMULATED_FPS`, and how many of its first frames lead in.
    """
    each = seconds / len(person.acts) + 0.02
    rng = Seeds(person.look.seed).numpy("acts")
    pieces = [_piece(name, speed, each, float(rng.random())) for name, speed in person.acts]
    whole = chain(pieces, name=person.name)
    if person.mirrored:
        whole = replace(whole, params=_mirrored(whole.params))
    whole = replace(whole, params=_strayed(whole.params, seed=person.look.seed))
    whole = ground_motion(whole, body, identity)
    whole = loop_for(whole, seconds=seconds)
    face = {name: getattr(photo, name).expand(whole.frame_count, -1) for name in FACE}
    whole = replace(whole, params=replace(whole.params, **face))
    first = whole.params.transl[0] * torch.tensor([1.0, 0.0, 1.0])
    placed = whole.params.transl - first + photo.transl * torch.tensor([1.0, 0.0, 1.0])
    whole = replace(whole, params=replace(whole.params, transl=placed))
    led = join(photo, whole, None, seconds=LEAD_SECONDS)
    return led, led.frame_count - whole.frame_count


FACE: Final = ("betas", "expression", "jaw_pose")
"""What stays as in the photo."""


def _piece(name: str, speed: float, seconds: float, start: float) -> Motion:
    motion = clip(name, speed=speed, fps=SIMULATED_FPS)
    first = int(start * motion.frame_count)
    long = loop_for(motion, seconds=motion.duration + seconds)
    ids = torch.arange(first, first + round(seconds * SIMULATED_FPS))
    rows = {f.name: getattr(long.params, f.name)[ids] for f in fields(BodyParams)}
    return replace(long, params=BodyParams(**rows), loops=False)


def _mirrored(params: BodyParams) -> BodyParams:
    turned = params.with_full_pose(mirror_pose(params.full_pose))
    return replace(turned, transl=params.transl * torch.tensor([-1.0, 1.0, 1.0]))


def _strayed(params: BodyParams, *, seed: int) -> BodyParams:
    count = params.transl.shape[0]
    rng = Seeds(seed).torch("unrest")
    pose = params.full_pose.clone()
    for name in RESTLESS:
        way = _wander(count, rng) * math.radians(UNREST_DEG)
        joint = JOINT_IDS[name]
        turns = axis_angle_to_matrix(pose[:, joint]) @ axis_angle_to_matrix(way)
        pose[:, joint] = matrix_to_axis_angle(turns)
    return params.with_full_pose(pose)


def _wander(count: int, rng: torch.Generator) -> Float[Tensor, "t 3"]:
    """Go smoothly from one random turn to the next."""
    every = round(UNREST_SECONDS * SIMULATED_FPS)
    knots = torch.randn(1, 3, count // every + 3, generator=rng).clamp(-2, 2) / 2
    path = torch.nn.functional.interpolate(knots, scale_factor=every, mode="linear")[0]
    # A knot is not seen once the path is averaged over half the time between two.
    kernel = torch.ones(3, 1, every // 2 * 2 + 1) / (every // 2 * 2 + 1)
    smooth = torch.nn.functional.conv1d(path[None], kernel, groups=3)[0]
    return smooth[:, :count].T
