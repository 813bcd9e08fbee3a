"""Find the nearest triangle of every pixel: what callers use, whatever does the work."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Faces
from persona.kernels.checks import check_floats, check_thread_count, check_window
from persona.kernels.dispatch import Backend, implementation

NEAR = 0.01
"""Triangles with a corner at or before this depth draw nothing [m]."""


def rasterize_mesh(
    vertices2d: Float[Tensor, "v 2"],
    depths: Float[Tensor, " v"],
    faces: Faces,
    *,
    width: int,
    height: int,
    near: float = NEAR,
    backend: Backend | None = None,
    threads: int | None = None,
) -> tuple[Int[Tensor, "h w"], Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Draw triangles into a z-buffer, both sides, without gradient.

    A pixel belongs to a triangle when its centre lies inside or on an edge; at equal depth the
    first triangle stays. Triangles that reach behind ``near`` are left out whole, not clipped.

    Args:
        vertices2d: Corners (x, y) [px].
        depths: Along the camera's z [m].
        faces: Vertex ids.
        width: Columns [px].
        height: Rows [px].
        near: Smallest depth that is drawn [m].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number.

    Returns:
        Face of every pixel (int32, -1 where there is none), its barycentric coordinates,
        perspective-correct, and depth [m]; both zero where there is no face.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, a number is not finite, or a face
            names a vertex that does not exist.
        BackendError: ``backend`` cannot run on these inputs.
    """
    count = vertices2d.shape[0]
    vertices2d, depths = vertices2d.detach(), depths.detach()
    check_floats(vertices2d=(vertices2d, (None, 2)), depths=(depths, (count,)))
    check_window(width, height, 0, 0)
    check_thread_count(threads)
    if faces.dim() != 2 or faces.shape[1] != 3 or faces.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"faces is {faces.dtype} of shape {tuple(faces.shape)}",
            why="it must be integers of shape (any, 3)",
            fix="give one row of three vertex ids for each triangle",
        )
    if faces.device != vertices2d.device:
        raise InputError(
            f"faces is on {faces.device}, vertices2d on {vertices2d.device}",
            why="one call computes on one device",
            fix=f"move it first: faces.to({str(vertices2d.device)!r})",
        )
    if faces.numel() and not (int(faces.min()) >= 0 and int(faces.max()) < count):
        raise InputError(
            f"faces name vertices {int(faces.min())} to {int(faces.max())}, there are {count}",
            why="an id without a vertex would read somebody else's memory",
            fix="use the faces that belong to these vertices",
        )
    run = implementation("rasterize_mesh", vertices2d.device, vertices2d.dtype, backend=backend)
    return run(vertices2d, depths, faces, width, height, near=near, threads=threads)
