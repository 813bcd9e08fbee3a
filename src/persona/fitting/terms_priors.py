"""Terms that hold without a picture: plausible poses, joint limits, ordinary shapes."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import BONE_GROUPS, JOINT_IDS, JOINT_NAMES, joint_limits
from persona.fitting.objective import Graded, State, Term
from persona.fitting.parameters import Layout

FREE: Final = 10.0
"""Spread of a rotation that nothing holds [rad]."""
SPREADS: Final[dict[str, tuple[float, float, float]]] = {
    "pelvis": (FREE, FREE, FREE),
    "hip": (0.60, 0.25, 0.30),
    "knee": (0.60, 0.05, 0.05),
    "ankle": (0.25, 0.20, 0.12),
    "foot": (0.04, 0.04, 0.04),
    "spine1": (0.20, 0.12, 0.12),
    "spine2": (0.15, 0.12, 0.12),
    "spine3": (0.15, 0.12, 0.12),
    "neck": (0.20, 0.25, 0.20),
    "head": (0.20, 0.30, 0.20),
    "collar": (0.10, 0.15, 0.15),
    "shoulder": (0.50, 0.70, 0.90),
    "elbow": (0.30, 0.90, 0.10),
    "wrist": (0.20, 0.25, 0.50),
    "jaw": (0.20, 0.04, 0.03),
    "eye": (0.20, 0.25, 0.02),
    "thumb1": (0.20, 0.30, 0.25),
    "thumb2": (0.12, 0.35, 0.12),
    "thumb3": (0.10, 0.40, 0.10),
    "finger1": (0.10, 0.15, 0.50),
    "finger2": (0.05, 0.05, 0.55),
    "finger3": (0.05, 0.05, 0.40),
}
"""How far joints turn from `RESTS` about x, y and z [rad]; hinges are narrow off their axis."""
RESTS: Final[dict[str, tuple[float, float, float]]] = {
    "knee": (0.06, 0.0, 0.0),
    "shoulder": (0.0, 0.0, -1.15),
    "elbow": (0.0, -0.25, 0.0),
    "finger1": (0.0, 0.0, -0.40),
    "index1": (0.0, 0.05, -0.30),
    "ring1": (0.0, -0.06, -0.42),
    "pinky1": (0.0, -0.12, -0.45),
    "finger2": (0.0, 0.0, -0.55),
    "finger3": (0.0, 0.0, -0.35),
    "thumb1": (0.0, 0.25, -0.15),
    "thumb2": (0.0, 0.15, 0.0),
    "thumb3": (0.0, 0.20, 0.0),
}
"""Where joints rest [rad], left side: arms hang, elbows and fingers are slightly bent."""
SHAPE_SPREADS: Final = {0: 0.5, 1: 1.8}
"""Spread of the betas that differ from 1. The first is stature, 15 cm a unit: a picture cannot tell
it from distance, and left free it is spent on the size of the head. The second tells women from
men, who are two crowds rather than one."""
SHAPE_RESTS: Final = {1: -0.6}
"""Expected betas that differ from 0: clothed men come out 0.2 on the women's side without it."""
SCALE_SPREADS: Final = {
    "thigh": 0.08, "shin": 0.08, "spine": 0.08, "upper_arm": 0.08, "lower_arm": 0.08,
    "hip": 0.10, "head": 0.08,
}  # fmt: skip
"""Spread of the bone scales [-]; 0.15 is the bound beyond which nobody is built."""
SCALE_BOUND: Final = 0.15


def _table(
    entries: dict[str, tuple[float, float, float]], default: tuple[float, float, float]
) -> Float[Tensor, "55 3"]:
    """Look up every joint by its name without the side, then by "finger" and its number."""
    rows = []
    for name in JOINT_NAMES:
        bare = name.removeprefix("left_").removeprefix("right_")
        finger = bare[:-1] in ("index", "middle", "ring", "pinky")
        kind = "finger" + bare[-1] if finger else bare
        rows.append(entries.get(bare, entries.get(kind, default)))
    return torch.tensor(rows)


def rest_pose() -> Float[Tensor, "55 3"]:
    """Give the pose that nothing pulls at: hanging arms and relaxed hands [rad]."""
    pose = _table(RESTS, (0.0, 0.0, 0.0))
    right = torch.tensor([name.startswith("right_") for name in JOINT_NAMES])
    return torch.where(right[:, None], pose * torch.tensor([1.0, -1.0, -1.0]), pose)


def pose_spreads() -> Float[Tensor, "55 3"]:
    """Give the spread of every joint about its rest [rad]."""
    return _table(SPREADS, (FREE, FREE, FREE))


def pose_term(layout: Layout, *, straight_knees: tuple[bool, bool]) -> Term:
    """Ordinary poses; knees of straight legs are held straight."""
    rest, spread = rest_pose().flatten(), pose_spreads()
    for straight, joint in zip(straight_knees, ("left_knee", "right_knee"), strict=True):
        if straight:
            # World landmarks bend straight knees by 12 to 40 degrees; people lock them.
            spread[JOINT_IDS[joint], 0] = 0.10
    spread = spread.flatten()
    slope = torch.zeros(1, len(rest), layout.size)
    slope[0, :, layout.pose] = torch.diag(1 / spread)

    def residual(state: State) -> Graded:
        value = (state.unknowns[:, layout.pose] - rest) / spread
        return value[:, None], state.constant(slope)

    return Term(
        name="pose",
        sigma=1.0,
        unit="spread",
        because="of all poses that fit the picture, the ordinary one is meant",
        residual=residual,
    )


def limit_term(layout: Layout) -> Term:
    """Joint limits: free inside, steep outside."""
    low, high = (side.flatten() for side in joint_limits())
    eye = torch.zeros(len(low), layout.size)
    eye[:, layout.pose] = torch.eye(len(low))

    def residual(state: State) -> Graded:
        pose = state.unknowns[:, layout.pose]
        over, under = (pose - high).clamp(min=0), (low - pose).clamp(min=0)
        value = (over - under)[:, None]
        if not state.graded:
            return value, None
        active = ((over > 0) | (under > 0)).float()[:, None, :, None]
        return value, active * eye

    return Term(
        name="limits",
        sigma=0.05,
        unit="rad",
        because="knees and elbows do not bend backwards",
        residual=residual,
    )


def shape_term(layout: Layout) -> Term:
    """Ordinary bodies, bone lengths and expressions."""
    count = layout.beta_count
    spread = torch.ones(layout.scales.stop - layout.betas.start)
    for beta, width in SHAPE_SPREADS.items():
        spread[beta] = width
    spread[count : count + layout.expression_count] = 0.7
    spread[-len(BONE_GROUPS) :] = torch.tensor([SCALE_SPREADS[name] for name in BONE_GROUPS])
    rest = torch.zeros_like(spread)
    for beta, place in SHAPE_RESTS.items():
        rest[beta] = place
    slope = torch.zeros(1, len(spread), layout.size)
    slope[0, :, layout.betas.start : layout.scales.stop] = torch.diag(1 / spread)

    def residual(state: State) -> Graded:
        value = (state.unknowns[:, layout.betas.start : layout.scales.stop] - rest) / spread
        return value[:, None], state.constant(slope)

    return Term(
        name="shape",
        sigma=1.0,
        unit="spread",
        because="clothes hide the body; without evidence it is an ordinary one",
        residual=residual,
    )


def symmetry_term(layout: Layout) -> Term:
    """Legs and collars of a standing person mirror each other, roughly."""
    pairs = [
        (3 * JOINT_IDS[f"left_{name}"] + axis, 3 * JOINT_IDS[f"right_{name}"] + axis, sign)
        for name in ("hip", "ankle", "collar")
        for axis, sign in ((0, -1.0), (1, 1.0), (2, 1.0))
    ]
    slope = torch.zeros(1, len(pairs), layout.size)
    for row, (left, right, sign) in enumerate(pairs):
        slope[0, row, left], slope[0, row, right] = 1.0, sign

    def residual(state: State) -> Graded:
        value = state.unknowns @ slope[0].T
        return value[:, None], state.constant(slope)

    return Term(
        name="symmetry",
        sigma=0.25,
        unit="rad",
        because="one leg turned out alone is rarer than a misplaced toe landmark",
        residual=residual,
    )
