"""Compare two pictures in plain torch: the specification is that of the metric."""

from torch import Tensor

from persona.images.similarity import ssim


def ssim_planes(
    picture: Tensor,
    target: Tensor,
    box: tuple[int, int, int, int],
    *,
    threads: int | None = None,
) -> Tensor:
    """Compare what the box cuts out; see `persona.kernels.similarity.ssim_planes`."""
    left, top, width, height = box
    cuts = (
        planes[:, top : top + height, left : left + width].permute(1, 2, 0)
        for planes in (picture, target)
    )
    return ssim(*cuts)
