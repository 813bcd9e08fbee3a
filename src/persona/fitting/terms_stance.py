"""Terms of gravity: standing people are upright in depth, feet lie flat, squats keep balance."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import JOINT_IDS
from persona.fitting.evidence import Evidence, Stance
from persona.fitting.objective import Graded, State, Term
from persona.fitting.points import FitPoints

LEFT_FOOT: Final = (29, 31)
"""Heel and toe of the left foot in MediaPipe Pose; the right foot's follow each by one."""
BALANCE: Final = {
    "pelvis": 0.30, "spine2": 0.20, "neck": 0.15, "head": 0.15,
    "left_knee": 0.10, "right_knee": 0.10,
}  # fmt: skip
"""Joints that stand for the body's mass, with shares of it."""

JOINED_SHARE: Final = 0.22
"""Distance of the hands, in trunk lengths, below which they are taken to touch."""
REST_SHARE: Final = 0.5
"""How much of the T-pose's own depth profile standing people keep: its ankles lie 4.7 cm back."""


def _mean(shares: dict[str, float]) -> tuple[list[int], Float[Tensor, " n"]]:
    return [JOINT_IDS[name] for name in shares], torch.tensor(list(shares.values()))


def _depth_gap(
    state: State, upper: dict[str, float], lower: dict[str, float], gap: float
) -> Graded:
    """How far ``upper`` stands before ``lower`` (weighted means of joints), less ``gap`` [m]."""
    top, top_share = _mean(upper)
    bottom, bottom_share = _mean(lower)
    shares = torch.cat([top_share, -bottom_share])
    value, slope = _mixed_axis(state, top + bottom, shares, axis=2)
    return value - gap, slope


def _rest_gap(points: FitPoints, upper: dict[str, float], lower: dict[str, float]) -> float:
    """The same gap on the mean body in T-pose, which stands upright by definition [m]."""
    joints = points.model.joints[:, 2]
    top, top_share = _mean(upper)
    bottom, bottom_share = _mean(lower)
    return float((joints[top] * top_share).sum() - (joints[bottom] * bottom_share).sum())


def upright_terms(points: FitPoints, stance: Stance) -> list[Term]:
    """Depth alignment of a person on one or two straight legs."""
    sides = stance.support
    pelvis = {"pelvis": 1.0}
    ankles = {f"{side}_ankle": 1 / len(sides) for side in sides}
    knees = {f"{side}_knee": 1 / len(sides) for side in sides}
    beliefs = (
        ("ankles", ankles, 0.015, "two-dimensional landmarks lay people back by 28-39 cm"),
        ("knees", knees, 0.025, "legs carry the trunk from below"),
        ("neck", {"neck": 1.0}, 0.030, "trunks stand over their pelvis"),
        ("head", {"head": 1.0}, 0.030, "heads are carried, not thrust forward"),
    )

    def term(name: str, joints: dict[str, float], sigma: float, because: str) -> Term:
        gap = REST_SHARE * _rest_gap(points, joints, pelvis)
        return Term(
            name=f"upright_{name}",
            sigma=sigma if stance.standing else 2 * sigma,
            unit="m",
            because=because,
            residual=lambda state: _depth_gap(state, joints, pelvis, gap),
        )

    return [term(*belief) for belief in beliefs]


def balance_term(points: FitPoints) -> Term:
    """Whoever bends keeps the weight over the feet."""
    feet = {"left_ankle": 0.3, "right_ankle": 0.3, "left_foot": 0.2, "right_foot": 0.2}

    return Term(
        name="balance",
        sigma=0.06,
        unit="m",
        because="a body whose mass is not over its feet is falling",
        residual=lambda state: _depth_gap(state, BALANCE, feet, 0.0),
    )


def flat_feet_term(points: FitPoints, sides: tuple[bool, bool]) -> Term:
    """Heels and toes of the feet that stand keep the height they have in the rest pose."""
    used = [k for k, side in enumerate(sides) if side]
    heels = [points.rows["pose"][LEFT_FOOT[0] + k] for k in used]
    toes = [points.rows["pose"][LEFT_FOOT[1] + k] for k in used]
    rest = points.model.points[toes, 1] - points.model.points[heels, 1]

    def residual(state: State) -> Graded:
        toe, d_toe = state.places(toes)
        heel, d_heel = state.places(heels)
        value = (toe - heel)[..., 1:2] - rest[:, None]
        if d_toe is None or d_heel is None:
            return value, None
        return value, (d_toe - d_heel)[..., 1:2, :]

    return Term(
        name="flat_feet",
        sigma=0.02,
        unit="m",
        because="feet that carry weight lie on the ground",
        residual=residual,
    )


def level_feet_term(points: FitPoints, *, sigma: float) -> Term:
    """Both feet are on one floor, unless the picture insists that one is lifted [m]."""
    rows = [points.rows["pose"][k] for k in (29, 31, 30, 32)]
    shares = torch.tensor([0.5, 0.5, -0.5, -0.5])

    def residual(state: State) -> Graded:
        return _mixed_axis(state, rows, shares, axis=1)

    return Term(
        name="level_feet",
        sigma=sigma,
        unit="m",
        because="a foot that is higher in the picture is farther away, not in the air",
        residual=residual,
        # A lifted foot is an outlier, and costs no more than three spreads.
        robust=3.0,
    )


def hands_joined(evidence: Evidence) -> bool:
    """Say whether both hands meet in the picture."""
    trunk = (evidence.body[[11, 12]].mean(0) - evidence.body[[23, 24]].mean(0)).norm()
    hands = evidence.body[[15, 17, 19]].mean(0), evidence.body[[16, 18, 20]].mean(0)
    return float((hands[0] - hands[1]).norm()) < JOINED_SHARE * float(trunk)


def joined_hands_term(points: FitPoints, evidence: Evidence) -> Term | None:
    """Hands that meet in the picture meet in space; None when they are apart.

    Where the detector saw only one of them, the other lies against it, knuckle on knuckle.
    """
    if not hands_joined(evidence):
        return None
    one_seen = (evidence.left_hand is None) != (evidence.right_hand is None)
    axes = slice(0, 3) if one_seen else slice(2, 3)
    left, right = ([points.rows["pose"][k] for k in ids] for ids in ((15, 17, 19), (16, 18, 20)))

    def residual(state: State) -> Graded:
        mine, d_mine = state.places(left)
        theirs, d_theirs = state.places(right)
        value = (mine - theirs)[..., axes]
        if d_mine is None or d_theirs is None:
            return value, None
        return value, (d_mine - d_theirs)[..., axes, :]

    return Term(
        name="joined_hands",
        sigma=0.03,
        unit="m",
        because="folded hands and hands in prayer touch",
        residual=residual,
        robust=6.0,
    )


def _mixed_axis(state: State, rows: list[int], shares: Float[Tensor, " n"], *, axis: int) -> Graded:
    """Mix one world coordinate of several points [m]."""
    places, jacobian = state.places(rows)
    value = (places[..., axis] * shares).sum(-1)[:, None, None]
    if jacobian is None:
        return value, None
    return value, (jacobian[..., axis, :] * shares[:, None]).sum(1)[:, None, None]
