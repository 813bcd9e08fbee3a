"""FrameLabels: what was seen in one generated picture."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.types import Mask
from persona.records.frame_set import Picture


@dataclass(frozen=True, kw_only=True)
class EnlargedFace:
    """A part of a picture, larger."""

    left: int
    """Where it begins in the picture [px]."""
    top: int
    """Likewise."""
    scale: int
    """Its pixels for one of the picture's."""
    image_8: UInt8[Tensor, "fh fw 3"]
    """sRGB, 0 to 255."""

    def shown_in(self, picture: Picture) -> Picture | None:
        """Give it as a picture of its own, with the mask of the one it was cut from.

        Returns:
            None where that mask shows nobody.
        """
        rows, columns = (side // self.scale for side in self.image_8.shape[:2])
        window = picture.mask[self.top : self.top + rows, self.left : self.left + columns]
        if not bool((window > 0.5).any()):
            return None
        mask = torch.nn.functional.interpolate(
            window[None, None], scale_factor=self.scale, mode="bilinear", align_corners=False
        )[0, 0]
        camera = picture.camera.cropped(self.left, self.top, columns, rows).scaled(self.scale)
        return Picture(
            frame=picture.frame,
            camera=camera,
            image_8=self.image_8,
            mask_8=(mask * 255).round().to(torch.uint8),
            trust=picture.trust,
        )


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
    face: EnlargedFace | None = None
    """The face, enlarged; None where nobody looked, or none shows."""
    face_points: Float[Tensor, "478 3"] | None = None
    """MediaPipe face mesh: x, y [px] and relative depth; None where no face was seen."""
