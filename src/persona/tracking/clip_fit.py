"""Fit one body to a whole clip: shape, then smooth poses, then feet that stay on the floor."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.body import SmplxBody
from persona.records.body_fit import Identity
from persona.tracking.evidence import ClipEvidence, gather_evidence
from persona.tracking.first_guess import guess_poses
from persona.tracking.footing import find_ground
from persona.tracking.mending import mend_swaps
from persona.tracking.rig import Pose, Posed, Rig, identity_from, pose_rig, rig_of, rig_slopes
from persona.tracking.shape import fit_shape, mean_shape, telling_frames
from persona.tracking.sightings import Sightings
from persona.tracking.smoothness import Ground, Smoothness
from persona.tracking.solve import solve_clip

WINDOW: Final = 120
"""Frames that are solved together: more do not fit the processor's cache."""
OVERLAP: Final = 30
"""Frames that a window shares with the one before it."""
SETTLED: Final = 15
"""Of these, how many stay as they were."""
GROUNDING_STEPS: Final = 4
"""Steps that are enough once only the feet change."""


@dataclass(frozen=True)
class ClipBody:
    """A person and all their poses, in the world of each shot's first camera."""

    identity: Identity
    """Shape and bones."""
    rig: Rig
    """The same as a rig."""
    pose: Pose
    """Rotations and shift of every frame."""
    ground: Ground
    """Floor and stands."""
    evidence: ClipEvidence
    """What was measured, left and right mended."""
    sightings: Sightings
    """What it came from, mended too."""
    swapped: Bool[Tensor, " t"]
    """Frames in which the detector had left and right the wrong way round."""

    def posed(self) -> Posed:
        """Pose the rig."""
        return pose_rig(self.rig, self.pose)


def fit_clip(
    body: SmplxBody,
    sightings: Sightings,
    *,
    identity: Identity | None = None,
    focal_px: float | None = None,
) -> ClipBody:
    """Explain a clip by one body.

    Args:
        body: The body file.
        sightings: What was seen.
        identity: Whose bones; None finds those that fit the clip.
        focal_px: Focal length [px]; None assumes one.
    """
    sightings, swapped = mend_swaps(sightings)
    evidence = gather_evidence(sightings, swapped=swapped, focal_px=focal_px)
    if identity is None:
        identity = identity_from(body, find_shape(body, evidence))
    rig = rig_of(body, identity)
    smoothness = Smoothness.of(evidence.times, evidence.shots)
    start = guess_poses(body, rig, evidence)
    pose = solve_windows(rig, evidence, start, smoothness)
    ground = find_ground(evidence, pose_rig(rig, pose))
    pose = solve_windows(rig, evidence, pose, smoothness, ground=ground, iterations=GROUNDING_STEPS)
    return ClipBody(identity, rig, pose, ground, evidence, sightings, swapped)


def find_shape(body: SmplxBody, evidence: ClipEvidence) -> Float[Tensor, " s"]:
    """Find betas and bone scales from frames spread over the clip."""
    rig, slopes = rig_slopes(body, mean_shape(body))
    chosen = evidence.pick(telling_frames(evidence))
    return fit_shape(body, rig, slopes, chosen, guess_poses(body, rig, chosen))


def solve_windows(
    rig: Rig,
    evidence: ClipEvidence,
    start: Pose,
    smoothness: Smoothness,
    *,
    ground: Ground | None = None,
    iterations: int = 12,
) -> Pose:
    """Solve a clip of any length in overlapping windows; joints between them are smooth.

    The first frames of a window are the settled ones of the window before and do not move.
    """
    count = len(start.shift)
    turns, shift = start.turns.clone(), start.shift.clone()
    begin = 0
    while True:
        end = count if begin + WINDOW + OVERLAP >= count else begin + WINDOW
        span, links = slice(begin, end), slice(begin, max(end - 1, begin))
        held = torch.zeros(end - begin, dtype=torch.bool)
        held[: SETTLED if begin else 0] = True
        fit = solve_clip(
            rig,
            evidence.pick(span),
            Pose(turns[span], shift[span]),
            smoothness=Smoothness(
                smoothness.steps[links], smoothness.linked[links], smoothness.strength
            ),
            ground=None if ground is None else ground.pick(span),
            held=held if begin else None,
            iterations=iterations,
        )
        turns[span], shift[span] = fit.pose.turns, fit.pose.shift
        if end == count:
            return Pose(turns, shift)
        begin = end - OVERLAP
