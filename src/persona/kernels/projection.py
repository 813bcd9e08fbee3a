"""Project 3D Gaussians to 2D ellipses: what callers use, whatever does the work."""

from jaxtyping import Float
from torch import Tensor

from persona.geometry.cameras import Camera
from persona.kernels.checks import check_camera, check_floats, check_thread_count
from persona.kernels.dispatch import Backend, implementation

EPS2D = 0.3
"""Added to both variances of an ellipse, so that nothing falls between pixel centres [px^2]."""
NEAR = 0.01
"""Gaussians at or before this depth draw nothing [m]."""

Ellipses = tuple[Float[Tensor, "n 2"], Float[Tensor, "n 3"], Float[Tensor, " n"]]


def project_gaussians(
    means: Float[Tensor, "n 3"],
    covariances: Float[Tensor, "n 6"],
    camera: Camera,
    *,
    eps2d: float = EPS2D,
    near: float = NEAR,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Ellipses:
    """Project Gaussians given by their covariances to ellipses.

    The pinhole is replaced by its local affine map at each mean. As in gsplat, that map is taken
    no further off axis than 15 % of the picture beyond its edge, where it would explode; the mean
    itself is projected exactly. Differentiable in means and covariances; the reference also in
    the camera's transform.

    Args:
        means: Centres [m], world frame.
        covariances: Upper triangles xx, xy, xz, yy, yz, zz [m^2], world frame.
        camera: Who looks.
        eps2d: Added to both variances of the ellipse [px^2].
        near: Gaussians at or before this depth draw nothing [m].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number.

    Returns:
        Means [px], conics (inverse covariances a, b, c of a x^2 + 2 b x y + c y^2 [1/px^2]) and
        depths along the camera's z [m]. A culled Gaussian has mean and conic zero.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, or a number is not finite.
        BackendError: ``backend`` cannot run on these inputs.

    References:
        Zwicker et al., "EWA volume splatting", IEEE Visualization 2001, section 4.
    """
    check_floats(means=(means, (None, 3)), covariances=(covariances, (means.shape[0], 6)))
    check_camera(camera, eps2d, near)
    check_thread_count(threads)
    run = implementation("project_gaussians", means.device, means.dtype, backend=backend)
    return run(means, covariances, camera, eps2d=eps2d, near=near, threads=threads)


def project_oriented(
    means: Float[Tensor, "n 3"],
    quats_wxyz: Float[Tensor, "n 4"],
    scales: Float[Tensor, "n 3"],
    camera: Camera,
    *,
    eps2d: float = EPS2D,
    near: float = NEAR,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Ellipses:
    """Project Gaussians given by rotation and standard deviations to ellipses.

    As `project_gaussians`, with covariance R diag(scales)^2 R^T.

    Args:
        means: Centres [m], world frame.
        quats_wxyz: Rotations of the axes to the world, of any length but zero.
        scales: Standard deviations along the axes [m].
        camera: Who looks.
        eps2d: Added to both variances of the ellipse [px^2].
        near: Gaussians at or before this depth draw nothing [m].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number.

    Returns:
        Means [px], conics [1/px^2] and depths [m].

    Raises:
        InputError: Shapes, dtypes or devices do not fit, or a number is not finite.
        BackendError: ``backend`` cannot run on these inputs.
    """
    n = means.shape[0]
    check_floats(means=(means, (None, 3)), quats_wxyz=(quats_wxyz, (n, 4)), scales=(scales, (n, 3)))
    check_camera(camera, eps2d, near)
    check_thread_count(threads)
    run = implementation("project_oriented", means.device, means.dtype, backend=backend)
    return run(means, quats_wxyz, scales, camera, eps2d=eps2d, near=near, threads=threads)
