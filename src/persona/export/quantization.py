"""Numbers as small integers: a range and a step a column, and a bound on the error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Quantized:
    """Integers that stand for ``low + step * integer``, column by column."""

    integers: NDArray[np.integer]
    """What is kept."""
    low: list[float]
    """What zero stands for, one number a column or one for all."""
    step: list[float]
    """What one more stands for; half of it is the largest error."""

    @property
    def values(self) -> Floats:
        """The numbers again, each within half a step of what it was."""
        step = np.asarray(self.step, dtype=np.float64)
        return np.asarray(self.low, dtype=np.float64) + step * self.integers.astype(np.float64)


def quantize_ranges(values: Floats, dtype: type[np.unsignedinteger]) -> Quantized:
    """Spread each column's range over all integers of an unsigned type."""
    low, high = values.min(0).astype(np.float64), values.max(0).astype(np.float64)
    most = np.iinfo(dtype).max
    step = np.maximum(high - low, 1e-12) / most
    integers = np.rint((values - low) / step).clip(0, most).astype(dtype)
    return Quantized(integers, low.tolist(), step.tolist())


def quantize_signed(values: Floats, dtype: type[np.signedinteger]) -> Quantized:
    """Spread the largest size, in either direction, over the integers; zero stays zero."""
    most = np.iinfo(dtype).max
    step = max(float(np.abs(values).max(initial=0.0)), 1e-12) / most
    return Quantized(np.rint(values / step).astype(dtype), [0.0], [step])


def quantize_shares(shares: Floats) -> NDArray[np.uint16]:
    """Write rows that sum to one (or to zero) as 16-bit numbers that sum to 65535 (or to zero).

    The largest share takes what rounding left, so that a rigid point stays rigid.
    """
    most = np.iinfo(np.uint16).max
    integers = np.rint(shares.astype(np.float64) * most).astype(np.int64)
    rows = np.arange(len(shares))
    wanted = np.where(shares.sum(1) > 0.5, most, 0)
    integers[rows, shares.argmax(1)] += wanted - integers.sum(1)
    return integers.clip(0, most).astype(np.uint16)
