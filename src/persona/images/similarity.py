"""How alike two pictures are: PSNR, SSIM, MS-SSIM and GMSD, for losses and evaluation alike.

All take pictures (h, w, c) in [0, 1], are differentiable in both, and look only at the pixels of
``mask`` where one is given. None of them is LPIPS; a report must say which one it shows.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.core.errors import InputError

Picture = Float[Tensor, "h w c"]
PixelMask = Float[Tensor, "h w"] | Bool[Tensor, "h w"]

WINDOW = 11
"""Side of the SSIM window [px]."""
WINDOW_SIGMA = 1.5
"""Width of its Gaussian [px]."""
C1, C2 = 0.01**2, 0.03**2
"""Stabilisers of SSIM for pictures in [0, 1]."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales of MS-SSIM, finest first."""
GMSD_C = 170.0 / 255.0**2
"""Stabiliser of gradient similarity for pictures in [0, 1]."""
LUMA = (0.299, 0.587, 0.114)
"""Weights that turn sRGB into grey."""


def psnr(picture: Picture, target: Picture, *, mask: PixelMask | None = None) -> Float[Tensor, ""]:
    """Give the peak signal-to-noise ratio [dB]; higher is better, infinite when equal.

    Args:
        picture: In [0, 1].
        target: In [0, 1].
        mask: Weight of each pixel; None takes all.

    Raises:
        InputError: Shapes differ, or the mask is empty.
    """
    _check(picture, target, mask)
    error = _mean((picture - target).square().mean(-1), mask)
    return -10.0 / math.log(10.0) * torch.log(error)


def ssim(picture: Picture, target: Picture, *, mask: PixelMask | None = None) -> Float[Tensor, ""]:
    """Give the mean structural similarity in [-1, 1]; higher is better.

    An 11 x 11 Gaussian window (sigma 1.5) is slid over all places where it fits whole, each
    channel by itself. With a mask, the similarity of a place counts by the mask at its centre.

    Args:
        picture: In [0, 1], at least 11 x 11.
        target: In [0, 1].
        mask: Weight of each pixel; None takes all.

    Raises:
        InputError: Shapes differ, the pictures are too small, or the mask is empty.

    References:
        Wang et al., "Image quality assessment: from error visibility to structural similarity",
        IEEE Transactions on Image Processing 2004.
    """
    _check(picture, target, mask)
    _check_size(picture, WINDOW, "the window")
    similarity, _ = _similarity_maps(_planes(picture), _planes(target))
    return _mean(similarity.mean(0), _inner(mask))


def ms_ssim(
    picture: Picture, target: Picture, *, mask: PixelMask | None = None
) -> Float[Tensor, ""]:
    """Give the multi-scale structural similarity in [0, 1]; higher is better.

    Five scales, each half the size of the one before; contrast and structure at all of them,
    brightness at the coarsest. Negative terms count as zero.

    Args:
        picture: In [0, 1], at least 176 x 176.
        target: In [0, 1].
        mask: Weight of each pixel; None takes all.

    Raises:
        InputError: Shapes differ, the pictures are too small, or the mask is empty at a scale.

    References:
        Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality
        assessment", Asilomar 2003.
    """
    _check(picture, target, mask)
    _check_size(picture, WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1), "five scales")
    a, b = _planes(picture), _planes(target)
    weight = None if mask is None else mask.to(picture)
    result = torch.ones((), dtype=picture.dtype, device=picture.device)
    for scale, exponent in enumerate(SCALE_WEIGHTS):
        similarity, contrast = _similarity_maps(a, b)
        last = scale == len(SCALE_WEIGHTS) - 1
        term = _mean((similarity if last else contrast).mean(0), _inner(weight))
        # The power's slope is infinite at zero, where a loss must still be finite.
        result = result * term.clamp_min(1e-6) ** exponent
        if not last:
            a, b = _halve(a), _halve(b)
            weight = None if weight is None else _halve(weight[None])[0]
    return result


def gmsd(picture: Picture, target: Picture, *, mask: PixelMask | None = None) -> Float[Tensor, ""]:
    """Give the gradient magnitude similarity deviation in [0, 1]; lower is better.

    Pictures are made grey and halved, their Prewitt gradients compared; the deviation of that
    comparison over the picture tells local damage from evenly spread loss.

    Args:
        picture: In [0, 1], at least 6 x 6.
        target: In [0, 1].
        mask: Weight of each pixel; None takes all.

    Raises:
        InputError: Shapes differ, the pictures are too small, or the mask is empty.

    References:
        Xue et al., "Gradient magnitude similarity deviation", IEEE Transactions on Image
        Processing 2014.
    """
    _check(picture, target, mask)
    _check_size(picture, 6, "halving and a 3 x 3 gradient")
    a, b = (_gradient_magnitude(_halve(_grey(x))) for x in (picture, target))
    similarity = (2 * a * b + GMSD_C) / (a.square() + b.square() + GMSD_C)
    weight = None
    if mask is not None:
        weight = _halve(mask.to(picture)[None])[0, 1:-1, 1:-1]
    mean = _mean(similarity, weight)
    variance = _mean((similarity - mean).square(), weight)
    # The root's slope is infinite at zero, which equal pictures reach.
    return (variance + 1e-12).sqrt()


def person_box(mask: PixelMask, *, margin: int = WINDOW) -> tuple[slice, slice]:
    """Give the rows and columns around a mask, so that metrics need not look at the rest.

    Raises:
        InputError: The mask is empty.
    """
    rows, columns = torch.nonzero(mask > 0, as_tuple=True)
    if len(rows) == 0:
        raise _empty_mask()
    height, width = mask.shape
    top, bottom = int(rows.min()) - margin, int(rows.max()) + 1 + margin
    left, right = int(columns.min()) - margin, int(columns.max()) + 1 + margin
    return slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))


@lru_cache(maxsize=8)
def _window(dtype: torch.dtype, device: torch.device) -> Tensor:
    offsets = torch.arange(WINDOW, dtype=dtype, device=device) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * WINDOW_SIGMA**2))
    return window / window.sum()


def _planes(picture: Picture) -> Float[Tensor, "c h w"]:
    """Put the channels first and each of them in one piece: arithmetic runs along rows."""
    return picture.permute(2, 0, 1).contiguous()


def _blur(planes: Float[Tensor, "k h w"]) -> Float[Tensor, "k h-10 w-10"]:
    """Take the window's mean wherever it fits, down the columns first and along the rows second.

    Torch's depthwise convolution is 30 times as fast on a CPU when channels come last as for one
    channel at a time, which pays for turning the planes there and back.
    """
    window = _window(planes.dtype, planes.device)
    count = planes.shape[0]
    down, along = window[None, None, :, None], window[None, None, None, :]
    stack = planes[None].contiguous(memory_format=torch.channels_last)
    stack = torch.nn.functional.conv2d(stack, down.expand(count, 1, -1, 1), groups=count)
    stack = torch.nn.functional.conv2d(stack, along.expand(count, 1, 1, -1), groups=count)
    return stack[0].contiguous()


def _similarity_maps(a: Float[Tensor, "c h w"], b: Float[Tensor, "c h w"]) -> tuple[Tensor, Tensor]:
    """Give SSIM and its contrast-structure part at every place of the window."""
    count = a.shape[0]
    moments = _blur(torch.cat([a, b, a * a + b * b, a * b]))
    mean_a, mean_b, squares, product = moments.split(count)
    both = mean_a * mean_b
    powers = mean_a.square() + mean_b.square()
    contrast = (2 * (product - both) + C2) / (squares - powers + C2)
    return (2 * both + C1) / (powers + C1) * contrast, contrast


def _halve(planes: Float[Tensor, "k h w"]) -> Float[Tensor, "k h2 w2"]:
    """Average blocks of 2 x 2; an odd last row or column is dropped."""
    return torch.nn.functional.avg_pool2d(planes[None], 2)[0]


def _grey(picture: Picture) -> Float[Tensor, "1 h w"]:
    if picture.shape[-1] != 3:
        return picture.mean(-1)[None]
    return (picture * picture.new_tensor(LUMA)).sum(-1)[None]


def _gradient_magnitude(grey: Float[Tensor, "1 h w"]) -> Float[Tensor, "h-2 w-2"]:
    across = torch.tensor([[1.0, 0.0, -1.0]] * 3, dtype=grey.dtype, device=grey.device) / 3
    kernels = torch.stack([across, across.T])[:, None]
    both = torch.nn.functional.conv2d(grey[None], kernels)[0]
    # The root's slope is infinite at zero, which flat regions reach.
    return (both.square().sum(0) + 1e-12).sqrt()


def _inner(mask: PixelMask | None) -> Tensor | None:
    """Cut off the rim where the window does not fit."""
    rim = WINDOW // 2
    return None if mask is None else mask[rim:-rim, rim:-rim]


def _mean(values: Float[Tensor, "h w"], mask: Tensor | None) -> Float[Tensor, ""]:
    if mask is None:
        return values.mean()
    weight = mask.to(values)
    total = weight.sum()
    if float(total.detach()) <= 0:
        raise _empty_mask()
    return (values * weight).sum() / total


def _empty_mask() -> InputError:
    return InputError(
        "no pixel of the mask is left to compare",
        why="a mean over nothing has no value",
        fix="pass the person's mask, larger than the window's rim",
    )


def _check(picture: Tensor, target: Tensor, mask: Tensor | None) -> None:
    if picture.dim() != 3 or picture.shape != target.shape:
        raise InputError(
            f"pictures have shapes {tuple(picture.shape)} and {tuple(target.shape)}",
            why="they are compared pixel by pixel and must both be (h, w, c)",
            fix="crop or resize them to the same size",
        )
    if mask is not None and mask.shape != picture.shape[:2]:
        raise InputError(
            f"the mask has shape {tuple(mask.shape)}",
            why=f"it must be {tuple(picture.shape[:2])}, like the pictures",
            fix="crop or resize it with the pictures",
        )


def _check_size(picture: Tensor, smallest: int, what: str) -> None:
    if min(picture.shape[:2]) < smallest:
        raise InputError(
            f"the pictures are {picture.shape[1]} x {picture.shape[0]} pixels",
            why=f"{what} need at least {smallest} x {smallest}",
            fix="compare larger pictures",
        )
