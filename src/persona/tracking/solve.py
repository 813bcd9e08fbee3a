"""Fit poses to all frames of a clip at once: Levenberg and Marquardt on a chain of frames."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.fitting.solver import DAMPING_MAX, DAMPING_MIN, DAMPING_START, normal_equations
from persona.geometry.rotations import axis_angle_to_matrix
from persona.tracking.banded import Chain
from persona.tracking.evidence import ClipEvidence
from persona.tracking.rig import JOINTS, UNKNOWNS, Pose, Posed, Rig, point_slopes, pose_rig
from persona.tracking.smoothness import Ground, Smoothness, add_standing, standing_cost
from persona.tracking.terms import frame_terms

HOLD: Final = 1e12
"""Stiffness of what must not move."""
ENOUGH: Final = 1e-3
"""Improvement of the whole cost, as a share, that ends the search; a fifth of it changes no miss by
more than 0.04 % and takes half as long again."""


@dataclass(frozen=True)
class ClipFit:
    """Where a fit ended."""

    pose: Pose
    """Best poses seen."""
    cost: float
    """Their loss."""
    iterations: int
    """Steps tried."""


def solve_clip(
    rig: Rig,
    evidence: ClipEvidence,
    start: Pose,
    *,
    smoothness: Smoothness,
    ground: Ground | None = None,
    held: Bool[Tensor, " t"] | None = None,
    iterations: int = 12,
) -> ClipFit:
    """Lower the misses of all frames and the jolts between them.

    Args:
        rig: Whose bones.
        evidence: What was measured.
        start: First guess.
        smoothness: The price of accelerations.
        ground: Standing feet, once they are known.
        held: Frames that stay as they are.
        iterations: Steps at most.
    """
    terms = frame_terms(evidence)

    def cost_of(pose: Pose, posed: Posed) -> float:
        loss = sum(float(term.cost().sum()) for term in terms(pose, posed, None))
        loss += smoothness.cost(pose)
        if ground is not None:
            loss += standing_cost(ground, smoothness.linked, posed)
        return loss

    def system(pose: Pose, posed: Posed) -> Chain:
        chain = Chain.empty(len(pose.shift), UNKNOWNS)
        slopes = point_slopes(posed)
        chain.own, chain.slope = normal_equations(terms(pose, posed, slopes), range(UNKNOWNS))
        smoothness.add_to(chain, pose)
        if ground is not None:
            add_standing(chain, ground, smoothness.linked, posed, slopes)
        if held is not None:
            chain.own[held] += HOLD * torch.eye(UNKNOWNS).double()
        return chain

    here, posed = start, pose_rig(rig, start)
    cost, damping, tried = cost_of(here, posed), DAMPING_START, 0
    chain: Chain | None = None
    while tried < iterations and damping < DAMPING_MAX:
        tried += 1
        chain = chain or system(here, posed)
        trial = turned(here, chain.step(damping))
        seen = pose_rig(rig, trial)
        loss = cost_of(trial, seen)
        if not loss < cost:
            damping *= 8
            continue
        gain, here, posed, cost = (cost - loss) / max(cost, 1e-9), trial, seen, loss
        damping = max(damping / 6, DAMPING_MIN)
        chain = None
        if gain < ENOUGH:
            break
    return ClipFit(here, cost, tried)


def turned(pose: Pose, step: Float[Tensor, "t u"]) -> Pose:
    """Apply a step: turn every joint in its own frame, then shift the body."""
    turns = axis_angle_to_matrix(step[:, : 3 * JOINTS].unflatten(1, (JOINTS, 3)))
    return Pose(pose.turns @ turns, pose.shift + step[:, 3 * JOINTS : UNKNOWNS])
