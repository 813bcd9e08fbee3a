"""What the fit believes of an observation: measurements in one scale, and how the person stands."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.fitting.outline import Outline, trace_outline
from persona.records.observation import Observation

WORKING_HEIGHT_PX: Final = 512.0
"""The person is scaled to this height; every pixel number of the fit is meant at this scale."""
FOCAL_PER_SIDE: Final = 1.5
"""Focal length over the longer side when nothing is known: about a 54 mm lens. Between 1.0 and 2.5
nothing measurable changes, because distance and size trade against it."""
LEAN_PER_HEIGHT: Final = {"thigh": 0.06, "shin": 0.32, "trunk": -0.16}
"""Mean depth error of MediaPipe's world landmarks on standing people, per metre of height: shins
are laid back by 18 degrees, trunks bent forward by 9 (11 standing photos)."""

STRAIGHT_KNEE_DEG: Final = 135.0
"""World knee angle above which a leg counts as straight; straight legs measure 138 to 168."""
STRAIGHT_KNEE_2D_DEG: Final = 150.0
"""The same in the picture, where straight legs measure 164 to 180."""
LIFTED_SHARE: Final = 0.18
"""Height of one ankle over the other, in leg lengths, that perspective alone does not make."""
STEEP_THIGH_DEG: Final = 35.0
"""Tilt of a thigh that still carries a standing person; squats measure 53 and more."""


@dataclass(frozen=True, kw_only=True)
class Stance:
    """How the person carries their weight, judged from landmarks."""

    left_straight: bool
    """The left leg is stretched and near vertical."""
    right_straight: bool
    """The right leg is stretched and near vertical."""

    left_lifted: bool
    """The left foot is clearly above the right one in the picture."""
    right_lifted: bool
    """The right foot is clearly above the left one in the picture."""

    @property
    def standing(self) -> bool:
        """Upright on both legs."""
        return self.left_straight and self.right_straight

    @property
    def support(self) -> tuple[str, ...]:
        """Sides whose straight leg carries the whole person: both, one beside a lifted foot, none.

        A straight leg beside a bent one that also stands carries only a share: that is a lunge.
        """
        if self.standing:
            return ("left", "right")
        if self.left_straight and self.right_lifted:
            return ("left",)
        return ("right",) if self.right_straight and self.left_lifted else ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Measurements of one person, in pixels of the photo scaled to `WORKING_HEIGHT_PX`."""

    scale: float
    """Working pixels per photo pixel."""
    focal_px: float
    """Focal length."""
    center_px: tuple[float, float]
    """Where the axis meets the picture."""
    body: Float[Tensor, "33 2"]
    """MediaPipe Pose landmarks."""
    confidence: Float[Tensor, " 33"]
    """Their visibility."""
    world: Float[Tensor, "33 3"]
    """The same in space [m], known mean lean removed."""
    stance: Stance
    """How the person stands."""
    face: Float[Tensor, "478 3"] | None
    """Face mesh with relative depth, z away."""
    left_hand: Float[Tensor, "21 3"] | None
    """Left hand with relative depth, z away."""
    right_hand: Float[Tensor, "21 3"] | None
    """Right hand with relative depth, z away."""
    outline: Outline
    """The edge of the mask."""


def gather_evidence(
    observation: Observation, *, image_size: tuple[int, int], focal_px: float | None
) -> Evidence:
    """Bring an observation to the working scale and judge how the person stands.

    Args:
        observation: What perception saw.
        image_size: Width and height of the photo [px].
        focal_px: Focal length from the file [px], or None.
    """
    scale = WORKING_HEIGHT_PX / observation.person_height_px
    focal = choose_focal(image_size, focal_px)
    stance = judge_stance(observation.body, observation.body_world)

    def scaled(points: Tensor | None) -> Tensor | None:
        return None if points is None else points * scale

    return Evidence(
        scale=scale,
        focal_px=focal * scale,
        center_px=(image_size[0] / 2 * scale, image_size[1] / 2 * scale),
        body=observation.body * scale,
        confidence=observation.body_confidence,
        world=remove_lean(observation.body_world),
        stance=stance,
        face=scaled(observation.face),
        left_hand=scaled(observation.left_hand),
        right_hand=scaled(observation.right_hand),
        outline=trace_outline(observation, scale),
    )


def choose_focal(image_size: tuple[int, int], focal_px: float | None) -> float:
    """Trust the file's focal length when it is believable, else assume a normal lens [px]."""
    longer = max(image_size)
    if focal_px is not None and 0.5 * longer < focal_px < 6 * longer:
        return focal_px
    return FOCAL_PER_SIDE * longer


def judge_stance(body: Float[Tensor, "33 2"], world: Float[Tensor, "33 3"]) -> Stance:
    """Decide for each leg whether it is stretched and carries the person.

    A straight leg has its hip above its knee above its ankle in the picture, a nearly straight
    knee both in the picture and in space, and a steep thigh. World landmarks alone bend every
    knee by up to 40 degrees, the picture alone does not see a squat from the front.
    """

    def straight(hip: int, knee: int, ankle: int) -> bool:
        above = bool(body[hip, 1] < body[knee, 1] < body[ankle, 1])
        flat = _knee_angle(body[hip], body[knee], body[ankle])
        deep = _knee_angle(world[hip], world[knee], world[ankle])
        thigh = world[knee] - world[hip]
        tilt = torch.rad2deg(torch.atan2(thigh[[0, 2]].norm(), -thigh[1]))
        return (
            above
            and float(flat) > STRAIGHT_KNEE_2D_DEG
            and float(deep) > STRAIGHT_KNEE_DEG
            and float(tilt) < STEEP_THIGH_DEG
        )

    legs = (body[[27, 28], 1] - body[[23, 24], 1]).clamp(min=1.0)
    higher = (body[28, 1] - body[27, 1]) / legs.max()
    return Stance(
        left_straight=straight(23, 25, 27),
        right_straight=straight(24, 26, 28),
        left_lifted=float(higher) > LIFTED_SHARE,
        right_lifted=float(-higher) > LIFTED_SHARE,
    )


def _knee_angle(hip: Tensor, knee: Tensor, ankle: Tensor) -> Tensor:
    """Give the angle at the knee [deg]."""
    cosine = torch.cosine_similarity(hip - knee, ankle - knee, dim=0)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))


def remove_lean(world: Float[Tensor, "*batch 33 3"]) -> Float[Tensor, "*batch 33 3"]:
    """Undo the mean depth error of world landmarks, bone by bone in proportion to its height."""
    fixed = world.clone()

    def leaned(lower: int, upper: int, bone: str) -> Tensor:
        height = (world[..., lower, 1] - world[..., upper, 1]).abs()
        return height * LEAN_PER_HEIGHT[bone]

    for hip, knee, ankle, feet in ((23, 25, 27, (29, 31)), (24, 26, 28, (30, 32))):
        knee_shift = leaned(knee, hip, "thigh")
        ankle_shift = knee_shift + leaned(ankle, knee, "shin")
        fixed[..., knee, 2] += knee_shift
        fixed[..., [ankle, *feet], 2] += ankle_shift[..., None]
    trunk = world[..., [11, 12], 1].mean(-1) - world[..., [23, 24], 1].mean(-1)
    fixed[..., :23, 2] += trunk.abs()[..., None] * LEAN_PER_HEIGHT["trunk"]
    return fixed
