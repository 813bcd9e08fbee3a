"""Sharpen the best body with hands, face and outline."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.body import BodyPose, SmplxBody
from persona.body.skeleton import JOINT_IDS, LEFT_HAND_JOINTS, RIGHT_HAND_JOINTS, mirror_pose
from persona.fitting.evidence import Evidence
from persona.fitting.kinematics import joint_offsets, pose_points
from persona.fitting.objective import State, Term, build_objective
from persona.fitting.parameters import Layout, Unknowns
from persona.fitting.points import (
    FitPoints,
    add_hand,
    add_pose,
    add_surface,
    joint_points,
    vertex_points,
)
from persona.fitting.search import BODY_UNKNOWNS, LAST_BONE_SIGMA, body_terms
from persona.fitting.solver import minimize
from persona.fitting.terms_landmarks import face_terms, hand_terms
from persona.fitting.terms_outline import match_rim, outline_term
from persona.fitting.terms_stance import hands_joined
from persona.geometry.meshes import vertex_normals

FOREARM_TURNS: Final = (0.0, -0.8, 0.8, -1.5, 1.5)
"""Turns of the forearm from which a hand is tried [rad]; palms are easily taken for backs."""
WRIST_BENDS: Final = (0.0, 0.9)
"""Bends of the wrist from which a hand is tried, away from the palm [rad]."""
ROUNDS: Final = 4
"""Times the outline is matched anew; matches stop changing at about the third."""
ROUND_ITERATIONS: Final = 5
FACE_TRUST: Final = 12.0
"""Weight of the whole face mesh, in landmarks: points of one mesh err together."""
FACE_STEP: Final = 3
"""Every third point of the mesh is enough to hold the head."""
HAND_ERROR_PX: Final = 6.0
"""Mean distance above which a detected hand is not this hand: it is then relaxed."""
HANDS: Final = {"left": LEFT_HAND_JOINTS, "right": RIGHT_HAND_JOINTS}


@dataclass(frozen=True)
class Refined:
    """The unknowns after refinement and which hands they explain."""

    unknowns: Unknowns
    """One row."""
    hands: dict[str, bool]
    """Side to whether its hand was fitted to landmarks."""


def hand_landmarks(evidence: Evidence, side: str) -> Float[Tensor, "21 3"] | None:
    """Pick one hand of the evidence."""
    return evidence.left_hand if side == "left" else evidence.right_hand


def refine_body(body: SmplxBody, evidence: Evidence, start: Unknowns) -> Refined:
    """Fit hands first by themselves, then everything together against the outline."""
    unknowns, hands = _fit_hands(body, evidence, start)
    points = _landmark_points(body, evidence, hands)
    columns = _columns(points.model.layout, hands, face="face" in points.rows)
    if hands["left"] != hands["right"] and hands_joined(evidence):
        unknowns = _mirror_hand(points, unknowns, hands)
        wrist = JOINT_IDS["left_wrist" if hands["right"] else "right_wrist"]
        kept = points.model.layout.joint(wrist)
        columns = [column for column in columns if not kept.start <= column < kept.stop]
    allowed = rim_vertices(body)
    for _ in range(ROUNDS):
        posed = posed_body(body, points, unknowns)
        normals = vertex_normals(posed.vertices, body.faces)
        matches = match_rim(evidence, posed.vertices, normals, allowed)
        rim = vertex_points(matches.vertex_ids)
        grown = add_surface(points, body, "rim", rim, posed.pose_correctives)
        terms = [*_terms(body, points, evidence, hands), outline_term(evidence, matches)]
        objective = build_objective(grown, evidence, terms)
        unknowns = minimize(objective, unknowns, columns, iterations=ROUND_ITERATIONS).unknowns
    return Refined(unknowns, hands)


def posed_body(body: SmplxBody, points: FitPoints, unknowns: Unknowns) -> BodyPose:
    """Evaluate the whole body at one row of unknowns."""
    params = points.model.layout.to_params(unknowns[0])
    return body.forward(params, joint_offsets=joint_offsets(points.model, unknowns)[0])


def rim_vertices(body: SmplxBody) -> Int[Tensor, " n"]:
    """List the vertices that can form the silhouette: not eyes, teeth, tongue or fingers."""
    inner = [JOINT_IDS[name] for name in ("left_eye", "right_eye", "jaw")]
    fingers = [*LEFT_HAND_JOINTS, *RIGHT_HAND_JOINTS]
    return (body.weights[:, inner + fingers].sum(1) < 0.3).nonzero()[:, 0]


def _fit_hands(
    body: SmplxBody, evidence: Evidence, unknowns: Unknowns
) -> tuple[Unknowns, dict[str, bool]]:
    """Fit each hand by itself from several turns; drop hands whose landmarks are not explained."""
    hands = {"left": False, "right": False}
    for side in HANDS:
        if hand_landmarks(evidence, side) is not None:
            found, points = _turn_hand(body, evidence, unknowns, side)
            if hand_error_px(points, evidence, found, side) < HAND_ERROR_PX:
                unknowns, hands[side] = found, True
    return unknowns, hands


def _mirror_hand(points: FitPoints, unknowns: Unknowns, hands: dict[str, bool]) -> Unknowns:
    """Give the unseen one of two folded hands the mirror image of the other's wrist and fingers."""
    side = "left" if hands["right"] else "right"
    pose = points.model.layout.pose_of(unknowns)
    mirrored = mirror_pose(pose)
    joints = [JOINT_IDS[f"{side}_wrist"], *HANDS[side]]
    changed = pose.clone()
    changed[:, joints] = mirrored[:, joints]
    copied = unknowns.clone()
    copied[:, points.model.layout.pose] = changed.flatten(1)
    return copied


def _turn_hand(
    body: SmplxBody, evidence: Evidence, unknowns: Unknowns, side: str
) -> tuple[Unknowns, FitPoints]:
    """Turn forearm and wrist from several starts until the hand fits."""
    landmarks = hand_landmarks(evidence, side)
    points = add_hand(add_pose(joint_points(body), body), body, side)
    layout = points.model.layout
    assert landmarks is not None
    knuckles = (side != "left", side != "right")
    terms = body_terms(points, evidence, bone_sigma=LAST_BONE_SIGMA, with_knuckles=knuckles)
    terms += hand_terms(side, landmarks)
    elbow, wrist = (layout.joint(JOINT_IDS[f"{side}_{name}"]) for name in ("elbow", "wrist"))
    turns = torch.cartesian_prod(torch.tensor(FOREARM_TURNS), torch.tensor(WRIST_BENDS))
    starts = unknowns.repeat(len(turns), 1)
    starts[:, elbow.start] += turns[:, 0]
    starts[:, wrist.start + 2] += turns[:, 1] * (1.0 if side == "left" else -1.0)
    arm = [JOINT_IDS[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist")]
    columns = layout.columns(*(layout.joint(joint) for joint in [*arm, *HANDS[side]]))
    objective = build_objective(points, evidence, terms)
    solution = minimize(objective, starts, columns, iterations=15)
    best = int(torch.argmin(solution.cost))
    return solution.unknowns[best : best + 1], points


def hand_error_px(points: FitPoints, evidence: Evidence, unknowns: Unknowns, side: str) -> float:
    """Mean distance of a hand's landmarks [px]."""
    landmarks = hand_landmarks(evidence, side)
    assert landmarks is not None
    posed = pose_points(points.model, unknowns, derivatives=False)
    pixels, _ = State(unknowns, posed, points, evidence).pixels(points.rows[f"{side}_hand"])
    return float((pixels[0] - landmarks[:, :2]).norm(dim=-1).mean())


def _landmark_points(body: SmplxBody, evidence: Evidence, hands: dict[str, bool]) -> FitPoints:
    """Collect the rows that the refinement looks at."""
    points = add_pose(joint_points(body), body)
    for side, seen in hands.items():
        if seen:
            points = add_hand(points, body, side)
    mesh = body.landmarks.mediapipe_face
    if evidence.face is not None and len(mesh.ids):
        points = add_surface(points, body, "face", mesh.select(face_ids(body)))
    return points


def face_ids(body: SmplxBody) -> list[int]:
    """List the mesh points that hold the head: a third of all, without the irises."""
    known = body.landmarks.mediapipe_face.ids
    return known[known < 468][::FACE_STEP].tolist()


def _terms(
    body: SmplxBody, points: FitPoints, evidence: Evidence, hands: dict[str, bool]
) -> list[Term]:
    """Gather all landmark terms."""
    unseen = (not hands["left"], not hands["right"])
    terms = body_terms(points, evidence, bone_sigma=LAST_BONE_SIGMA, with_knuckles=unseen)
    for side, seen in hands.items():
        landmarks = hand_landmarks(evidence, side)
        if seen and landmarks is not None:
            terms += hand_terms(side, landmarks)
    if "face" in points.rows and evidence.face is not None:
        ids = face_ids(body)
        terms += face_terms(evidence.face, ids, torch.full((len(ids),), FACE_TRUST / len(ids)))
    return terms


def _columns(layout: Layout, hands: dict[str, bool], *, face: bool) -> list[int]:
    """List the unknowns that the evidence speaks of."""
    parts = [BODY_UNKNOWNS, layout.betas, layout.scales, layout.transl]
    for side, seen in hands.items():
        if seen:
            parts += [layout.joint(joint) for joint in HANDS[side]]
    if face:
        parts += [layout.joint(JOINT_IDS["jaw"]), layout.expression]
    return layout.columns(*parts)
