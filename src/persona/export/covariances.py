"""Covariances as the standard deviations and rotations that splat files hold, and back."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix


def split_covariances(
    covariances: Float[Tensor, "n 6"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 4"]]:
    """Give standard deviations [m] and the rotation (wxyz) whose columns are the axes."""
    xx, xy, xz, yy, yz, zz = covariances.double().unbind(-1)
    matrix = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).reshape(-1, 3, 3)
    variances, axes = torch.linalg.eigh(matrix)
    # Eigenvectors come with any sign; a rotation must not mirror.
    axes[..., 0] *= torch.linalg.det(axes).sign()[:, None]
    scales = variances.clamp(min=0.0).sqrt()
    return scales.to(covariances), matrix_to_quaternion(axes).to(covariances)


def join_covariances(
    scales: Float[Tensor, "n 3"], quats_wxyz: Float[Tensor, "n 4"]
) -> Float[Tensor, "n 6"]:
    """Give xx, xy, xz, yy, yz, zz [m^2] of standard deviations [m] along rotated axes."""
    factors = quaternion_to_matrix(quats_wxyz) * scales[:, None]
    x, y, z = factors.unbind(1)
    return torch.stack(
        [(a * b).sum(1) for a, b in ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z))], 1
    )
