"""Take trained Gaussians from the photo's pose back to the rest pose."""

import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.binding import carry
from persona.avatar.posing import CanonicalGaussians, skinning_maps
from persona.body import SmplxBody
from persona.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix
from persona.optimization.clothing import DressedBody
from persona.optimization.cloud import PhotoCloud

MIN_DETERMINANT = 0.05
"""A surface squeezed below this share of its area in the photo's pose is not inverted [-]."""


NARROWEST, WIDEST = 0.35, 1.3
"""Bounds of the in-plane deviations over the gap to the neighbours at rest: no holes, no spikes."""


def neighbor_gap(
    means: Float[Tensor, "n 3"], inner: Bool[Tensor, " n"] | None = None
) -> Float[Tensor, " n"]:
    """Measure the mean distance to the six nearest neighbours [m], skin inside clothes apart."""
    apart = torch.zeros(len(means)) if inner is None else inner.float()
    place = torch.cat([means, apart[:, None]], 1).numpy()
    distance, _ = cKDTree(place).query(place, 7)
    return torch.from_numpy(distance[:, 1:].mean(1)).float()


def to_rest(cloud: PhotoCloud, dressed: DressedBody, body: SmplxBody) -> CanonicalGaussians:
    """Undo skinning, expression and correctives of the photo.

    Posing the result as in the photo gives the trained cloud again, up to surfaces that the
    photo's pose squeezes flat.
    """
    linear, shift, deformation = skinning_maps(cloud.rest_means, cloud.binding, dressed.bones)
    rest = torch.linalg.solve(linear, (cloud.means - shift)[..., None])[..., 0]
    rest = rest - carry(cloud.binding, body.faces, dressed.expression)
    axes = quaternion_to_matrix(cloud.quats_wxyz)
    scales = cloud.log_scales.exp()
    squeezed = torch.linalg.det(deformation) < MIN_DETERMINANT
    deformation = torch.where(squeezed[:, None, None], linear, deformation)
    tangents = torch.linalg.solve(deformation, axes[..., :2] * scales[:, None, :2])
    u, s, _ = torch.linalg.svd(tangents, full_matrices=True)
    normal = torch.linalg.cross(u[..., 0], u[..., 1])
    was_normal = torch.linalg.solve(deformation, axes[..., 2:])[..., 0]
    flip = torch.where((normal * was_normal).sum(1) < 0, -1.0, 1.0)[:, None]
    second = u[..., 1] * flip
    frame = torch.stack([u[..., 0], second, normal * flip], -1)
    gap = neighbor_gap(rest, cloud.inner)[:, None]
    within = torch.maximum(torch.minimum(s, WIDEST * gap), NARROWEST * gap)
    return CanonicalGaussians(
        means=rest,
        quats_wxyz=matrix_to_quaternion(frame),
        log_scales=torch.cat([within, scales[:, 2:]], 1).log(),
        opacities=torch.ones(len(rest)),
        colors=torch.zeros(len(rest), 3),
    )
