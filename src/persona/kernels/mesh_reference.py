"""Find the nearest triangle of every pixel in numpy, one triangle at a time: the specification."""

import numpy as np
import torch
from torch import Tensor


def rasterize_mesh(
    vertices2d: Tensor,
    depths: Tensor,
    faces: Tensor,
    width: int,
    height: int,
    *,
    near: float,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw triangle after triangle; see `persona.kernels.mesh.rasterize_mesh`."""
    corners = vertices2d.cpu().numpy().astype(np.float64)
    z = depths.cpu().numpy().astype(np.float64)
    face_ids = np.full((height, width), -1, dtype=np.int32)
    depth = np.zeros((height, width), dtype=np.float32)
    barycentric = np.zeros((height, width, 3), dtype=np.float32)
    centers = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)
    for face, ids in enumerate(faces.cpu().numpy()):
        if not (z[ids] > near).all():
            continue
        weights = _edge_weights(corners[ids], centers)
        if weights is None:
            continue
        over_z = weights / z[ids]
        total = over_z.sum(-1)
        inside = (weights >= 0).all(-1)
        here = (weights.sum(-1) / np.where(inside, total, 1.0)).astype(np.float32)
        drawn = inside & ((face_ids < 0) | (here < depth))
        face_ids[drawn] = face
        depth[drawn] = here[drawn]
        barycentric[drawn] = (over_z[drawn] / total[drawn, None]).astype(np.float32)
    device, dtype = vertices2d.device, vertices2d.dtype
    return (
        torch.from_numpy(face_ids).to(device),
        torch.from_numpy(barycentric).to(device, dtype),
        torch.from_numpy(depth).to(device, dtype),
    )


def _edge_weights(corners: np.ndarray, centers: np.ndarray) -> np.ndarray | None:
    """Give screen-space barycentric weights (h, w, 3), or None for a triangle without area."""
    (x0, y0), (x1, y1), (x2, y2) = corners
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if area == 0:
        return None
    weights = []
    for k in range(3):
        a, b = corners[(k + 1) % 3] - centers, corners[(k + 2) % 3] - centers
        weights.append((a[..., 0] * b[..., 1] - b[..., 0] * a[..., 1]) / area)
    return np.stack(weights, -1)
