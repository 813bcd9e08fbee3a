"""FrameLabels: what was seen in one generated picture."""

from dataclasses import dataclass

from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.types import Mask


@dataclass(frozen=True, kw_only=True)
class FrameLabels:
    """Mask, parts and keypoints of the person in a picture."""

    mask: Mask
    """Coverage by the person."""
    parts: UInt8[Tensor, "h w"]
    """A `records.observation.Part` for every pixel."""
    body: Float[Tensor, "33 2"]
    """MediaPipe Pose landmarks (x, y) [px]."""
    normal: Float[Tensor, "h w 3"] | None = None
    """Unit normals in the camera's frame, 0 outside the mask; None where nobody looked."""
    depth: Float[Tensor, "h w"] | None = None
    """Along the camera's axis [m], likewise; its scale is a guess."""
    face: Float[Tensor, "478 3"] | None = None
    """MediaPipe face mesh: x, y [px] and relative depth; None where no face was seen."""
