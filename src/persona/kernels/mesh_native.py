"""Find the nearest triangle of every pixel in the C++ core."""

import torch
from torch import Tensor

from persona.kernels.native_core import address, check_status, native_library, thread_count


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
    """Draw bands of rows; see `persona.kernels.mesh.rasterize_mesh`."""
    inputs = (vertices2d.contiguous(), depths.contiguous(), faces.to(torch.int32).contiguous())
    face_ids = torch.empty(height, width, dtype=torch.int32)
    barycentric, depth = torch.empty(height, width, 3), torch.empty(height, width)
    status = native_library().persona_rasterize_mesh(
        thread_count(threads),
        len(vertices2d),
        len(faces),
        *map(address, inputs),
        width,
        height,
        near,
        *map(address, (face_ids, barycentric, depth)),
    )
    check_status(status)
    return face_ids, barycentric, depth
