"""How well learned cloth moves, measured on simulated motion that it was not taught."""

import torch

from persona.avatar.cloth import Cloth, predict_clip
from persona.core.errors import InputError
from persona.records.frame_set import FrameSet

MM = 1000.0
"""Millimetres in a metre."""


def measure_cloth(cloth: Cloth, frames: FrameSet) -> dict[str, float]:
    """Measure network and shapes on the held-out clips, against cloth that follows the skin.

    Args:
        cloth: What was learned.
        frames: What it was learned from, with at least one held-out clip whose offsets are known.

    Returns:
        Keys of `metrics.METRICS` that begin with "cloth".

    Raises:
        InputError: Nothing was held out.
    """
    judges = [clip for clip in frames.held_out if clip.offsets is not None]
    if not judges:
        raise InputError(
            "no clip with known offsets was held out",
            why="what was taught cannot judge what was learned",
            fix="let the generator make one, or mark one as held out",
        )
    truth = torch.cat([clip.offsets for clip in judges if clip.offsets is not None])
    said = torch.cat([predict_clip(cloth.deformation, clip) for clip in judges])
    baked = torch.cat([predict_clip(cloth.correctives, clip) for clip in judges])
    rigid = float(truth.norm(dim=-1).mean())
    error = float((said - truth).norm(dim=-1).mean())
    lost = float((baked - said).square().sum() / said.square().sum().clamp(min=1e-12))
    numbers = {
        "cloth_moves_mm": rigid * MM,
        "cloth_error_mm": error * MM,
        "cloth_ratio": error / max(rigid, 1e-9),
        "cloth_baked_variance": 1 - lost,
    }
    share = frames.predictable_share
    return numbers if share is None else {**numbers, "cloth_predictable": share}
