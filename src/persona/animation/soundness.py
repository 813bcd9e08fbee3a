"""Whether a person could do a motion: feet, floor, joints, accelerations, balance and seam."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.animation.balance import distance_to_support, mass_centers
from persona.animation.coverage import cover
from persona.animation.grounding import contacts, leg_rig
from persona.animation.legs import ANKLES, HIPS, KNEES, TOES, LegPose, feet_of, sole_offsets
from persona.animation.resampling import travel
from persona.body import SmplxBody
from persona.body.skeleton import JOINT_NAMES
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_fit import Identity
from persona.records.motion import Motion

ON_FLOOR: Final = 0.003
"""Skin this low carries weight [m]."""
AIRBORNE: Final = 0.010
"""Nobody whose soles are all higher than this stands [m]."""
FOOT_SHARE: Final = 0.9
"""Skin belongs to a foot that carries at least this much of it."""


@dataclass(frozen=True, kw_only=True)
class Soundness:
    """What is measured of one motion on one body."""

    lowest: float
    """Height of the lowest skin in the whole motion [m]; negative is in the floor."""
    floating: float
    """How far the lowest skin is above the floor while somebody stands [m]."""
    airborne: float
    """Share of the frames in which no foot is on the floor."""
    slide: float
    """Farthest that a foot on the floor slides in a frame, at the rate of the motion [m]."""
    beyond: float
    """Farthest that a joint leaves people's range of motion [deg]."""
    beyond_where: str
    """Joint and axis of `beyond`; empty where all stay inside."""
    acceleration: float
    """Largest change of a joint's turning [deg/s^2]."""
    acceleration_where: str
    """Joint of `acceleration`."""
    seam: float
    """Largest acceleration where a loop closes, over the largest elsewhere; 0 without a loop."""
    off_balance: float
    """Farthest that the weight is beside the feet that stand [m]; not a fault of what is fast."""


def examine(motion: Motion, body: SmplxBody, identity: Identity) -> Soundness:
    """Measure a motion as this person does it."""
    skin, left = feet_skin(motion, body, identity)
    lowest = skin[..., 1].amin(1)
    points = sole_points(motion, body, identity)
    standing = contacts(motion, points)
    beside = distance_to_support(mass_centers(motion, body, identity), points, standing)
    beside = beside[beside.isfinite()]
    acceleration = torch.cat([torch.zeros(1, len(JOINT_NAMES)), joint_accelerations(motion)])
    joint = int(acceleration.amax(0).argmax())
    worst = max(cover([motion]).axes, key=lambda entry: entry.beyond)
    where = f"{worst.axis.joint} {worst.axis.name}" if worst.beyond > 0 else ""
    return Soundness(
        lowest=float(lowest.min()),
        airborne=float((lowest > AIRBORNE).double().mean()),
        slide=max(slide(motion, skin[:, foot]) for foot in (left, ~left)),
        floating=float(torch.where(lowest > AIRBORNE, 0.0, lowest).max()),
        beyond=worst.beyond,
        beyond_where=where,
        acceleration=float(acceleration.max()),
        acceleration_where=JOINT_NAMES[joint],
        seam=_seam(motion, acceleration),
        off_balance=float(beside.max()) if len(beside) else 0.0,
    )


def sole_points(motion: Motion, body: SmplxBody, identity: Identity) -> Float[Tensor, "t 2 3 3"]:
    """Give heel, ball and toe of both feet in every frame [m], world frame."""
    rig = leg_rig(body, identity)
    turns = axis_angle_to_matrix(motion.params.full_pose.double())
    hips, knees, ankles, toes = (turns[:, list(ids)] for ids in (HIPS, KNEES, ANKLES, TOES))
    legs = LegPose(hips=hips, knees=knees, ankles=ankles, toes=toes)
    pelvis = motion.params.transl.double() + rig.pelvis
    feet = feet_of(rig, pelvis, turns[:, 0], legs)
    return feet.ankles[..., None, :] + sole_offsets(rig, feet.rotations, feet.toes)


def feet_skin(
    motion: Motion, body: SmplxBody, identity: Identity
) -> tuple[Float[Tensor, "t v 3"], Bool[Tensor, " v"]]:
    """Give the skin of both feet in every frame [m], and which of it is the left foot's."""
    shares = body.weights[:, [*ANKLES, *TOES]]
    ids = (shares.sum(1) > FOOT_SHARE).nonzero()[:, 0]
    posed = body.subset(ids).forward(
        replace(motion.params, betas=identity.betas.expand(motion.frame_count, -1)),
        joint_offsets=identity.joint_offsets,
        with_pose_correctives=False,
    )
    return posed.vertices, shares[ids][:, [0, 2]].sum(1) > FOOT_SHARE / 2


def slide(motion: Motion, skin: Float[Tensor, "t v 3"]) -> float:
    """Say how far a foot slides in a frame while some of it is on the floor [m].

    Of what stays on the floor something stands still: a foot rolls, it does not slide.
    """
    if motion.loops:
        skin = torch.cat([skin, skin[:1] + travel(motion)])
    down = skin[..., 1] < ON_FLOOR
    both = down[1:] & down[:-1]
    moved = (skin[1:] - skin[:-1])[..., [0, 2]].norm(dim=-1)
    stillest = torch.where(both, moved, torch.inf).amin(-1)
    # A single frame slides nowhere.
    return max(torch.where(both.any(-1), stillest, 0.0).tolist(), default=0.0)


def joint_accelerations(motion: Motion) -> Float[Tensor, "m 55"]:
    """Give how fast the turning of each joint changes [deg/s^2]; of a loop, across its seam too.

    Fewer than three frames say nothing about it and give none.
    """
    turns = axis_angle_to_matrix(motion.params.full_pose.double())
    if motion.loops:
        turns = torch.cat([turns, turns[:2]])
    steps = matrix_to_axis_angle(turns[:-1].transpose(-1, -2) @ turns[1:])
    return torch.rad2deg((steps[1:] - steps[:-1]).norm(dim=-1)) * motion.fps**2


def _seam(motion: Motion, acceleration: Float[Tensor, "m 55"]) -> float:
    if not motion.loops or len(acceleration) <= 2:
        return 0.0
    return float(acceleration[-2:].max() / acceleration[:-2].max().clamp(min=1e-9))


def mean_person(body: SmplxBody) -> Identity:
    """Give the person whom motions are composed for."""
    return Identity(
        betas=torch.zeros(body.shapedirs.shape[-1]),
        joint_offsets=torch.zeros(len(JOINT_NAMES), 3),
        vertex_offsets=torch.zeros(body.vertex_count, 3),
        body_digest=body.digest,
    )
