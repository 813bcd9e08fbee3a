"""First poses of all frames: closed-form kinematics from landmarks in space, placed by size."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body import SmplxBody
from persona.fitting.initialize import solve_pose
from persona.geometry.rotations import axis_angle_to_matrix
from persona.tracking.evidence import ClipEvidence
from persona.tracking.rig import JOINTS, LANDMARKS, Pose, Rig, pose_rig

TRUNK_AND_LEGS = (11, 12, 23, 24, 25, 26, 27, 28)
"""Landmarks by whose spread the distance is guessed."""


def guess_poses(body: SmplxBody, rig: Rig, evidence: ClipEvidence) -> Pose:
    """Bend the rig as the landmarks in space are, and put it where it looks as large as they do.

    Frames without the person take the pose of the nearest frame with them.
    """
    seen = evidence.trust.sum(-1) > 0
    frames = torch.arange(len(seen))
    known = frames[seen]
    nearest = known[(frames[:, None] - known[None]).abs().argmin(1)]
    angles = solve_pose(body.joints_template, evidence.world[nearest].float())[:, :JOINTS].double()
    turns = axis_angle_to_matrix(angles)
    posed = pose_rig(rig, Pose(turns, torch.zeros(len(turns), 3).double()))
    return Pose(turns, _place(posed.points[:, LANDMARKS], evidence.pick(nearest)))


def _place(points: Float[Tensor, "t 33 3"], evidence: ClipEvidence) -> Float[Tensor, "t 3"]:
    """Find the shift at which points look as large and as high as the landmarks."""
    places, scene = list(TRUNK_AND_LEGS), evidence.scene
    local = (points @ scene.turn.mT)[:, places]
    flat = local[..., :2] * points.new_tensor([1.0, -1.0])
    target = evidence.body[:, places] - points.new_tensor(scene.center_px)
    trust = evidence.trust[:, places, None] + 1e-3
    trust = trust / trust.sum(1, keepdim=True)
    middle, goal = (flat * trust).sum(1), (target * trust).sum(1)
    size = (trust * (flat - middle[:, None]).square()).sum((1, 2)).sqrt()
    seen = (trust * (target - goal[:, None]).square()).sum((1, 2)).sqrt().clamp(min=1.0)
    away = scene.focal_px * size / seen
    shift = goal * away[:, None] / scene.focal_px - middle
    depth = -away - (local[..., 2:] * trust).sum(1)[:, 0]
    in_camera = torch.stack([shift[:, 0], -shift[:, 1], depth], 1)
    return (in_camera[:, None] @ scene.turn)[:, 0]
