"""Pose Gaussians that hang on a body: what callers use, whatever does the work."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.core.errors import BackendError, InputError
from persona.kernels.checks import check_floats, check_ids, check_thread_count
from persona.kernels.dispatch import Backend, implementation

MAX_STRETCH = 3.0
"""Most that a surface may lengthen a Gaussian [-]; beyond it a splat would be a streak."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rig:
    """Gaussians at rest and what carries them. Checked once, here, so that posing is cheap.

    Backends keep what they prepare from it: treat its tensors as constants.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, a number is not finite, or an id names a
            vertex or bone that does not exist.
    """

    means: Float[Tensor, "n 3"]
    """Centres in the rest pose [m], body frame."""
    tangents: Float[Tensor, "n 3 2"]
    """The two unit axes that lie in the surface, as columns."""
    scales: Float[Tensor, "n 3"]
    """Standard deviations along the tangents and across the surface [m]."""
    corners: Int[Tensor, "n 3"]
    """Vertices of the triangle that each Gaussian lies on; any, where the shares are zero."""
    corner_shares: Float[Tensor, "n 3"]
    """Place on that triangle, rows sum to 1; zero off the surface."""
    bone_ids: Int[Tensor, "n k"]
    """Bones."""
    bone_weights: Float[Tensor, "n k"]
    """Their shares, rows sum to 1."""
    weight_gradients: Float[Tensor, "n k 3"]
    """Change of each share along the rest surface [1/m]."""
    vertex_count: int
    """Vertices of the body."""
    bone_count: int
    """Bones of the body."""

    def __post_init__(self) -> None:
        n, slots = self.means.shape[0], self.bone_ids.shape[-1]
        check_floats(
            means=(self.means, (None, 3)),
            tangents=(self.tangents, (n, 3, 2)),
            scales=(self.scales, (n, 3)),
            corner_shares=(self.corner_shares, (n, 3)),
            bone_weights=(self.bone_weights, (n, slots)),
            weight_gradients=(self.weight_gradients, (n, slots, 3)),
        )
        check_ids("corners", self.corners, (n, 3), self.vertex_count, beside=self.means)
        check_ids("bone_ids", self.bone_ids, (n, slots), self.bone_count, beside=self.means)

    @property
    def requires_grad(self) -> bool:
        """Whether some tensor wants a gradient."""
        values = (getattr(self, f.name) for f in fields(self))
        return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def pose_gaussians(
    rig: Rig,
    flesh: Float[Tensor, "v 3"],
    T_posed_rest: Float[Tensor, "b 4 4"],
    *,
    offsets: Float[Tensor, "n 3"] | None = None,
    scales: Float[Tensor, "n 3"] | None = None,
    slopes: Float[Tensor, "n 3 3"] | None = None,
    max_stretch: float = MAX_STRETCH,
    backend: Backend | None = None,
    threads: int | None = None,
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 6"], Float[Tensor, "n 3"]]:
    """Carry Gaussians along with their body: means, covariances and normals.

    A mean is first moved by the flesh under it, then by linear blend skinning. The surface around
    it is carried by the derivative of that, ``F = sum_k w_k A_k + (T_k x) (grad w_k)^T``. Without
    the second term cloth that is pulled apart at a joint tears into dots. Tangents are carried by
    F and held below ``max_stretch``; the third axis stays normal to them and keeps its thickness.

    Differentiable in everything but the ids. All backends know the way back to ``offsets`` and
    ``scales``, what training moves; the reference runs where another gradient is wanted.

    Args:
        rig: Gaussians at rest and what carries them.
        flesh: Added to the rest vertices by expression and pose [m].
        T_posed_rest: Takes rest points to the world, one for each bone.
        offsets: Added to the means at rest [m]; None adds nothing.
        scales: Standard deviations in place of the rig's [m]; None takes those.
        slopes: Change of the offsets for every metre along the rest surface: added to the
            identity, they turn and stretch the tangents [-]; None turns nothing.
        max_stretch: Most that a tangent may be lengthened [-].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number. The result is the
            same to the bit for any number.

    Returns:
        Means [m], covariances as xx, xy, xz, yy, yz, zz [m^2] and unit normals, world frame.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, or a number is not finite.
        BackendError: ``backend`` cannot run on these inputs, or has no gradient and one is wanted.
    """
    n = rig.means.shape[0]
    rows = {"offsets": offsets, "scales": scales}
    given = {name: (value, (n, 3)) for name, value in rows.items() if value is not None}
    turned = {} if slopes is None else {"slopes": (slopes, (n, 3, 3))}
    check_floats(
        flesh=(flesh, (rig.vertex_count, 3)),
        T_posed_rest=(T_posed_rest, (rig.bone_count, 4, 4)),
        means=(rig.means, (None, 3)),
        **given,
        **turned,
    )
    check_thread_count(threads)
    check_stretch(max_stretch)
    if torch.is_grad_enabled():
        leaves = (flesh, T_posed_rest, *(value for value, _ in turned.values()))
        wanted = rig.requires_grad or any(leaf.requires_grad for leaf in leaves)
        if wanted:
            backend = without_way_back("posing", backend)
    run = implementation("pose_gaussians", flesh.device, flesh.dtype, backend=backend)
    return run(
        rig,
        flesh,
        T_posed_rest,
        offsets=offsets,
        scales=scales,
        slopes=slopes,
        max_stretch=max_stretch,
        threads=threads,
    )


def without_way_back(work: str, backend: Backend | None) -> Backend:
    """Give the backend of work that only the reference can take a gradient of.

    Raises:
        BackendError: Another one was asked for.
    """
    if backend not in (None, Backend.REFERENCE):
        raise BackendError(
            f"a gradient of {backend.value} {work} was asked for",
            why=f"{backend.value} has no way back here",
            fix="detach the inputs, or use backend=Backend.REFERENCE",
        )
    return Backend.REFERENCE


def check_stretch(max_stretch: float) -> None:
    """Refuse a limit without sense.

    Raises:
        InputError: It is not finite and positive.
    """
    if not 0 < max_stretch < float("inf"):
        raise InputError(
            f"max_stretch is {max_stretch}",
            why="it is a length over a length, finite and positive",
            fix=f"leave it at its default, {MAX_STRETCH}",
        )
