"""Convert between axis-angles, matrices, quaternions and 6D, with finite gradients everywhere."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.types import AxisAngles, Quaternions, Rotations

SMALL_ANGLE_SQUARED = 1e-6
"""Below this squared angle [rad^2] Taylor series are exact in float32."""


def axis_angle_to_matrix(axis_angle: AxisAngles) -> Rotations:
    """Turn axis-angles into rotation matrices by Rodrigues' formula.

    ``R = I + a K + b K K`` with ``a = sin t / t`` and ``b = (1 - cos t) / t^2``; both are replaced
    by their series near zero, so that value and gradient stay finite at every rotation.
    """
    square = (axis_angle * axis_angle).sum(-1)
    small = square < SMALL_ANGLE_SQUARED
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    a = torch.where(small, 1 - square / 6, angle.sin() / angle)
    b = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)
    cross = skew(axis_angle)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + a[..., None, None] * cross + b[..., None, None] * (cross @ cross)


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Give the matrix whose product with x is the cross product ``vector x x``."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    return rows.reshape(*vector.shape[:-1], 3, 3)


def quaternion_to_matrix(quats_wxyz: Quaternions) -> Rotations:
    """Turn quaternions of any length but zero into rotation matrices."""
    w, x, y, z = torch.nn.functional.normalize(quats_wxyz, dim=-1).unbind(-1)
    rows = torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * z + w * y),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (y * z - w * x),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
            1 - 2 * (x * x + y * y),
        ],
        -1,
    )
    return rows.reshape(*quats_wxyz.shape[:-1], 3, 3)


def matrix_to_quaternion(rotation: Rotations) -> Quaternions:
    """Turn rotation matrices into unit quaternions with w >= 0.

    The largest of the four components is found first and divides the others (Shepperd 1978), so
    that no angle loses precision.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack(
        [1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1
    )
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    table = torch.stack(
        [
            torch.stack([squares[..., 0], a, b, c], -1),
            torch.stack([a, squares[..., 1], d, e], -1),
            torch.stack([b, d, squares[..., 2], f], -1),
            torch.stack([c, e, f, squares[..., 3]], -1),
        ],
        -2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quats = torch.nn.functional.normalize(table.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quats[..., :1] < 0, -quats, quats)


def quaternion_to_axis_angle(quats_wxyz: Quaternions) -> AxisAngles:
    """Turn unit quaternions into axis-angles of at most pi."""
    quats = torch.where(quats_wxyz[..., :1] < 0, -quats_wxyz, quats_wxyz)
    w, v = quats[..., 0], quats[..., 1:]
    square = (v * v).sum(-1)
    small = square < SMALL_ANGLE_SQUARED
    length = torch.where(small, torch.ones_like(square), square).sqrt()
    factor = torch.where(small, 2.0 + square / 3.0, 2.0 * torch.atan2(length, w) / length)
    return factor[..., None] * v


def axis_angle_to_quaternion(axis_angle: AxisAngles) -> Quaternions:
    """Turn axis-angles into unit quaternions."""
    square = (axis_angle * axis_angle).sum(-1)
    small = square < SMALL_ANGLE_SQUARED
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    factor = torch.where(small, 0.5 - square / 48, (angle / 2).sin() / angle)
    w = torch.where(small, 1 - square / 8, (angle / 2).cos())
    return torch.cat([w[..., None], factor[..., None] * axis_angle], -1)


def matrix_to_axis_angle(rotation: Rotations) -> AxisAngles:
    """Turn rotation matrices into axis-angles of at most pi."""
    return quaternion_to_axis_angle(matrix_to_quaternion(rotation))


def multiply_quaternions(left: Quaternions, right: Quaternions) -> Quaternions:
    """Compose rotations: first ``right``, then ``left``."""
    a, b = left[..., :1], left[..., 1:]
    c, d = right[..., :1], right[..., 1:]
    scalar = a * c - (b * d).sum(-1, keepdim=True)
    return torch.cat([scalar, a * d + c * b + torch.linalg.cross(b, d, dim=-1)], -1)


def slerp(start: Quaternions, end: Quaternions, share: Float[Tensor, "*batch"]) -> Quaternions:
    """Go ``share`` of the shorter way from start to end at constant speed (Shoemake 1985)."""
    cosine = (start * end).sum(-1, keepdim=True)
    end = torch.where(cosine < 0, -end, end)
    cosine = cosine.abs().clamp(max=1.0)
    angle = torch.acos(cosine)
    sine = angle.sin()
    near = sine < SMALL_ANGLE_SQUARED**0.5
    safe = torch.where(near, torch.ones_like(sine), sine)
    part = share[..., None]
    first = torch.where(near, 1 - part, ((1 - part) * angle).sin() / safe)
    second = torch.where(near, part, (part * angle).sin() / safe)
    return torch.nn.functional.normalize(first * start + second * end, dim=-1)


def matrix_to_6d(rotation: Rotations) -> Float[Tensor, "*batch 6"]:
    """Keep the first two rows (Zhou et al., CVPR 2019)."""
    return rotation[..., :2, :].reshape(*rotation.shape[:-2], 6)


def rotation_between(start: Float[Tensor, "*batch 3"], end: Float[Tensor, "*batch 3"]) -> Rotations:
    """Give the smallest rotation that takes the direction ``start`` to ``end``.

    Undefined for opposite directions, where any perpendicular axis would do.
    """
    a = torch.nn.functional.normalize(start, dim=-1)
    b = torch.nn.functional.normalize(end, dim=-1)
    cross = skew(torch.linalg.cross(a, b, dim=-1))
    cosine = (a * b).sum(-1)[..., None, None]
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    return eye + cross + cross @ cross / (1 + cosine)
