"""What the terms of joint training look at: a frame as drawn and as wanted, and all that moved."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.optimization.joint_frames import Frame
from persona.rendering import Rendered

SEAM_WEIGHT: Final = 0.1
"""What a pixel on a seam of the photo counts [-]."""
PART_COUNT: Final = 5
"""Parts that the person is made of; background is none."""

Plane = Float[Tensor, "h w"]
Planes = Float[Tensor, "3 h w"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a frame shows, channels first, in [0, 1] where nothing else is said."""

    image: Planes
    """sRGB."""
    mask: Plane
    """The person."""
    area: Float[Tensor, ""]
    """Pixels of it."""
    weight: Plane
    """What each pixel's colour counts, 0 outside the person."""
    comparable: bool
    """Whether a window of SSIM fits."""
    scales: bool | None
    """True where the five scales of MS-SSIM fit, else None: the term is left out."""
    depth: Plane | None
    """[m]; 0 where unknown."""
    normal: Planes | None
    """Unit, camera frame; 0 where unknown."""
    parts: Float[Tensor, "p h w"] | None
    """1 for the part that a pixel shows."""
    hands: Plane | None
    """1 where the body's hands show."""
    eyes: Plane | None
    """1 where the body's eyes show."""
    seam: Plane | None
    """1 where the photo's colours are not believed."""


@dataclass(frozen=True, kw_only=True)
class Roughness:
    """What has moved of each Gaussian, less what its neighbours have; see `laplacian.Laplacian`."""

    shift: Float[Tensor, "n 3"]
    """How far it has left its place at rest [m]."""
    growth: Float[Tensor, "n 3"]
    """How much its deviations have grown [m]."""
    recolor: Float[Tensor, "n 6"]
    """How far its two colours have left the first ones [sRGB]."""
    aux: Float[Tensor, "n 3"]
    """The frames' colour [sRGB]."""
    offset: Float[Tensor, "n 3"] | None
    """Where the pose puts it, as the network says [m]."""
    whole_recolor: Float[Tensor, "n 6"]
    """As ``recolor``, by itself."""


@dataclass(frozen=True, kw_only=True)
class JointState:
    """One frame, drawn in up to four ways, what it should be, and how far all has moved."""

    plain: Rendered
    """Without pose offsets, or with those that are known: colour, depth, normals, and as extra the
    parts, then hands and eyes."""
    refined: Rendered | None
    """The same with pose offsets; None where there are none, as in the photo's own pose."""
    flat: Rendered | None
    """Main colour, and as extra `rgb_aux`, drawn without a way back to geometry; None where no term
    needs it: a generated frame whose main branch is drawn in `rgb_aux` already."""
    frozen: Rendered | None = None
    """Colour without a way back to colours; the face's patch alone."""
    target: Target
    """What the frame shows."""
    known: Float[Tensor, ""] | None = None
    """Error of offsets that are known exactly [cm]."""
    rough: Roughness | None = None
    """How unevenly all has moved; a face's patch does not ask for it again."""
    stiffness: Float[Tensor, " n"] | None = None
    """How much more firmly face and hands keep their shape [-]."""
    hidden_hand: Float[Tensor, " n"] | None = None
    """1 for a hand's Gaussians that the photo does not show."""
    mouth: Float[Tensor, " n"] | None = None
    """1 for what lies inside the mouth."""

    @property
    def rough_offset(self) -> Float[Tensor, "n 3"] | None:
        """How unevenly the network moves Gaussians, where it does."""
        return None if self.rough is None else self.rough.offset

    @property
    def seam(self) -> Plane | None:
        """Where the photo's colours are not believed."""
        return self.target.seam

    @property
    def depth(self) -> Plane | None:
        """The frame's depth, where it has one."""
        return self.target.depth

    @property
    def normal(self) -> Planes | None:
        """The frame's normals, where it has them."""
        return self.target.normal

    @property
    def parts(self) -> Float[Tensor, "p h w"] | None:
        """The frame's parts, where it has them."""
        return self.target.parts

    @property
    def hands(self) -> Plane | None:
        """Where hands should be."""
        return self.target.hands

    @property
    def eyes(self) -> Plane | None:
        """Where eyes should be."""
        return self.target.eyes

    @property
    def scales(self) -> bool | None:
        """Whether MS-SSIM can be taken."""
        return self.target.scales


def target_of(frame: Frame, *, with_body: bool) -> Target:
    """Unpack a frame's picture.

    Args:
        frame: The picture, eight bits a channel.
        with_body: Whether the body's hands and eyes are to be believed.
    """
    picture = frame.picture
    mask = picture.mask
    seam = None if frame.seam is None else frame.seam.float()
    parts = picture.parts
    numbers = torch.arange(1, PART_COUNT + 1, device=mask.device, dtype=torch.uint8)
    normal = picture.normal
    return Target(
        image=picture.image.permute(2, 0, 1).contiguous(),
        mask=mask,
        area=mask.sum(),
        weight=mask if seam is None else mask * (1 - (1 - SEAM_WEIGHT) * seam),
        comparable=frame.comparable,
        scales=True if frame.has_scales else None,
        depth=picture.depth_m,
        normal=None if normal is None else normal.permute(2, 0, 1).contiguous(),
        parts=None if parts is None else (parts[None] == numbers[:, None, None]).float(),
        hands=frame.hands.float() if frame.hands is not None and with_body else None,
        eyes=frame.eyes.float() if frame.eyes is not None and with_body else None,
        seam=seam,
    )
