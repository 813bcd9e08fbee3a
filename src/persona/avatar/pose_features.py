"""What cloth knows of a pose: turns of the joints near it, where down is, how all that moves."""

from functools import lru_cache
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.avatar.rates import BODY_JOINTS
from persona.body.skeleton import PARENTS
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_6d
from persona.records.frame_set import JointRates

HOPS: Final = 2
"""Joints farther than this along the skeleton have no say.

The paper's four fit the clips they learn from better, and unseen motions worse: docs/cloth.md."""
POSE_COUNT: Final = 6 * (BODY_JOINTS - 1) + 3
"""Six numbers for each turn below the pelvis, and the direction down."""
RATE_COUNT: Final = 3 * 3 * BODY_JOINTS + 9
"""Velocity, acceleration and swing of each joint, and of the pelvis's place."""
VELOCITY_UNIT: Final = 5.0
"""A quick turn [rad/s]; inputs of a network are about one."""
ACCELERATION_UNIT: Final = 40.0
"""The same [rad/s^2]."""
ROOT_UNITS: Final = (1.0, 6.0, 1.0)
"""The same for the pelvis's place [m/s], [m/s^2], [m/s]."""


def pose_features(
    full_pose: Float[Tensor, "t 55 3"], rates: JointRates | None
) -> Float[Tensor, "t f"]:
    """Describe poses to a network.

    Args:
        full_pose: All rotations in SMPL-X order, axis-angle [rad].
        rates: How fast they move; None describes the poses alone.

    Returns:
        `POSE_COUNT` numbers, and `RATE_COUNT` more with rates; zero for a T-pose at rest but for
        the direction down.
    """
    turns = axis_angle_to_matrix(full_pose[:, :BODY_JOINTS])
    eye = torch.eye(3, dtype=turns.dtype, device=turns.device)
    bends = matrix_to_6d(turns[:, 1:]) - matrix_to_6d(eye)
    down = -turns[:, 0, 1]  # the world's -y in the pelvis's frame: a row of the rotation
    known = [bends.flatten(1), down]
    if rates is not None:
        units = rates.root.new_tensor(ROOT_UNITS)
        known += [
            (rates.velocity / VELOCITY_UNIT).flatten(1),
            (rates.acceleration / ACCELERATION_UNIT).flatten(1),
            (rates.swing / VELOCITY_UNIT).flatten(1),
            (rates.root / units[:, None]).flatten(1),
        ]
    return torch.cat(known, 1)


def feature_joints(*, with_rates: bool) -> Int[Tensor, " f"]:
    """Name the joint that each feature belongs to."""
    joints = torch.arange(BODY_JOINTS)
    owners = [joints[1:].repeat_interleave(6), torch.zeros(3, dtype=torch.int64)]
    if with_rates:
        owners += [joints.repeat_interleave(3)] * 3 + [torch.zeros(9, dtype=torch.int64)]
    return torch.cat(owners)


def heard(node_joints: Int[Tensor, " k"], *, with_rates: bool) -> Bool[Tensor, "k f"]:
    """Say which features have a say at nodes: those of joints at most `HOPS` along the skeleton.

    Where down is and how the pelvis moves is known everywhere.
    """
    near = _hops()[node_joints.cpu()] <= HOPS
    near[:, 0] = True
    return near[:, feature_joints(with_rates=with_rates)].to(node_joints.device)


@lru_cache(maxsize=1)
def _hops() -> Int[Tensor, "55 55"]:
    """Count the bones between any two joints."""
    count = len(PARENTS)
    hops = torch.full((count, count), count)
    for joint, parent in enumerate(PARENTS):
        hops[joint, joint] = 0
        if parent >= 0:
            # Parents come first, so that their distances are known.
            hops[joint, :joint] = hops[parent, :joint] + 1
            hops[:joint, joint] = hops[joint, :joint]
    return hops
