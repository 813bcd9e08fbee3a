"""Terms of one frame: landmarks in the picture, directions in space, ordinary poses, limits."""

from collections.abc import Callable
from functools import cache
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import joint_limits
from persona.fitting.solver import Residual
from persona.fitting.terms_priors import pose_spreads, rest_pose
from persona.geometry.rotations import matrix_to_axis_angle, skew
from persona.tracking.evidence import DIRECTIONS, ClipEvidence
from persona.tracking.rig import JOINTS, LANDMARKS, MIDDLES, UNKNOWNS, Pose, Posed

PIXEL_SIGMA: Final = 0.010
"""Error of the detector, in heights of the person."""
PIXEL_ROBUST: Final = 6.0
"""Sigmas at which a landmark is half disbelieved."""
DIRECTION_SIGMA: Final = 0.30
"""Error of a direction in space [-], 17 degrees: the depth of single frames is weak."""
DIRECTION_ROBUST: Final = 4.0
FREEDOM: Final = 2.0
"""Poses are this much freer than those of photos, whose spreads are meant for people who stand:
with them, the trunk of a deep squat falls back over the hips."""
MIDDLE_SIGMA: Final = 0.006
"""Error of the middle of a limb in the mask, in heights of the person."""
MIDDLE_ROBUST: Final = 3.0
LIMIT_SIGMA: Final = 0.05
"""How softly joints end [rad]."""

Slopes = Float[Tensor, "t n 3 u"]
"""Derivative of the points by the unknowns of their frame, perhaps with the shape behind them."""
FrameTerms = Callable[[Pose, Posed, Slopes | None], list[Residual]]
"""A pose, its points and their slopes (None when only the cost is wanted) to terms."""


def frame_terms(evidence: ClipEvidence, *, extra: int = 0) -> FrameTerms:
    """Gather the terms that look at one frame alone.

    Args:
        evidence: What was measured.
        extra: Unknowns behind those of the pose, on which priors of the pose do not depend.
    """

    def terms(pose: Pose, posed: Posed, slopes: Slopes | None) -> list[Residual]:
        return [
            _pixels(evidence, posed, slopes),
            _middles(evidence, posed, slopes),
            _directions(evidence, posed, slopes),
            *_priors(pose, extra, graded=slopes is not None),
        ]

    return terms


def _pixels(evidence: ClipEvidence, posed: Posed, slopes: Slopes | None) -> Residual:
    points = posed.points[:, LANDMARKS]
    unit = (evidence.trust.sqrt() / (PIXEL_SIGMA * evidence.height_px[:, None]))[..., None]
    value = (evidence.scene.pixels(points) - evidence.body) * unit
    jacobian = None
    if slopes is not None:
        jacobian = (evidence.scene.pixel_slopes(points) * unit[..., None]) @ slopes[:, LANDMARKS]
    return Residual(name="keypoints", value=value, jacobian=jacobian, robust=PIXEL_ROBUST)


def _middles(evidence: ClipEvidence, posed: Posed, slopes: Slopes | None) -> Residual:
    """Compare middles of limbs with those of the mask, across each limb alone."""
    points = posed.points[:, MIDDLES]
    unit = evidence.middle_trust.sqrt() / (MIDDLE_SIGMA * evidence.height_px[:, None])
    way = evidence.across * unit[..., None]
    value = ((evidence.scene.pixels(points) - evidence.middles) * way).sum(-1, keepdim=True)
    jacobian = None
    if slopes is not None:
        by_point = way[..., None, :] @ evidence.scene.pixel_slopes(points)
        jacobian = by_point @ slopes[:, MIDDLES]
    return Residual(name="middles", value=value, jacobian=jacobian, robust=MIDDLE_ROBUST)


def _directions(evidence: ClipEvidence, posed: Posed, slopes: Slopes | None) -> Residual:
    starts, ends, _ = (list(column) for column in zip(*DIRECTIONS, strict=True))
    bone = posed.points[:, ends] - posed.points[:, starts]
    length = bone.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    way = bone / length
    unit = evidence.direction_trust.sqrt()[..., None] / DIRECTION_SIGMA
    jacobian = None
    if slopes is not None:
        change = slopes[:, ends] - slopes[:, starts]
        across = (torch.eye(3).double() - way[..., None] * way[..., None, :]) / length[..., None]
        jacobian = (across * unit[..., None]) @ change
    value = (way - evidence.directions) * unit
    return Residual(name="directions", value=value, jacobian=jacobian, robust=DIRECTION_ROBUST)


@cache
def _ordinary() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give rest, spread and limits of every joint but the root [rad]."""
    low, high = joint_limits()
    rest, spread = rest_pose(), pose_spreads()
    rows = slice(1, JOINTS)
    return (
        rest[rows].double(),
        FREEDOM * spread[rows].double(),
        low[rows].double(),
        high[rows].double(),
    )


def _priors(pose: Pose, extra: int, *, graded: bool) -> list[Residual]:
    """Hold every joint but the root near its rest, and inside its limits."""
    angles = matrix_to_axis_angle(pose.turns[:, 1:])
    rest, spread, low, high = _ordinary()
    over, under = (angles - high).clamp(min=0), (low - angles).clamp(min=0)
    ordinary = ((angles - rest) / spread).flatten(1)[:, None]
    outside = ((over - under) / LIMIT_SIGMA).flatten(1)[:, None]
    if not graded:
        return [
            Residual(name="pose", value=ordinary, jacobian=None),
            Residual(name="limits", value=outside, jacobian=None),
        ]
    inverse = inverse_right_jacobian(angles)
    count = len(angles)
    by_pose = (inverse / spread[..., None]).double()
    active = ((over > 0) | (under > 0)).double()
    by_limit = inverse * (active / LIMIT_SIGMA)[..., None]
    return [
        Residual(name="pose", value=ordinary, jacobian=_spread_out(by_pose, count, extra)),
        Residual(name="limits", value=outside, jacobian=_spread_out(by_limit, count, extra)),
    ]


def _spread_out(blocks: Float[Tensor, "t j 3 3"], count: int, extra: int) -> Tensor:
    """Put a block of every joint but the root on the diagonal of a derivative."""
    full = torch.zeros(count, 3 * (JOINTS - 1), UNKNOWNS + extra, dtype=torch.float64)
    for k in range(JOINTS - 1):
        full[:, 3 * k : 3 * k + 3, 3 * k + 3 : 3 * k + 6] = blocks[:, k]
    return full[:, None]


def inverse_right_jacobian(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Give how a small turn in its own frame changes a rotation's axis-angle.

    ``log(R(a) R(d)) = a + J d`` to first order (Chirikjian 2012, section 10.3).
    """
    square = (axis_angle * axis_angle).sum(-1)
    small = square < 1e-6
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    factor = 1 / angle**2 - (1 + angle.cos()) / (2 * angle * angle.sin().clamp(min=1e-6))
    factor = torch.where(small, torch.full_like(square, 1 / 12), factor)
    cross = skew(axis_angle)
    eye = torch.eye(3, dtype=axis_angle.dtype)
    return eye + cross / 2 + factor[..., None, None] * (cross @ cross)
