"""The table of everything measured about an avatar: unit, direction, gate, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One thing that is measured."""

    name: str
    """Key in files."""
    label: str
    """Words for people."""
    unit: str
    """What the number counts."""
    better: Better
    """Which way is good."""
    gate: float | None
    """Worst value that still passes; None when it only informs."""
    because: str
    """What goes wrong when it is bad."""
    digits: int = 2
    """Digits after the point worth printing."""
    tolerance: float | None = None
    """How much worse than a committed baseline still passes, in the metric's unit; None is not
    compared."""

    def passes(self, value: float) -> bool:
        """Say whether a value is good enough; NaN never is."""
        if self.gate is None:
            return True
        if math.isnan(value):
            return False
        return value >= self.gate if self.better == "higher" else value <= self.gate

    def worse_by(self, value: float, baseline: float) -> float:
        """Say how much worse a value is than another, in the metric's unit; negative is better.

        What is as infinite as the baseline is no worse; NaN is infinitely worse.
        """
        if math.isnan(value):
            return math.inf
        if value == baseline:
            return 0.0
        return baseline - value if self.better == "higher" else value - baseline

    def written(self, value: float | None) -> str:
        """Write a value without its unit, for people; a dash where there is none."""
        return "-" if value is None else f"{value:.{self.digits}f}"


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric(
            name="psnr_db",
            label="photo, mask eroded by 3 px",
            unit="dB",
            better="higher",
            gate=28.0,
            because="the avatar in the photo's pose must look like the photo; person 512 px tall",
            digits=1,
        ),
        Metric(
            name="iou",
            label="outline against the mask",
            unit="share",
            better="higher",
            gate=0.95,
            because="what was cut off or added at the rim",
            digits=3,
        ),
        Metric(
            name="keypoint_error_px",
            label="body keypoints",
            unit="px",
            better="lower",
            gate=5.0,
            because="a body off its landmarks bends in the wrong places; person 512 px tall",
            digits=1,
        ),
        Metric(
            name="body_iou",
            label="naked body inside the mask",
            unit="share",
            better="higher",
            gate=0.75,
            because="a body of another shape or pose than the person",
            digits=2,
        ),
        Metric(
            name="lean_m",
            label="ankles in front of or behind the pelvis",
            unit="m",
            better="lower",
            gate=0.05,
            because="invisible in the photo, a fall in every side view; standing people only",
            digits=3,
        ),
        Metric(
            name="unseen_contrast",
            label="unseen colour against seen neighbours",
            unit="Lab",
            better="lower",
            gate=22.0,
            because="a back in colours the person does not wear",
            digits=1,
        ),
        Metric(
            name="unseen_roughness",
            label="colour variation of the unseen over the seen",
            unit="ratio",
            better="lower",
            gate=1.3,
            because="a camouflage back; far below 1 is fog",
        ),
        Metric(
            name="front_leak",
            label="front detail printed on the back",
            unit="correlation",
            better="lower",
            gate=0.25,
            because="buttons and prints that show up mirrored behind",
        ),
        Metric(
            name="stretched_share",
            label="Gaussians pulled apart over 3x in test poses",
            unit="share",
            better="lower",
            gate=0.002,
            because="torn armpits and crotch",
            digits=4,
        ),
        Metric(
            name="see_through_share",
            label="body that shows through in test poses",
            unit="share",
            better="lower",
            gate=0.004,
            because="holes",
            digits=4,
        ),
        Metric(
            name="floating_share",
            label="loose pieces in test poses",
            unit="share",
            better="lower",
            gate=0.002,
            because="blobs that hang in the air",
            digits=4,
        ),
        Metric(
            name="hand_face_lab",
            label="hand colour against face colour",
            unit="Lab",
            better="lower",
            gate=20.0,
            because="hands in the colour of the trousers they were hidden in",
            digits=1,
        ),
        Metric(
            name="seen_share",
            label="Gaussians the photo shows",
            unit="share",
            better="higher",
            gate=None,
            because="the rest is invented",
        ),
        Metric(
            name="dressed_iou",
            label="dressed outline before training",
            unit="share",
            better="higher",
            gate=None,
            because="how well the surface met the mask by shape alone",
            digits=3,
        ),
        Metric(
            name="cloth_moves_mm",
            label="simulated cloth against skin, held-out motion",
            unit="mm",
            better="higher",
            gate=None,
            because="what is lost where clothes follow the skin",
            digits=1,
        ),
        Metric(
            name="cloth_error_mm",
            label="learned cloth against simulated, held-out motion",
            unit="mm",
            better="lower",
            gate=None,
            because="what is lost by learning instead of simulating",
            digits=1,
        ),
        Metric(
            name="cloth_ratio",
            label="the same over cloth that follows the skin",
            unit="ratio",
            better="lower",
            gate=0.5,
            because="clothes that learned little",
        ),
        Metric(
            name="cloth_predictable",
            label="movement of cloth that a second run repeats",
            unit="share",
            better="higher",
            gate=None,
            because="the rest is chance: nothing could learn it",
        ),
        Metric(
            name="cloth_baked_variance",
            label="learned movement that the baked shapes keep",
            unit="share",
            better="higher",
            gate=0.9,
            because="clothes that move less in browsers and game engines",
        ),
    )
}
"""Name -> metric, in the order they are shown."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A measured metric."""

    metric: Metric
    """What was measured."""
    value: float
    """How much, in the metric's unit."""

    @property
    def passed(self) -> bool:
        """Whether the gate lets it through."""
        return self.metric.passes(self.value)

    @property
    def text(self) -> str:
        """The value with its unit, for people."""
        return f"{self.value:.{self.metric.digits}f} {self.metric.unit}"


def scores_from(numbers: Mapping[str, float]) -> tuple[Score, ...]:
    """Look up the known numbers, in the table's order; numbers without a metric are left out."""
    return tuple(
        Score(metric=metric, value=abs(numbers[name]) if name == "lean_m" else numbers[name])
        for name, metric in METRICS.items()
        if name in numbers
    )
