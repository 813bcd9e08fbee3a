"""Numbers that papers print, to stand beside ours: of others, never on the same pictures.

The same method moves by 3.4 dB between papers; only numbers of one protocol compare.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class PublishedScore:
    """A line of somebody's table."""

    method: str
    """Whose method."""
    dataset: str
    """On what."""
    protocol: str
    """How, as far as it is told."""
    psnr_db: tuple[float, float]
    """Least and largest mean, equal where there is one [dB]."""
    ssim: float | None = None
    """Structural similarity."""
    lpips: float | None = None
    """By AlexNet."""


_FITTED: Final = "full film, poses fitted to the test frames"
_SINGLE: Final = "one picture, no poses fitted, three data sets"
PUBLISHED: Final[dict[str, tuple[PublishedScore, ...]]] = {
    "neuman": (
        PublishedScore(
            method="ExAvatar",
            dataset="NeuMan",
            protocol=_FITTED,
            psnr_db=(34.80, 34.80),
            ssim=0.984,
            lpips=0.009,
        ),
        PublishedScore(
            method="Vid2Avatar", dataset="NeuMan", protocol=_FITTED, psnr_db=(30.70, 30.70)
        ),
        PublishedScore(
            method="GaussianAvatar", dataset="NeuMan", protocol=_FITTED, psnr_db=(29.94, 29.94)
        ),
        PublishedScore(
            method="3DGS-Avatar", dataset="NeuMan", protocol=_FITTED, psnr_db=(28.99, 28.99)
        ),
    ),
    "single": (
        PublishedScore(
            method="PERSONA", dataset="as DynaAvatar", protocol=_SINGLE, psnr_db=(14.9, 19.5)
        ),
        PublishedScore(
            method="LHM", dataset="as DynaAvatar", protocol=_SINGLE, psnr_db=(17.4, 21.0)
        ),
        PublishedScore(
            method="IDOL", dataset="as DynaAvatar", protocol=_SINGLE, psnr_db=(17.8, 21.3)
        ),
        PublishedScore(
            method="DynaAvatar", dataset="as DynaAvatar", protocol=_SINGLE, psnr_db=(19.5, 23.7)
        ),
    ),
}
"""Group -> lines. Spans are over a paper's data sets."""
