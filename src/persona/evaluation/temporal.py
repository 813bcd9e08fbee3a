"""What moves wrongly from frame to frame: flicker of colours, jitter of the outline.

Both compare change with change: what is constantly wrong costs nothing here, and a film that stands
still in front of a moving truth is not called calm.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.types import Image, Mask
from persona.evaluation.methods import Drawn
from persona.evaluation.picture_metrics import PLAIN
from persona.evaluation.regions import person_region
from persona.evaluation.subjects import SubjectFrame, over_plain

WINDOW: int = 3
"""Frames that jitter needs: a second difference."""


@dataclass(frozen=True, eq=False)
class _Moment:
    error: Image
    """Drawn minus true."""
    index: int


@dataclass(frozen=True, eq=False)
class Watcher:
    """Remembers the last frame, and where the last outlines were off."""

    _last: _Moment | None = None
    _drifts: tuple[Float[Tensor, " 2"], ...] = ()

    def step(self, drawn: Drawn, frame: SubjectFrame) -> "tuple[Watcher, dict[str, float]]":
        """Look at the next frame.

        Returns:
            The watcher for the frame after it, and *flicker*: mean change of the error since the
            frame before, inside the person's box [1/255]; *jitter*: length of the second
            difference of the distance between the outlines' middles [px]. A gap in the frames, or
            a frame without a person, starts anew.
        """
        region = person_region(frame.mask)
        middle, wanted = _middle(drawn.alpha), _middle(frame.mask)
        if region is None or middle is None or wanted is None:
            return Watcher(), {}
        error = drawn.over(PLAIN) - over_plain(frame.picture, frame.mask, PLAIN)
        before = self._last
        follows = before is not None and before.index == frame.index - 1
        drifts = (*(self._drifts[-2:] if follows else ()), middle - wanted)
        numbers = {}
        if before is not None and follows and before.error.shape == error.shape:
            change = region.of(error) - region.of(before.error)
            numbers["flicker"] = 255 * float(change.abs().mean())
        if len(drifts) == WINDOW:
            numbers["jitter_px"] = float((drifts[0] - 2 * drifts[1] + drifts[2]).norm())
        moment = _Moment(error=error, index=frame.index)
        return replace(self, _last=moment, _drifts=drifts), numbers


def _middle(mask: Mask) -> Float[Tensor, " 2"] | None:
    rows, columns = (mask > 0.5).nonzero().unbind(1)
    if not len(rows):
        return None
    return torch.stack([columns.double().mean(), rows.double().mean()])
