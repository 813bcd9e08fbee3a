"""Find the body's pose and build from body landmarks alone, from several starts."""

import torch

from persona.body import SmplxBody
from persona.fitting.evidence import Evidence
from persona.fitting.initialize import first_guesses
from persona.fitting.objective import Term, build_objective
from persona.fitting.parameters import Layout, Unknowns
from persona.fitting.points import FitPoints, add_pose, joint_points
from persona.fitting.solver import minimize
from persona.fitting.terms_landmarks import bone_term, keypoint_term
from persona.fitting.terms_priors import limit_term, pose_term, shape_term, symmetry_term
from persona.fitting.terms_stance import (
    balance_term,
    flat_feet_term,
    joined_hands_term,
    level_feet_term,
    upright_terms,
)

FIRST_BONE_SIGMA, LAST_BONE_SIGMA = 0.15, 0.30
"""Trust in bone directions [-]: close at first, so that every start comes into the right valley,
then as loose as world landmarks deserve (about 17 degrees)."""
FLOOR_PER_BONE_SIGMA = 0.15
"""Evenness of the floor [m] that goes with a trust in bones: 4 cm in the end."""
BODY_UNKNOWNS = slice(0, 66)
"""Pelvis to wrists."""


def body_columns(layout: Layout) -> list[int]:
    """List the unknowns of the body without face and fingers."""
    return layout.columns(BODY_UNKNOWNS, layout.betas, layout.scales, layout.transl)


def body_terms(
    points: FitPoints,
    evidence: Evidence,
    *,
    bone_sigma: float,
    with_knuckles: tuple[bool, bool] = (True, True),
) -> list[Term]:
    """Gather what is believed about the body before hands, face and outline are looked at."""
    layout, stance = points.model.layout, evidence.stance
    straight = (stance.left_straight, stance.right_straight)
    terms = [
        keypoint_term(evidence, with_knuckles=with_knuckles),
        bone_term(evidence, sigma=bone_sigma),
        pose_term(layout, straight_knees=straight),
        limit_term(layout),
        shape_term(layout),
    ]
    if stance.support:
        terms += upright_terms(points, stance)
    else:
        terms.append(balance_term(points))
    if stance.standing:
        terms += [
            symmetry_term(layout),
            flat_feet_term(points, straight),
        ]
    if not (stance.left_lifted or stance.right_lifted):
        terms.append(level_feet_term(points, sigma=FLOOR_PER_BONE_SIGMA * bone_sigma))
    joined = joined_hands_term(points, evidence)
    return terms if joined is None else [*terms, joined]


def search_body(body: SmplxBody, evidence: Evidence) -> tuple[Unknowns, str]:
    """Give the best of all starts after both rounds, and the name of its first guess."""
    points = add_pose(joint_points(body), body)
    guesses, names = first_guesses(points, evidence)
    columns = body_columns(points.model.layout)
    for sigma, iterations in ((FIRST_BONE_SIGMA, 12), (LAST_BONE_SIGMA, 20)):
        terms = body_terms(points, evidence, bone_sigma=sigma)
        objective = build_objective(points, evidence, terms)
        solution = minimize(objective, guesses, columns, iterations=iterations)
        guesses = solution.unknowns
    best = int(torch.argmin(solution.cost))
    return guesses[best : best + 1], names[best]
