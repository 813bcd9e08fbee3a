"""Find sparse weights that give every joint from the vertices around it, whatever the shape."""

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from open_body.anny_source import Floats, Ints
from open_body.shape_space import Samples
from persona.body.skeleton import JOINT_NAMES, MIRROR_IDS, PARENTS

MAX_CANDIDATES = 220
SUM_WEIGHT = 300.0
"""Weight of the equation that says the weights sum to one, against metres."""
BODY_REACH = 0.20
"""How far candidates may lie from a joint of the trunk [m]."""
LIMB_REACH = 0.35
"""The same for elbows, knees and what is below; a knee's height shows only in the whole leg."""
HAND_REACH = 0.035
FACE_REACH = 0.16
FIRST_FINGER = 25
OWN_SHARE = 0.02
"""Limbs' joints are read from skin that they or their parents carry at least this much."""
STILL = 1e-4
"""A vertex that no facial action moves by more than this [m] may carry joints."""
TARGET_ERROR = 1e-3
"""Above this mean error [m] non-negative weights are given up for ridge regression."""
RIDGE = 1e-4
"""Weight of the squared weights, against square metres summed over all people."""


def mirror_vertices(vertices: Floats) -> Ints:
    """Pair every vertex with its mirror image."""
    distance, partner = cKDTree(vertices).query(vertices * [-1, 1, 1])
    if distance.max() > 1e-6:
        message = f"the template is not symmetric: {distance.max():.2e} m"
        raise ValueError(message)
    return partner


def fit_regressor(
    people: Samples, weights: Floats, action_size: Floats, partner: Ints, *, seed: int
) -> Floats:
    """Fit (55, V) weights, rows summing to one, mirrored between the sides.

    Args:
        people: Calibrated people.
        weights: Skinning weights (V, 55).
        action_size: Largest move of each vertex under any facial action [m], (V,).
        partner: Mirror image of each vertex.
        seed: Which candidates are drawn where there are too many.
    """
    mean, joints = people.vertices.mean(0), people.joints.mean(0)
    rng = np.random.default_rng(seed)
    regressor = np.zeros((len(JOINT_NAMES), len(mean)))
    for joint, name in enumerate(JOINT_NAMES):
        if name.startswith("right_"):
            regressor[joint] = regressor[MIRROR_IDS[joint], partner]
            continue
        candidates = _candidates(joint, mean, joints[joint], weights, action_size)
        if not name.startswith("left_"):
            candidates = np.unique([candidates, partner[candidates]])
        if len(candidates) > MAX_CANDIDATES:
            candidates = np.sort(rng.choice(candidates, MAX_CANDIDATES, replace=False))
        found = _fit_joint(people, joint, joints[joint], candidates)
        regressor[joint, candidates] = found
        if not name.startswith("left_"):
            regressor[joint] = (regressor[joint] + regressor[joint, partner]) / 2
    return regressor


def _candidates(joint: int, mean: Floats, at: Floats, weights: Floats, action_size: Floats) -> Ints:
    name = JOINT_NAMES[joint]
    if name.endswith("eye"):
        return np.flatnonzero(weights[:, joint] > 0.5)
    own = (
        weights[:, joint] + weights[:, PARENTS[joint]] if PARENTS[joint] >= 0 else weights[:, joint]
    )
    limb = any(k in name for k in ("elbow", "wrist", "knee", "ankle", "foot"))
    reach = HAND_REACH if joint >= FIRST_FINGER else LIMB_REACH if limb else BODY_REACH
    reach = FACE_REACH if name == "jaw" else reach
    near = np.linalg.norm(mean - at, axis=1) < reach
    near &= action_size < STILL
    return np.flatnonzero(near & (own > OWN_SHARE) if limb or joint >= FIRST_FINGER else near)


def _fit_joint(people: Samples, joint: int, at: Floats, candidates: Ints) -> Floats:
    """Solve for one joint's weights: non-negative where that is exact enough, ridge elsewhere."""
    around = (people.vertices[:, candidates] - at).transpose(0, 2, 1).reshape(-1, len(candidates))
    target = (people.joints[:, joint] - at).reshape(-1)
    matrix = np.concatenate([around, np.full((1, len(candidates)), SUM_WEIGHT)])
    vector = np.concatenate([target, [SUM_WEIGHT]])
    found, _ = nnls(matrix, vector)
    found /= found.sum()
    error = np.linalg.norm((around @ found - target).reshape(-1, 3), axis=1).mean()
    if error < TARGET_ERROR:
        return found
    normal = matrix.T @ matrix + RIDGE * np.eye(len(candidates))
    found = np.linalg.solve(normal, matrix.T @ vector)
    return found / found.sum()
