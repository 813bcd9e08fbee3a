"""Find cuts: frames that have nothing in common with the frame before."""

from collections import deque
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIZE: Final = (32, 32)
"""Pictures are compared at this size [px]."""
LEAST: Final = 18.0
"""Mean difference of a cut, out of 255, at least: fast people before still walls stay below."""
OUTSTANDING: Final = 3.0
"""How many times the usual difference a cut stands out."""
ALIKE: Final = 0.75
"""Correlation of brightness above which frames show the same place, lit differently."""
MEMORY: Final = 15
"""Frames from which the usual difference is known."""


class CutFinder:
    """Watches frames go by."""

    def __init__(self) -> None:
        self._last: Float[np.ndarray, "s s"] | None = None
        self._usual: deque[float] = deque(maxlen=MEMORY)

    def is_cut(self, picture: UInt8[np.ndarray, "h w 3"]) -> bool:
        """Say whether this frame begins a new shot; the first frame does not."""
        small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64)
        last, self._last = self._last, grey
        if last is None or last.shape != grey.shape:
            return False
        change = float(np.abs(grey - last).mean())
        usual = float(np.median(self._usual)) if self._usual else 0.0
        spread = float(grey.std() * last.std())
        alike = float(((grey - grey.mean()) * (last - last.mean())).mean()) / max(spread, 1e-6)
        cut = change > max(LEAST, OUTSTANDING * usual) and alike < ALIKE
        if cut:
            self._usual.clear()
        else:
            self._usual.append(change)
        return cut
