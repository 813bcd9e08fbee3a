"""Terms that compare the body with landmarks: body in the picture and in space, hands, face."""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.fitting.evidence import Evidence
from persona.fitting.objective import Graded, State, Term, subtract, weigh

KEYPOINT_WEIGHTS: Final = {
    0: 1.0, 2: 0.5, 5: 0.5, 7: 0.4, 8: 0.4,
    11: 1.0, 12: 1.0, 13: 1.0, 14: 1.0, 15: 1.0, 16: 1.0,
    23: 0.6, 24: 0.6, 25: 1.0, 26: 1.0, 27: 1.5, 28: 1.5,
    29: 0.5, 30: 0.5, 31: 0.8, 32: 0.8,
}  # fmt: skip
"""Trust in each MediaPipe Pose landmark; hips are guesses under clothes, ankles decide lean."""
KNUCKLES: Final = {17: 0.7, 18: 0.7, 19: 0.7, 20: 0.7, 21: 0.3, 22: 0.3}
"""The Pose model's knuckles, used for hands that the hand model did not see."""
CONFIDENT: Final = 0.3
"""Landmarks below this visibility pull with this share at most (METHOD.md A.2)."""

BONES: Final = (
    (11, 13, 1.0), (13, 15, 1.0), (12, 14, 1.0), (14, 16, 1.0),
    (23, 25, 1.0), (25, 27, 1.0), (24, 26, 1.0), (26, 28, 1.0),
    (12, 11, 1.0), (24, 23, 1.0), (23, 11, 0.5), (24, 12, 0.5),
)  # fmt: skip
"""Pairs of Pose landmarks whose direction in space is compared, with trust."""


def keypoint_term(evidence: Evidence, *, with_knuckles: tuple[bool, bool]) -> Term:
    """Body landmarks in the picture."""
    weights = dict(KEYPOINT_WEIGHTS)
    for place, weight in KNUCKLES.items():
        # Odd landmarks are the left side's.
        if with_knuckles[0 if place % 2 else 1]:
            weights[place] = weight
    places = list(weights)
    trust = torch.tensor(list(weights.values())) * keypoint_trust(evidence)[places]
    target = evidence.body[places]

    def residual(state: State) -> Graded:
        rows = [state.points.rows["pose"][place] for place in places]
        return weigh(subtract(state.pixels(rows), target), trust)

    return Term(
        name="keypoints",
        sigma=5.0,
        unit="px",
        because="the detector's own error on a person 512 px tall",
        residual=residual,
        robust=7.0,
    )


def keypoint_trust(evidence: Evidence) -> Float[Tensor, " 33"]:
    """Give each Pose landmark's share of trust from its visibility."""
    return evidence.confidence.clamp(min=0.1)


def bone_term(evidence: Evidence, *, sigma: float) -> Term:
    """Directions of limbs and trunk in space."""
    start, end, trust = (list(column) for column in zip(*BONES, strict=True))
    seen = keypoint_trust(evidence)
    weights = torch.tensor(trust) * torch.minimum(seen[start], seen[end])
    target = torch.nn.functional.normalize(evidence.world[end] - evidence.world[start], dim=-1)

    def residual(state: State) -> Graded:
        pose = state.points.rows["pose"]
        ends, d_ends = state.places([pose[k] for k in end])
        starts, d_starts = state.places([pose[k] for k in start])
        bone = ends - starts
        length = bone.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        direction = bone / length
        if d_ends is None or d_starts is None:
            return weigh((direction - target, None), weights)
        d_bone = (d_ends - d_starts) / length[..., None]
        along = direction[..., None] * (direction[..., None] * d_bone).sum(-2, keepdim=True)
        return weigh((direction - target, d_bone - along), weights)

    return Term(
        name="bones",
        sigma=sigma,
        unit="-",
        because="the picture alone cannot tell forwards from backwards",
        residual=residual,
        robust=4.0,
    )


def relative_depth(state: State, rows: Sequence[int], target_px: Float[Tensor, " n"]) -> Graded:
    """Compare depths with a detector's relative depths, both about their own mean [m].

    ``target_px`` counts away from the viewer in pixels; a pixel is depth over focal metres.
    """
    places, jacobian = state.places(rows)
    away = -places[..., 2:]
    metres_per_px = away.mean(1, keepdim=True) / state.evidence.focal_px
    target = (target_px - target_px.mean())[:, None] * metres_per_px.detach()
    value = away - away.mean(1, keepdim=True) - target
    if jacobian is None:
        return value, None
    d_away = -jacobian[..., 2:, :]
    return value, d_away - d_away.mean(1, keepdim=True)


def hand_terms(side: str, landmarks: Float[Tensor, "21 3"]) -> list[Term]:
    """One hand's landmarks, in the picture and in relative depth."""
    name = f"{side}_hand"
    depth_trust = torch.full((21,), 1 / 21)

    def in_picture(state: State) -> Graded:
        value = subtract(state.pixels(state.points.rows[name]), landmarks[:, :2])
        return weigh(value, torch.full((21,), 0.35))

    def in_depth(state: State) -> Graded:
        return weigh(relative_depth(state, state.points.rows[name], landmarks[:, 2]), depth_trust)

    return [
        Term(
            name=name,
            sigma=2.5,
            unit="px",
            because="fingers are 3 px wide; neighbours err together, so each counts a third",
            residual=in_picture,
            robust=5.0,
        ),
        Term(
            name=f"{name}_depth",
            sigma=0.012,
            unit="m",
            because="tells a palm from the back of a hand; the detector's depth is coarse",
            residual=in_depth,
            robust=4.0,
        ),
    ]


def face_terms(
    face: Float[Tensor, "478 3"], ids: Sequence[int], weights: Float[Tensor, " n"]
) -> list[Term]:
    """The face mesh, in the picture and in relative depth; ``weights`` sum to the trust in all."""
    target = face[list(ids)]

    def in_picture(state: State) -> Graded:
        value = subtract(state.pixels(state.points.rows["face"]), target[:, :2])
        return weigh(value, weights)

    def in_depth(state: State) -> Graded:
        depth = relative_depth(state, state.points.rows["face"], target[:, 2])
        return weigh(depth, weights)

    return [
        Term(
            name="face",
            sigma=1.5,
            unit="px",
            because="shapes our face cannot take; detector noise is below a pixel",
            residual=in_picture,
            robust=6.0,
        ),
        Term(
            name="face_depth",
            sigma=0.012,
            unit="m",
            because="the mesh knows noses from cheeks, and so which way the head looks",
            residual=in_depth,
            robust=4.0,
        ),
    ]
