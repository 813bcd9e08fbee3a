"""Windows over a long video that all begin with the photo, and how their results are fused."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError


def windows(frame_count: int, size: int, overlap: int) -> tuple[tuple[int, ...], ...]:
    """Cover frames by windows of one size, each with frame 0 in its first place.

    The first is the first ``size`` frames; each next begins ``size - overlap`` frames later, its
    first frame replaced by frame 0; the last ends with the last frame. Where there are fewer frames
    than ``size`` there is one window with all of them.

    Args:
        frame_count: Frames, the photo counted.
        size: Frames in a window.
        overlap: Frames that neighbours share, the photo not counted.

    Raises:
        InputError: There are no frames, windows would not move on, or would leave frames out.

    Example:
        >>> windows(6, 3, 1)
        ((0, 1, 2), (0, 3, 4), (0, 4, 5))
    """
    if frame_count < 1 or size < 2 or not 1 <= overlap < size:
        raise InputError(
            f"{frame_count} frames were to be covered by windows of {size} that share {overlap}",
            why="the photo replaces each window's first frame, which the one before must hold",
            fix="use windows of 72 that share 6, or of 16 that share 4",
        )
    size = min(size, frame_count)
    step = max(size - overlap, 1)
    found = [(0, *range(k + 1, k + size)) for k in range(0, frame_count - size + 1, step)]
    if found[-1][-1] < frame_count - 1:
        found.append((0, *range(frame_count - size + 1, frame_count)))
    return tuple(found)


def position_weights(size: int, *, device: torch.device | None = None) -> Float[Tensor, " size"]:
    """Give each place in a window its say: a triangle, highest in the middle."""
    rising = (torch.arange(size, device=device) + 0.5) * 2 / size
    return torch.minimum(rising, 2 - rising)


def total_weights(cover: tuple[tuple[int, ...], ...], frame_count: int) -> Float[Tensor, " n"]:
    """Add up what each frame gets from all windows; no frame is left out."""
    total = torch.zeros(frame_count)
    for window in cover:
        total[list(window)] += position_weights(len(window))
    return total
