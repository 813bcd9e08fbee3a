"""Masks, depth, normals and part maps drawn from a triangle mesh, without gradients."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.core.checks import check_shape
from persona.core.types import Faces
from persona.geometry.cameras import Camera
from persona.kernels.dispatch import Backend
from persona.kernels.mesh import rasterize_mesh

NO_PART = -1
"""Part id of pixels that show no body."""
VISIBILITY_TOLERANCE = 0.01
"""How far behind the drawn surface a vertex may lie and still count as seen [m]."""


@dataclass(frozen=True, kw_only=True)
class BodyMaps:
    """What a camera sees of a mesh, pixel by pixel."""

    mask: Bool[Tensor, "h w"]
    """Whether the pixel's centre shows the mesh."""
    depth: Float[Tensor, "h w"]
    """Along the camera's z [m]; 0 outside the mask."""
    normal: Float[Tensor, "h w 3"]
    """Unit, camera frame, interpolated from the vertices; 0 outside the mask."""
    face_ids: Int[Tensor, "h w"]
    """Triangle; -1 outside the mask."""
    barycentric: Float[Tensor, "h w 3"]
    """Where on the triangle; 0 outside the mask."""

    def gather(self, faces: Faces, vertex_values: Float[Tensor, "v c"]) -> Float[Tensor, "h w c"]:
        """Interpolate values of the vertices over the picture; 0 outside the mask."""
        return _interpolate(self.face_ids, self.barycentric, faces, vertex_values)

    def parts(self, face_parts: Int[Tensor, " f"]) -> Int[Tensor, "h w"]:
        """Give the part id of every pixel, `NO_PART` outside the mask."""
        ids = face_parts[self.face_ids.clamp_min(0).long()]
        return torch.where(self.mask, ids, torch.full_like(ids, NO_PART))


def draw_body_maps(
    vertices: Float[Tensor, "v 3"],
    faces: Faces,
    camera: Camera,
    *,
    backend: Backend | None = None,
    threads: int | None = None,
) -> BodyMaps:
    """Draw a mesh as a camera sees it.

    Args:
        vertices: Positions [m], world frame.
        faces: Triangles, counter-clockwise seen from outside; both sides are drawn.
        camera: Who looks.
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads to use; None takes torch's number.

    Raises:
        InputError: Shapes or ids do not fit, or a vertex is not finite.
    """
    check_shape("vertices", vertices, (None, 3))
    vertices = vertices.detach()
    in_camera = camera.to_camera(vertices)
    depth = in_camera[:, 2]
    # Triangles at the camera are left out whole, so any finite place will do for their corners.
    safe = torch.where(depth > 0, depth, torch.ones_like(depth))
    pixels = camera.focal_px * in_camera[:, :2] / safe[:, None]
    pixels = pixels + torch.tensor(camera.center_px, dtype=pixels.dtype, device=pixels.device)
    face_ids, barycentric, depth_map = rasterize_mesh(
        pixels,
        depth,
        faces,
        width=camera.width,
        height=camera.height,
        backend=backend,
        threads=threads,
    )
    normals = vertex_normals(in_camera, faces)
    normal = _interpolate(face_ids, barycentric, faces, normals)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    return BodyMaps(
        mask=face_ids >= 0,
        depth=depth_map,
        normal=normal,
        face_ids=face_ids,
        barycentric=barycentric,
    )


def _interpolate(
    face_ids: Tensor, barycentric: Tensor, faces: Tensor, vertex_values: Tensor
) -> Tensor:
    # Only where there is mesh: a person fills a fifth of the picture.
    where = (face_ids.flatten() >= 0).nonzero().squeeze(1)
    corners = faces[face_ids.flatten()[where].long()].long()
    weights = barycentric.reshape(-1, 3)[where]
    mixed = weights[:, :1] * vertex_values[corners[:, 0]]
    for corner in (1, 2):
        weight = weights[:, corner : corner + 1]
        mixed = mixed + weight * vertex_values[corners[:, corner]]
    picture = vertex_values.new_zeros(face_ids.numel(), vertex_values.shape[1])
    picture[where] = mixed
    return picture.reshape(*face_ids.shape, -1)


def vertex_normals(vertices: Float[Tensor, "v 3"], faces: Faces) -> Float[Tensor, "v 3"]:
    """Give unit normals of the vertices: the area-weighted mean of their triangles'."""
    faces = faces.long()
    a, b, c = vertices[faces].unbind(1)
    of_faces = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals.index_add_(0, faces[:, corner], of_faces)
    return torch.nn.functional.normalize(normals, dim=-1)


def visible_points(
    points: Float[Tensor, "n 3"],
    maps: BodyMaps,
    camera: Camera,
    *,
    tolerance: float = VISIBILITY_TOLERANCE,
) -> Bool[Tensor, " n"]:
    """Tell which points lie in the picture and not behind the drawn mesh.

    A point counts as seen when it lies at most ``tolerance`` [m] behind the farthest of the four
    nearest pixels' surfaces; pixels without mesh hide nothing.
    """
    pixels, depth = camera.project(points.detach())
    inside = (depth > 0) & (pixels >= 0).all(1)
    inside &= (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    far = torch.where(maps.mask, maps.depth, torch.full_like(maps.depth, float("inf")))
    corner = torch.where(inside[:, None], pixels - 0.5, torch.zeros_like(pixels)).floor().long()
    limit = torch.zeros_like(depth)
    for dy in (0, 1):
        for dx in (0, 1):
            x = (corner[:, 0] + dx).clamp(0, camera.width - 1)
            y = (corner[:, 1] + dy).clamp(0, camera.height - 1)
            limit = torch.maximum(limit, far[y, x])
    return inside & (depth <= limit + tolerance)
