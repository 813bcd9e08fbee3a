"""One shape for a whole clip: betas and bone lengths from frames spread over it."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.body import SmplxBody
from persona.body.skeleton import BONE_GROUPS
from persona.fitting.solver import normal_equations
from persona.fitting.terms_priors import SCALE_BOUND, SCALE_SPREADS, SHAPE_RESTS, SHAPE_SPREADS
from persona.tracking.evidence import ClipEvidence
from persona.tracking.rig import (
    UNKNOWNS,
    Pose,
    Rig,
    RigSlopes,
    point_slopes,
    pose_rig,
    shape_slopes,
)
from persona.tracking.solve import turned
from persona.tracking.terms import frame_terms

FRAMES: Final = 24
"""Frames that tell the shape."""
WORTH: Final = 2.0
"""How many independent frames they are worth: the detector errs alike in all of them."""
ROUNDS: Final = 6
"""Steps; three bring bone lengths to a millimetre."""
DAMPING: Final = 1e-3
"""Relative to the diagonal, of poses."""


def telling_frames(evidence: ClipEvidence) -> Int[Tensor, " n"]:
    """Choose frames spread over the clip in which the most of the person is seen."""
    total = evidence.trust.sum(1)
    seen = torch.nonzero(total > 0)[:, 0]
    parts = torch.tensor_split(seen, min(FRAMES, len(seen)))
    return torch.stack([part[total[part].argmax()] for part in parts])


def mean_shape(body: SmplxBody) -> Float[Tensor, " s"]:
    """Give the expected betas and bone scales of somebody of whom nothing is known."""
    return _rests(body).clone()


def fit_shape(
    body: SmplxBody, rig: Rig, slopes: RigSlopes, evidence: ClipEvidence, start: Pose
) -> Float[Tensor, " s"]:
    """Find the shape that explains some frames best, together with their poses.

    Gauss and Newton; poses are eliminated from the system frame by frame, so that only the
    shape's own numbers are solved for together (the Schur complement).

    Args:
        body: The body.
        rig: Bones of `mean_shape`.
        slopes: Their derivative by the shape.
        evidence: The frames.
        start: Poses of those frames.

    Returns:
        Betas, then bone scales.
    """
    size = slopes.joints.shape[-1]
    terms = frame_terms(evidence, extra=size)
    rest, spread = _rests(body), _spreads(body)
    shape, pose = rest.clone(), start
    share = min(1.0, WORTH / len(evidence.times))
    for _ in range(ROUNDS):
        posed = pose_rig(_shaped(rig, slopes, shape - rest), pose)
        by_all = torch.cat([point_slopes(posed), shape_slopes(slopes, posed)], -1)
        matrix, slope = normal_equations(terms(pose, posed, by_all), range(UNKNOWNS + size))
        poses, shapes = slice(0, UNKNOWNS), slice(UNKNOWNS, UNKNOWNS + size)
        own = matrix[:, poses, poses]
        own = own + DAMPING * torch.diag_embed(own.diagonal(dim1=1, dim2=2) + 1e-3)
        both = torch.cat([matrix[:, poses, shapes], slope[:, poses, None]], -1)
        solved = torch.linalg.solve(own, both)
        reduced = matrix[:, shapes, shapes] - matrix[:, shapes, poses] @ solved[..., :-1]
        pull = slope[:, shapes] - (matrix[:, shapes, poses] @ solved[..., -1:])[..., 0]
        normal = share * reduced.sum(0) + torch.diag(spread**-2)
        step = -torch.linalg.solve(normal, share * pull.sum(0) + (shape - rest) / spread**2)
        pose = turned(pose, -(solved[..., -1] + solved[..., :-1] @ step))
        shape = shape + step
        scales = shape[-len(BONE_GROUPS) :]
        scales.clamp_(-SCALE_BOUND, SCALE_BOUND)
    return shape


def _shaped(rig: Rig, slopes: RigSlopes, change: Float[Tensor, " s"]) -> Rig:
    return Rig(rig.joints + slopes.joints @ change, rig.points + slopes.points @ change)


def _rests(body: SmplxBody) -> Float[Tensor, " s"]:
    rests = torch.zeros(body.shapedirs.shape[2] + len(BONE_GROUPS), dtype=torch.float64)
    for beta, place in SHAPE_RESTS.items():
        rests[beta] = place
    return rests


def _spreads(body: SmplxBody) -> Float[Tensor, " s"]:
    spreads = torch.ones(body.shapedirs.shape[2] + len(BONE_GROUPS), dtype=torch.float64)
    for beta, width in SHAPE_SPREADS.items():
        spreads[beta] = width
    spreads[-len(BONE_GROUPS) :] = torch.tensor([SCALE_SPREADS[name] for name in BONE_GROUPS])
    return spreads
