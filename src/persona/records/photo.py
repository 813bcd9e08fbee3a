"""Photo: upright pixels of one picture, and what the file told about its camera."""

from dataclasses import dataclass

from persona.core.checks import check_range, check_shape
from persona.core.types import Image, Mask


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One upright picture.

    Raises:
        InputError: Colours leave [0, 1], or the alpha has another size than the picture.
    """

    rgb: Image
    """Upright colours, sRGB in [0, 1]; where alpha is 0 they mean nothing."""
    alpha: Mask | None = None
    """The photo's own coverage, when the file had one that says something."""
    focal_px: float | None = None
    """Focal length from EXIF [px], when known."""
    name: str = "photo"
    """File name without folder and ending; no path is kept."""
    digest: str = ""
    """SHA-256 of the file's bytes, hexadecimal."""

    def __post_init__(self) -> None:
        check_shape("rgb", self.rgb, (None, None, 3))
        check_range("rgb", self.rgb, 0.0, 1.0)
        if self.alpha is not None:
            check_shape("alpha", self.alpha, (self.height, self.width))
            check_range("alpha", self.alpha, 0.0, 1.0)

    @property
    def height(self) -> int:
        """Rows [px]."""
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        """Columns [px]."""
        return self.rgb.shape[1]
