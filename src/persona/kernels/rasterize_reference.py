"""Sort and composite ellipses in plain torch: the specification."""

import torch
from torch import Tensor

ALPHA_MAX = 0.99
"""No Gaussian covers a pixel more than this, so that something always shines through."""
ALPHA_MIN = 1.0 / 255.0
"""Fainter contributions are skipped."""
TRANSMITTANCE_STOP = 1e-4
"""A pixel is finished before its transmittance falls to this."""

STRIP_ENTRIES = 1 << 22
"""Pairs of Gaussian and pixel held at a time, when no gradient is kept."""


def rasterize(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    depths: Tensor,
    window: tuple[int, int, int, int],
    *,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw every Gaussian at every pixel; see `persona.kernels.splatting.rasterize`."""
    left, top, width, height = window
    order = torch.argsort(depths, stable=True)
    means2d, conics, opacities, features = (
        value[order] for value in (means2d, conics, opacities, features)
    )
    columns = range(left, left + width)
    rows_at_once = max(1, STRIP_ENTRIES // max(1, len(order) * width))
    images, alphas = [], []
    for first in range(0, height, rows_at_once):
        rows = range(first, min(height, first + rows_at_once))
        image, alpha = _draw_rows(means2d, conics, opacities, features, columns, rows, top)
        images.append(image)
        alphas.append(alpha)
    return torch.cat(images, 1), torch.cat(alphas, 0)


def _draw_rows(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    columns: range,
    rows: range,
    top: int,
) -> tuple[Tensor, Tensor]:
    y = means2d.new_tensor([top + row + 0.5 for row in rows])
    x = means2d.new_tensor([column + 0.5 for column in columns])
    dx = x[None, None, :] - means2d[:, 0, None, None]
    dy = y[None, :, None] - means2d[:, 1, None, None]
    a, b, c = conics[:, :, None, None].unbind(1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = torch.clamp_max(opacities[:, None, None] * torch.exp(-sigma), ALPHA_MAX)
    definite = (a > 0) & (a * c - b * b > 0)
    alpha = torch.where(definite & (alpha >= ALPHA_MIN), alpha, torch.zeros_like(alpha))

    after = torch.cumprod(1 - alpha, 0)
    before = torch.cat([torch.ones_like(after[:1]), after])[: len(after)]
    # Transmittance never grows, so this is also "and no nearer Gaussian finished the pixel".
    alive = after > TRANSMITTANCE_STOP
    weights = torch.where(alive, alpha * before, torch.zeros_like(alpha))
    image = torch.einsum("nhw,nc->chw", weights, features)
    return image, weights.sum(0)
