"""Where a person's weight is, and whether their feet are under it."""

from dataclasses import replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.records.body_fit import Identity
from persona.records.motion import Motion

_LIMBS: Final = (
    *((0.100, "hip", "knee", 0.433), (0.0465, "knee", "ankle", 0.433)),
    *((0.0145, "ankle", "foot", 0.5), (0.028, "shoulder", "elbow", 0.436)),
    *((0.016, "elbow", "wrist", 0.430), (0.006, "wrist", "middle1", 0.506)),
)
_SEGMENTS: Final = (
    *(
        (mass, f"{side}_{start}", f"{side}_{end}", share)
        for side in ("left", "right")
        for mass, start, end, share in _LIMBS
    ),
    # Half the trunk's mass hangs from either hip and shoulder, so that its middle is meant.
    *((0.2485, f"{side}_hip", f"{side}_shoulder", 0.5) for side in ("left", "right")),
    (0.081, "neck", "head", 1.3),
)
"""Share of the body's mass, from which joint to which, and where its centre is between them:
Winter, "Biomechanics and Motor Control of Human Movement", 2009, table 4.1."""
SOLE_HALF_WIDTH: Final = 0.04
"""Feet support this far beside the line from heel to toe [m]."""
DIRECTIONS: Final = 90
"""Sides from which the edge of the support is looked for."""


def mass_centers(motion: Motion, body: SmplxBody, identity: Identity) -> Float[Tensor, "t 3"]:
    """Give the centre of mass in every frame [m], world frame."""
    count = motion.frame_count
    # The skin does not matter here: one vertex is the least that a body can have.
    joints = (
        body.subset(torch.tensor([0]))
        .forward(
            replace(motion.params, betas=identity.betas.expand(count, -1)),
            joint_offsets=identity.joint_offsets,
            with_pose_correctives=False,
        )
        .joints
    )
    center = torch.zeros_like(joints[:, 0])
    for mass, start, end, share in _SEGMENTS:
        center += mass * torch.lerp(joints[:, JOINT_IDS[start]], joints[:, JOINT_IDS[end]], share)
    return center


def distance_to_support(
    centers: Float[Tensor, "t 3"],
    points: Float[Tensor, "t 2 3 3"],
    standing: Bool[Tensor, "t 2 3"],
) -> Float[Tensor, " t"]:
    """Say how far beside the standing feet the weight is [m]; 0 over them, NaN in the air.

    Args:
        centers: Centre of mass, world frame.
        points: Heel, ball and toe of both feet, world frame.
        standing: Which of them are on the floor.
    """
    angle = torch.arange(DIRECTIONS, dtype=points.dtype) * (2 * torch.pi / DIRECTIONS)
    way = torch.stack([angle.cos(), angle.sin()])
    edges = points[..., [0, 2]].flatten(1, 2) @ way
    edges = torch.where(standing.flatten(1)[..., None], edges, -torch.inf).amax(1)
    beside = (centers[:, [0, 2]].to(points.dtype) @ way - edges).amax(1) - SOLE_HALF_WIDTH
    return torch.where(standing.flatten(1).any(1), beside.clamp(min=0.0), torch.nan)
