"""Fit SMPL-X's posedirs so that skinned skin looks like the elastic sheet in every pose."""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from open_body.anny_source import Floats, Ints
from open_body.elastic import Sheet
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES, MIRROR_IDS, PARENTS

log = logging.getLogger("build_open_body")

RANGES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "hip": ((-115, -30, -35), (30, 30, 45)),
    "knee": ((-5, -10, -5), (140, 10, 5)),
    "ankle": ((-35, -15, -15), (45, 15, 15)),
    "foot": ((-35, 0, 0), (30, 0, 0)),
    "spine": ((-20, -25, -20), (35, 25, 20)),
    "neck": ((-25, -35, -25), (35, 35, 25)),
    "head": ((-25, -35, -25), (35, 35, 25)),
    "collar": ((-10, -20, -15), (10, 20, 35)),
    "shoulder": ((-45, -95, -85), (45, 50, 85)),
    "elbow": ((-40, -145, -10), (40, 5, 10)),
    "wrist": ((-30, -30, -75), (30, 30, 75)),
}
"""Poses from which each joint's correctives are learned [deg], left side."""
POSES_PER_JOINT = 28
COLLAR_FOLLOWS = 0.35
"""How far the collar rises with the shoulder [of the shoulder's angle], as people's do."""
RIDGE = 0.015
"""Weight of the squared directions against squared metres over all poses."""
SMALLEST = 2.5e-4
"""Offsets per unit of rotation below this [m] are dropped: they cost file and change nothing."""
FLESH = 0.4
"""Pull of the bones on skin between them, where there is much flesh."""
ARMPIT = 0.008
"""The same at the shoulder, where there is a hollow."""
RAISED = (-30.0, 30.0)
"""Angles of the arm against the horizontal between which the elastic target takes over [deg]."""
ELASTIC_BELOW = 0.25
"""Share of the elastic target for a hanging arm."""
REACH_SHARE = 0.5
"""Skin of which the bones around a joint carry less than this feels it in proportion."""
PATCH_SHARE = 0.02


@dataclass(frozen=True)
class Rig:
    """What skinning needs, in the source's order of vertices."""

    vertices: Floats
    joints: Floats
    weights: Floats
    faces: Ints


def fit_posedirs(rig: Rig, partner: Ints, still: Floats, *, seed: int) -> Floats:
    """Fit (V, 3, 486) directions; right sides are mirror images of left ones.

    Args:
        rig: Mean person.
        partner: Mirror image of each vertex.
        still: Flags of vertices that no pose corrects: eyes, mouth, teeth.
        seed: Draws the poses.
    """
    directions = np.zeros((len(rig.vertices), 3, len(JOINT_NAMES), 9))
    rng = np.random.default_rng(seed)
    flip = np.array([-1.0, 1.0, 1.0])
    for joint in range(1, 22):
        name = JOINT_NAMES[joint]
        if name.startswith("right_"):
            continue
        found = _fit_joint(rig, joint, directions, rng)
        found[still] = 0
        mirrored = found[partner] * flip[:, None] * np.outer(flip, flip).ravel()
        if name.startswith("left_"):
            directions[:, :, joint] = found
            directions[:, :, MIRROR_IDS[joint]] = mirrored
        else:
            directions[:, :, joint] = (found + mirrored) / 2
    faint = np.abs(directions).max((1, 3)) < SMALLEST
    directions *= ~faint[:, None, :, None]
    return directions[:, :, 1:].reshape(len(rig.vertices), 3, -1)


def _fit_joint(rig: Rig, joint: int, known: Floats, rng: np.random.Generator) -> Floats:
    """Fit one joint's directions (V, 3, 9) to what elastic targets ask beyond the known ones."""
    family = _family(joint)
    carried = rig.weights[:, family].sum(1)
    patch = np.flatnonzero(carried > PATCH_SHARE)
    inside = np.zeros(len(rig.vertices), bool)
    inside[patch] = True
    faces = rig.faces[inside[rig.faces].all(1)]
    patch = np.unique(faces)
    number = np.zeros(len(rig.vertices), np.int64)
    number[patch] = np.arange(len(patch))
    sheet = Sheet.of(rig.vertices[patch], number[faces])
    features, offsets = [], []
    for pose in _poses(joint, rng):
        transforms, rotations = chain(rig.joints, pose)
        skinned, linear = skin(rig.vertices[patch], rig.weights[patch], transforms)
        target = _target(rig, joint, patch, sheet, pose, transforms, skinned)
        wanted = np.linalg.solve(linear, (target - skinned)[..., None])[..., 0]
        turned = (rotations - np.eye(3)).reshape(-1, 9)
        offsets.append(wanted - np.einsum("vdjk,jk->vd", known[patch], turned))
        features.append((rotations[joint] - np.eye(3)).ravel())
    x, y = np.stack(features), np.stack(offsets).reshape(len(features), -1)
    found = np.linalg.solve(x.T @ x + RIDGE * np.eye(9), x.T @ y)
    rest = np.sqrt(((y - x @ found) ** 2).mean())
    size = np.sqrt((y**2).mean())
    log.info("%s: correctives %.1f mm, %.1f left", JOINT_NAMES[joint], size * 1e3, rest * 1e3)
    full = np.zeros((len(rig.vertices), 3, 9))
    fade = np.clip(carried[patch] / REACH_SHARE, 0, 1) ** 2
    full[patch] = found.reshape(9, len(patch), 3).transpose(1, 2, 0) * fade[:, None, None]
    return full


def _target(
    rig: Rig,
    joint: int,
    patch: Ints,
    sheet: Sheet,
    pose: Floats,
    transforms: Floats,
    skinned: Floats,
) -> Floats:
    """Say where the skin of a patch should be.

    Dual quaternions keep the flesh of knees and buttocks but blow up armpits; there the sheet
    starts from linear skinning, and below the horizontal linear skinning is already right.
    """
    shares = _strongest(rig.weights[patch], pose)
    if JOINT_NAMES[joint] not in ("left_shoulder", "left_collar"):
        guess = skin_by_quaternions(rig.vertices[patch], rig.weights[patch], transforms)
        return sheet.stretch(guess, shares, give=FLESH)
    target = sheet.stretch(skinned, shares, give=ARMPIT)
    raised = (np.degrees(pose[joint, 2]) - RAISED[0]) / (RAISED[1] - RAISED[0])
    share = ELASTIC_BELOW + (1 - ELASTIC_BELOW) * np.clip(raised, 0, 1)
    return share * target + (1 - share) * skinned


def _family(joint: int) -> list[int]:
    """Joints whose skin a joint's turn can stretch: itself, its parent, children, and siblings."""
    parent = PARENTS[joint]
    near = {joint, parent}
    near |= {other for other, above in enumerate(PARENTS) if above in (joint, parent)}
    if "shoulder" in JOINT_NAMES[joint]:
        near |= {JOINT_IDS[name] for name in ("spine3", "spine2", "neck")}
    if JOINT_NAMES[joint].startswith("left_"):
        near = {other for other in near if not JOINT_NAMES[other].startswith("right_")}
    return sorted(other for other in near if other >= 0)


def _strongest(weights: Floats, pose: Floats) -> Floats:
    """Give the share of the strongest group of bones that move as one in this pose."""
    group = np.zeros(len(PARENTS), np.int64)
    for joint, parent in enumerate(PARENTS):
        turns = np.abs(pose[joint]).sum() > 0
        group[joint] = joint if turns or parent < 0 else group[parent]
    shares = [weights[:, group == g].sum(1) for g in np.unique(group)]
    return np.max(shares, axis=0)


def _poses(joint: int, rng: np.random.Generator) -> list[Floats]:
    """Draw poses of one joint: half of them about a single axis, half anywhere in the range."""
    kind = JOINT_NAMES[joint].removeprefix("left_").rstrip("123")
    low, high = (np.array(side, float) for side in RANGES[kind])
    poses = []
    for number in range(POSES_PER_JOINT):
        angles = low + rng.random(3) * (high - low)
        if number % 2:
            axis = int(np.argmax(high - low)) if number % 4 == 1 else int(rng.integers(3))
            angles = angles * (np.arange(3) == axis)
        pose = np.zeros((len(PARENTS), 3))
        pose[joint] = np.radians(angles)
        if kind == "shoulder" and angles[2] > 0:
            pose[PARENTS[joint], 2] = COLLAR_FOLLOWS * np.radians(angles[2])
        poses.append(pose)
    return poses


def chain(joints: Floats, pose: Floats) -> tuple[Floats, Floats]:
    """Give rest-to-posed transforms (55, 4, 4) and local rotations (55, 3, 3)."""
    rotations = Rotation.from_rotvec(pose).as_matrix()
    world = np.zeros((len(PARENTS), 4, 4))
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world[joint] = local if parent < 0 else world[parent] @ local
    world[:, :3, 3] -= np.einsum("jab,jb->ja", world[:, :3, :3], joints)
    return world, rotations


def skin(vertices: Floats, weights: Floats, transforms: Floats) -> tuple[Floats, Floats]:
    """Skin linearly; also give the blended linear parts (n, 3, 3)."""
    mixed = (weights @ transforms.reshape(-1, 16)).reshape(-1, 4, 4)
    linear = mixed[:, :3, :3]
    return np.einsum("vij,vj->vi", linear, vertices) + mixed[:, :3, 3], linear


def skin_by_quaternions(vertices: Floats, weights: Floats, transforms: Floats) -> Floats:
    """Skin by dual quaternions, which keep volume where linear skinning loses it.

    References:
        Kavan et al., "Geometric skinning with approximate dual quaternion blending", 2008.
    """
    quats = Rotation.from_matrix(transforms[:, :3, :3]).as_quat()[:, [3, 0, 1, 2]]
    w, x, y, z = quats.T
    t = transforms[:, :3, 3]
    dual = 0.5 * np.stack(
        [
            -t[:, 0] * x - t[:, 1] * y - t[:, 2] * z,
            t[:, 0] * w + t[:, 1] * z - t[:, 2] * y,
            -t[:, 0] * z + t[:, 1] * w + t[:, 2] * x,
            t[:, 0] * y - t[:, 1] * x + t[:, 2] * w,
        ],
        1,
    )
    side = np.where(quats[weights.argmax(1)] @ quats.T < 0, -1.0, 1.0)
    real, dual = (weights * side) @ quats, (weights * side) @ dual
    length = np.linalg.norm(real, axis=1, keepdims=True)
    real, dual = real / length, dual / length
    turned = Rotation.from_quat(real[:, [1, 2, 3, 0]]).apply(vertices)
    scalar, vector = real[:, :1], real[:, 1:]
    shift = 2 * (scalar * dual[:, 1:] - dual[:, :1] * vector + np.cross(vector, dual[:, 1:]))
    return turned + shift
