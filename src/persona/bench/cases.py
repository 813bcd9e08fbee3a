"""Case: how many Gaussians, how large a picture, how many channels; and how long to measure."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from persona.bench.contestants import Contestant
from persona.bench.scenes import SIGMA_PER_SPACING

STANDARD, STUDIO = 54_848, 219_368
"""Gaussians of a standard and of a studio avatar."""
TRAINED_CHANNELS = 12
"""Colour, depth, normal, and five shares of parts: what a step of training draws."""
TWIN_PAIRS = 10_000_000
"""Pairs of Gaussian and pixel up to which the plain-torch twin draws within seconds."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One size of the work."""

    gaussians: int = STANDARD
    """How many."""
    size: int = 512
    """Height of the picture, or of the person in it [px]."""
    channels: int = TRAINED_CHANNELS
    """Feature channels."""
    sigma: float = SIGMA_PER_SPACING
    """Standard deviation over spacing of neighbours."""

    @property
    def twin_ends_in_seconds(self) -> bool:
        """Whether plain torch can draw it."""
        return self.gaussians * self.size**2 <= TWIN_PAIRS


RASTER_CASES = (
    Case(gaussians=1_000, size=96, channels=3),
    Case(gaussians=13_712, size=256, channels=3),
    Case(channels=3),
    Case(channels=8),
    Case(channels=12),
    Case(channels=16),
    Case(sigma=0.5),
    Case(sigma=1.5),
    Case(gaussians=STUDIO, size=1024, channels=3),
    Case(gaussians=STUDIO, size=1536, channels=3),
)
TRAIN_CASES = (Case(gaussians=600, size=96), Case(gaussians=13_712, size=256), Case())
ANIMATE_CASES = (
    Case(size=512, channels=3),
    Case(gaussians=STUDIO, size=1024, channels=3),
)


def gate_cases(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Leave out studio avatars: a gate that takes minutes is not run."""
    return tuple(case for case in cases if case.gaussians <= STANDARD)


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to measure, with whom, and how long."""

    cases: tuple[Case, ...]
    """Sizes of the work."""
    contestants: tuple[Contestant, ...]
    """Who does it."""
    rounds: int = 25
    """Times that count; the median of them is told."""
    avatar: Path | None = None
    """A trained avatar to use in place of the open body."""
    threads: int = 1
    """CPU threads."""


def cases_of(
    gaussians: tuple[int, ...],
    sizes: tuple[int, ...],
    channels: tuple[int, ...],
    sigmas: tuple[float, ...],
) -> tuple[Case, ...]:
    """Combine every given value with every other; what is not given keeps its default."""
    usual = Case()
    return tuple(
        Case(gaussians=g, size=s, channels=c, sigma=o)
        for g, s, c, o in itertools.product(
            gaussians or (usual.gaussians,),
            sizes or (usual.size,),
            channels or (usual.channels,),
            sigmas or (usual.sigma,),
        )
    )
