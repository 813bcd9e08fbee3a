"""Draw 2D Gaussians front to back: what callers use, whatever does the work."""

from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.kernels.checks import check_floats, check_thread_count, check_window
from persona.kernels.dispatch import Backend, implementation

MAX_CHANNELS = 32
"""Most feature channels of one pass."""


def rasterize(
    means2d: Float[Tensor, "n 2"],
    conics: Float[Tensor, "n 3"],
    opacities: Float[Tensor, " n"],
    features: Float[Tensor, "n c"],
    depths: Float[Tensor, " n"],
    *,
    width: int,
    height: int,
    left: int = 0,
    top: int = 0,
    backend: Backend | None = None,
    threads: int | None = None,
) -> tuple[Float[Tensor, "c h w"], Float[Tensor, "h w"]]:
    """Blend ellipses over each other, nearest first, all channels in one pass.

    At a pixel centre x, ``alpha = min(0.99, opacity * exp(-sigma))`` with
    ``sigma = (x - mean)^T conic (x - mean) / 2``; alpha below 1/255 is skipped. A Gaussian adds
    ``T * alpha * feature``, where T is the product of ``1 - alpha`` of the nearer ones; the pixel
    is finished just before the Gaussian that would bring T to 1e-4 or less. These are gsplat's
    rules. Equal depths are drawn in the order of their rows; a conic that is not positive
    definite, such as that of a culled Gaussian, draws nothing. Differentiable in everything but
    depths, which only decide the order.

    Args:
        means2d: Centres (x, y) [px]; pixel (row i, column j) has its centre at (j + .5, i + .5).
        conics: Inverse covariances a, b, c [1/px^2].
        opacities: In [0, 1].
        features: Any 1 to 32 numbers; the image holds them weighted, over zero.
        depths: Order of drawing, nearest first [m].
        width: Columns of the window [px].
        height: Rows of the window [px].
        left: Column of the picture where the window starts.
        top: Row of the picture where the window starts.
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number. The result is the
            same to the bit for any number.

    Returns:
        Premultiplied image and alpha (1 - T at the end).

    Raises:
        InputError: Shapes, dtypes or devices do not fit, or a number is not finite.
        BackendError: ``backend`` cannot run on these inputs.

    References:
        Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", ACM
        Transactions on Graphics 2023, section 6.
    """
    n = means2d.shape[0]
    check_floats(
        means2d=(means2d, (None, 2)),
        conics=(conics, (n, 3)),
        opacities=(opacities, (n,)),
        features=(features, (n, None)),
        depths=(depths, (n,)),
    )
    check_window(width, height, left, top)
    check_thread_count(threads)
    if not 1 <= features.shape[1] <= MAX_CHANNELS:
        raise InputError(
            f"features has {features.shape[1]} channels",
            why=f"one pass draws 1 to {MAX_CHANNELS}",
            fix="draw in several passes",
        )
    run = implementation("rasterize", means2d.device, means2d.dtype, backend=backend)
    window = (left, top, width, height)
    return run(means2d, conics, opacities, features, depths, window, threads=threads)
