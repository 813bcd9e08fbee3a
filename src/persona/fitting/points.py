"""Which points of the body the fit looks at: joints, detector landmarks, face, patches of skin."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.body import BodyPose, SmplxBody
from persona.body.landmarks import POSE_JOINTS, SurfacePoints, hand_joints
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES, bone_group_matrix, depth_levels
from persona.fitting.kinematics import PointModel
from persona.fitting.parameters import Layout

JOINT_COUNT = len(JOINT_NAMES)
POSE_COUNT, HAND_COUNT = 33, 21
"""Landmarks of MediaPipe Pose and Hands."""
HABITS: Final[dict[int, tuple[str, tuple[float, float, float]]]] = {
    11: ("left_collar", (-0.012, 0.009, 0.0)),
    15: ("left_elbow", (0.011, 0.0, 0.0)),
    23: ("pelvis", (-0.004, -0.011, 0.0)),
    25: ("left_hip", (-0.011, -0.011, 0.0)),
    27: ("left_knee", (0.007, 0.013, 0.0)),
    29: ("left_ankle", (-0.010, 0.0, 0.0)),
}
"""Where MediaPipe Pose puts its landmarks beside our joints and heels, left side, in the rest pose
[m], and the joint that carries the shift. Mean misses on 15 standing photos; the right side
mirrors them. Without them the fit bends legs and shortens shins to please a habit."""


@dataclass(frozen=True)
class FitPoints:
    """A point model and what its rows are; the first 55 rows are the joints."""

    model: PointModel
    """All rows."""
    rows: dict[str, list[int]]
    """Rows by name: "pose" and hands in MediaPipe's order, "face" in the order of its ids."""


def joint_points(body: SmplxBody) -> FitPoints:
    """Begin with the 55 joints alone."""
    layout = Layout(body.shapedirs.shape[2], body.exprdirs.shape[2])
    eye = torch.eye(JOINT_COUNT)
    ancestors = eye.clone()
    parents = body.parents.clamp(min=0)
    for joint in range(1, JOINT_COUNT):
        ancestors[joint] += ancestors[parents[joint]]
    model = PointModel(
        layout=layout,
        points=body.joints_template,
        point_directions=body.joint_dirs,
        weights=eye,
        stretch=eye,
        joints=body.joints_template,
        joint_directions=body.joint_dirs,
        groups=bone_group_matrix(),
        parents=parents,
        levels=tuple(tuple(level) for level in depth_levels()),
        ancestors=ancestors,
    )
    return FitPoints(model, {})


def add_surface(
    points: FitPoints,
    body: SmplxBody,
    name: str,
    surface: SurfacePoints,
    rest_offsets: Float[Tensor, "v 3"] | None = None,
) -> FitPoints:
    """Append points on the skin.

    Args:
        points: What is there already.
        body: The whole body.
        name: Name of the new rows.
        surface: Where on the mesh they lie.
        rest_offsets: Added to the template's vertices [m], for example this pose's correctives.
    """

    def mix(values: Tensor) -> Tensor:
        shares = surface.barycentric.reshape(-1, 3, *[1] * (values.dim() - 1))
        return (values[surface.triangles] * shares).sum(1)

    model, template = points.model, body.v_template
    if rest_offsets is not None:
        template = template + rest_offsets
    directions = torch.cat([mix(body.shapedirs), mix(body.exprdirs)], -1)
    grown = replace(
        model,
        points=torch.cat([model.points, mix(template)]),
        point_directions=torch.cat([model.point_directions, directions]),
        weights=torch.cat([model.weights, mix(body.weights)]),
        stretch=torch.cat([model.stretch, mix(body.stretch)]),
    )
    added = list(range(len(model.points), len(grown.points)))
    return FitPoints(grown, points.rows | {name: added})


def add_pose(points: FitPoints, body: SmplxBody) -> FitPoints:
    """Append the 33 MediaPipe Pose landmarks as "pose", where the detector sees them."""
    grown = _add_landmarks(
        points, body, "pose", POSE_COUNT, POSE_JOINTS, body.landmarks.mediapipe_pose
    )
    model, rows = grown.model, list(grown.rows["pose"])
    old = [rows[place] for place, _, _ in _habits()]
    carriers = [JOINT_IDS[joint] for _, joint, _ in _habits()]
    shifted = replace(
        model,
        points=torch.cat([model.points, model.points[old] + _habit_shifts()]),
        point_directions=torch.cat([model.point_directions, model.point_directions[old]]),
        weights=torch.cat([model.weights, torch.eye(JOINT_COUNT)[carriers]]),
        stretch=torch.cat([model.stretch, model.stretch[old]]),
    )
    for new, (place, _, _) in enumerate(_habits(), start=len(model.points)):
        rows[place] = new
    return FitPoints(shifted, grown.rows | {"pose": rows})


def pose_landmarks(body: SmplxBody, posed: BodyPose) -> Float[Tensor, "33 3"]:
    """Find on a posed body the points that MediaPipe Pose would mark [m]."""
    marks = body.landmarks.pose33(posed.vertices, posed.joints).clone()
    for (place, joint, _), shift in zip(_habits(), _habit_shifts(), strict=True):
        marks[place] += posed.T_posed_rest[JOINT_IDS[joint], :3, :3] @ shift
    return marks


def _habits() -> list[tuple[int, str, tuple[float, float, float]]]:
    """List the habits of both sides: landmark, joint, shift [m]."""
    left = [(place, joint, shift) for place, (joint, shift) in HABITS.items()]
    right = [
        (place + 1, joint.replace("left", "right"), (-shift[0], shift[1], shift[2]))
        for place, joint, shift in left
    ]
    return left + right


def _habit_shifts() -> Float[Tensor, "n 3"]:
    return torch.tensor([shift for _, _, shift in _habits()])


def add_hand(points: FitPoints, body: SmplxBody, side: str) -> FitPoints:
    """Append the 21 MediaPipe landmarks of one hand as "left_hand" or "right_hand"."""
    marks = body.landmarks
    tips = marks.left_fingertips if side == "left" else marks.right_fingertips
    return _add_landmarks(points, body, f"{side}_hand", HAND_COUNT, hand_joints(side), tips)


def _add_landmarks(
    points: FitPoints,
    body: SmplxBody,
    name: str,
    count: int,
    from_joints: dict[int, int],
    surface: SurfacePoints,
) -> FitPoints:
    """Append the skin landmarks of a detector and list all its rows in its own order."""
    grown = add_surface(points, body, name, surface)
    row_of = dict(from_joints) | dict(zip(surface.ids.tolist(), grown.rows[name], strict=True))
    return FitPoints(grown.model, grown.rows | {name: [row_of[k] for k in range(count)]})


def vertex_points(vertex_ids: Int[Tensor, " n"]) -> SurfacePoints:
    """Take vertices themselves as surface points."""
    shares = torch.tensor([1.0, 0.0, 0.0]).expand(len(vertex_ids), 3)
    return SurfacePoints(vertex_ids, vertex_ids[:, None].expand(-1, 3), shares)
