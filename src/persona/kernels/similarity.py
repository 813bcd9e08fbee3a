"""Compare two pictures by SSIM: what losses call, whatever does the work."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.images.similarity import WINDOW
from persona.kernels.checks import check_floats, check_thread_count
from persona.kernels.dispatch import Backend, implementation
from persona.kernels.splatting import MAX_CHANNELS

RIM = WINDOW // 2
"""Pixels along the border that no whole window is centred on."""


def ssim_planes(
    picture: Float[Tensor, "c h w"],
    target: Float[Tensor, "c h w"],
    *,
    box: tuple[int, int, int, int] | None = None,
    reflect: bool = False,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Float[Tensor, ""]:
    """Give the mean structural similarity of two pictures in the rasterizer's layout.

    It is `persona.images.similarity.ssim` of the box cut out of both, channel by channel: an
    11 x 11 Gaussian window (sigma 1.5) at all places where it fits whole into the box. With
    ``reflect`` the box is first continued by its own mirror image, so that every pixel of it is a
    place; only this is the plain number of torchmetrics 1.4.2 and later. Differentiable in the
    picture alone. Outside the box the gradient is zero.

    Args:
        picture: In [0, 1], 1 to 32 channels.
        target: In [0, 1], constant.
        box: Left, top, width and height of what is compared [px]; None compares everything.
        reflect: Count the rim of the box too.
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number. The result is the
            same to the bit for any number.

    Returns:
        Similarity in [-1, 1]; higher is better.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, a number is not finite, the box reaches
            out of the picture or is too small, or a gradient of the target is wanted.
        BackendError: ``backend`` cannot run on these inputs.

    Example:
        >>> import torch
        >>> picture = torch.linspace(0, 1, 600).reshape(1, 20, 30)
        >>> f"{ssim_planes(picture, picture, box=(2, 3, 20, 15)):.3f}"
        '1.000'

    References:
        Wang et al., "Image quality assessment: from error visibility to structural similarity",
        IEEE Transactions on Image Processing 2004.
    """
    check_floats(picture=(picture, (None, None, None)), target=(target, tuple(picture.shape)))
    check_thread_count(threads)
    channels, height, width = picture.shape
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(
            f"the pictures have {channels} channels",
            why=f"one pass compares 1 to {MAX_CHANNELS}",
            fix="compare in several passes and take the mean",
        )
    if torch.is_grad_enabled() and target.requires_grad:
        raise InputError(
            "a gradient of the target was asked for",
            why="only the picture's is computed",
            fix="detach the target, or exchange the two: the similarity is symmetric",
        )
    box = (0, 0, width, height) if box is None else box
    _check_box(box, width, height, smallest=RIM + 1 if reflect else WINDOW)
    if reflect:
        picture, target = _continued(picture, box), _continued(target, box)
        box = (0, 0, picture.shape[2], picture.shape[1])
    run = implementation("ssim_planes", picture.device, picture.dtype, backend=backend)
    return run(picture, target, box, threads=threads)


def _continued(planes: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """Cut out the box and mirror its rim outwards."""
    left, top, width, height = box
    cut = planes[:, top : top + height, left : left + width]
    return torch.nn.functional.pad(cut[None], (RIM, RIM, RIM, RIM), mode="reflect")[0]


def _check_box(box: tuple[int, int, int, int], width: int, height: int, *, smallest: int) -> None:
    left, top, box_width, box_height = box
    if min(box_width, box_height) < smallest:
        raise InputError(
            f"the box is {box_width} x {box_height} pixels",
            why=f"the window needs at least {smallest} x {smallest}",
            fix="compare a larger part of the pictures",
        )
    if left < 0 or top < 0 or left + box_width > width or top + box_height > height:
        raise InputError(
            f"the box from ({left}, {top}) to ({left + box_width}, {top + box_height}) reaches out "
            "of the picture",
            why=f"the pictures are {width} x {height} pixels",
            fix="clip the box to the pictures",
        )
