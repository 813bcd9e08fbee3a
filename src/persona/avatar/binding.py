"""Attach Gaussians to the triangles and bones of a body."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.core.types import Faces

BONES_KEPT = 6
"""Shares kept for a Gaussian; the seventh is below 0.3 % everywhere on the open body."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Which triangle and which bones carry each Gaussian; rows belong together."""

    face_ids: Int[Tensor, " n"]
    """Triangle of the base mesh; -1 for a Gaussian of a shell (hair, a hem's web)."""
    barycentric: Float[Tensor, "n 3"]
    """Place on that triangle, rows sum to 1; zero on shells."""
    bone_ids: Int[Tensor, "n k"]
    """Bones, in SMPL-X joint order."""
    bone_weights: Float[Tensor, "n k"]
    """Their shares, rows sum to 1."""
    weight_gradients: Float[Tensor, "n k 3"]
    """Change of each share along the rest surface [1/m]."""


def bind_to_triangles(
    face_ids: Int[Tensor, " n"],
    barycentric: Float[Tensor, "n 3"],
    *,
    faces: Faces,
    rest_vertices: Float[Tensor, "v 3"],
    vertex_weights: Float[Tensor, "v j"],
) -> Binding:
    """Read skinning weights, and how they change along the surface, at points of a mesh.

    Weights are linear on a triangle. Their gradient is constant there, and is averaged to the
    vertices before it is read, so that neighbours stretch alike.
    """
    corners = faces[face_ids]
    dense = torch.einsum("nc,ncj->nj", barycentric, vertex_weights[corners])
    weights, bone_ids = dense.topk(BONES_KEPT, dim=1)
    weights = weights / weights.sum(1, keepdim=True)
    vertex_gradients = _vertex_weight_gradients(faces, rest_vertices, vertex_weights)
    by_corner = torch.stack(
        [
            vertex_gradients[corners[:, c]].gather(1, bone_ids[..., None].expand(-1, -1, 3))
            for c in range(3)
        ],
        1,
    )
    gradients = torch.einsum("nc,nckd->nkd", barycentric, by_corner)
    # Shares that sum to one have gradients that sum to zero; cutting the tail must not break that.
    gradients = gradients - weights[..., None] * gradients.sum(1, keepdim=True)
    return Binding(
        face_ids=face_ids,
        barycentric=barycentric,
        bone_ids=bone_ids,
        bone_weights=weights,
        weight_gradients=gradients,
    )


def detach_from_mesh(binding: Binding) -> Binding:
    """Keep bones and stretch of a binding to a shell, which is no part of the body's mesh."""
    return replace(
        binding,
        face_ids=torch.full_like(binding.face_ids, -1),
        barycentric=torch.zeros_like(binding.barycentric),
    )


def bind_to_bones(weights: Float[Tensor, "n j"]) -> Binding:
    """Bind free Gaussians to bones by given shares."""
    count = weights.shape[0]
    kept, bone_ids = weights.topk(BONES_KEPT, dim=1)
    return Binding(
        face_ids=torch.full((count,), -1, dtype=torch.int64),
        barycentric=torch.zeros(count, 3),
        bone_ids=bone_ids,
        bone_weights=kept / kept.sum(1, keepdim=True),
        weight_gradients=torch.zeros(count, BONES_KEPT, 3),
    )


def join_bindings(first: Binding, second: Binding) -> Binding:
    """Put the rows of one binding behind the other's."""
    return Binding(
        face_ids=torch.cat([first.face_ids, second.face_ids]),
        barycentric=torch.cat([first.barycentric, second.barycentric]),
        bone_ids=torch.cat([first.bone_ids, second.bone_ids]),
        bone_weights=torch.cat([first.bone_weights, second.bone_weights]),
        weight_gradients=torch.cat([first.weight_gradients, second.weight_gradients]),
    )


def carry(binding: Binding, faces: Faces, values: Float[Tensor, "v c"]) -> Float[Tensor, "n c"]:
    """Read per-vertex values at the Gaussians; zero on shells."""
    on_mesh = binding.face_ids >= 0
    corners = faces[binding.face_ids.clamp(min=0)]
    read = (values[corners] * binding.barycentric[..., None]).sum(1)
    return torch.where(on_mesh[:, None], read, torch.zeros_like(read))


def _vertex_weight_gradients(
    faces: Faces, rest_vertices: Float[Tensor, "v 3"], weights: Float[Tensor, "v j"]
) -> Float[Tensor, "v j 3"]:
    """Average the per-triangle surface gradients of all shares to the vertices, by area."""
    a, b, c = (rest_vertices[faces[:, i]] for i in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    double_area = normal.norm(dim=1, keepdim=True).clamp(min=1e-12)
    unit = normal / double_area
    # Times double area, the gradient of corner i's hat function is normal x opposite edge.
    hats = torch.stack([torch.linalg.cross(unit, edge) for edge in (c - b, a - c, b - a)], 1)
    gradients = torch.zeros(rest_vertices.shape[0], weights.shape[1], 3)
    areas = torch.zeros(rest_vertices.shape[0], 1, 1)
    for chunk in torch.arange(faces.shape[0]).split(4096):
        corners = faces[chunk]
        by_face = torch.einsum("fcj,fcd->fjd", weights[corners], hats[chunk])
        for i in range(3):
            gradients.index_add_(0, corners[:, i], by_face)
            areas.index_add_(0, corners[:, i], double_area[chunk][..., None])
    return gradients / areas.clamp(min=1e-12)
