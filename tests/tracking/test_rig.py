"""The fast rig poses as the body does, and its slopes are those of its points."""

from dataclasses import replace

import torch

from persona.fitting.points import pose_landmarks
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import rest_params
from persona.tracking.rig import (
    JOINTS,
    LANDMARKS,
    UNKNOWNS,
    Pose,
    identity_from,
    point_slopes,
    pose_rig,
    rig_of,
    rig_slopes,
    shape_size,
    shape_slopes,
)
from persona.tracking.solve import turned


def random_pose(count, seed=0, size=0.5):
    draw = torch.Generator().manual_seed(seed)
    angles = size * torch.randn(count, JOINTS, 3, generator=draw, dtype=torch.float64)
    shift = torch.randn(count, 3, generator=draw, dtype=torch.float64)
    return Pose(axis_angle_to_matrix(angles), shift), angles


def test_joints_and_landmarks_are_the_body_models(body):
    shape = 0.5 * torch.randn(shape_size(body), generator=torch.Generator().manual_seed(1)).double()
    shape[-7:] *= 0.2
    identity = identity_from(body, shape)
    pose, angles = random_pose(1)
    posed = pose_rig(rig_of(body, identity), pose)
    full = torch.zeros(55, 3)
    full[:JOINTS] = angles[0].float()
    params = replace(rest_params().with_full_pose(full), betas=identity.betas)
    params = replace(params, transl=pose.shift[0].float())
    twin = body.forward(params, joint_offsets=identity.joint_offsets, with_pose_correctives=False)
    torch.testing.assert_close(posed.centers[0].float(), twin.joints[:JOINTS], atol=1e-5, rtol=0)
    miss = (posed.points[0, LANDMARKS].float() - pose_landmarks(body, twin)).norm(dim=-1)
    # Skin that two bones share is held by one here: heels and toes, by millimetres.
    assert float(miss.max()) < 0.02
    assert float(miss.median()) < 1e-4


def test_slopes_are_differences(body):
    rig = rig_of(body, identity_from(body, torch.zeros(shape_size(body)).double()))
    pose, _ = random_pose(2)
    slopes = point_slopes(pose_rig(rig, pose))
    step = 1e-6
    for k in (0, 4, 3 * 4, 3 * 13 + 2, 3 * 18 + 1, UNKNOWNS - 1):
        nudge = torch.zeros(2, UNKNOWNS, dtype=torch.float64)
        nudge[:, k] = step
        ahead = pose_rig(rig, turned(pose, nudge)).points
        behind = pose_rig(rig, turned(pose, -nudge)).points
        torch.testing.assert_close(
            slopes[..., k], (ahead - behind) / (2 * step), atol=1e-6, rtol=1e-6
        )


def test_shape_slopes_are_differences(body):
    shape = torch.zeros(shape_size(body), dtype=torch.float64)
    rig, slopes = rig_slopes(body, shape)
    pose, _ = random_pose(1, seed=3)
    moved = shape_slopes(slopes, pose_rig(rig, pose))
    for k in (0, 1, len(shape) - 7, len(shape) - 1):
        nudge = torch.zeros_like(shape)
        nudge[k] = 0.02
        ahead = pose_rig(rig_of(body, identity_from(body, shape + nudge)), pose).points
        behind = pose_rig(rig_of(body, identity_from(body, shape - nudge)), pose).points
        # Single precision of the body model divided by the step.
        # Soles are left out.
        difference = ((ahead - behind) / 0.04)[:, LANDMARKS]
        torch.testing.assert_close(moved[:, LANDMARKS, :, k], difference, atol=5e-3, rtol=0)
