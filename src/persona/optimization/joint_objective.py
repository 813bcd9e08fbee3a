"""The table of terms by which photo and generated frames teach together; METHOD.md D."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.core.types import Image, Mask
from persona.kernels.similarity import ssim_planes
from persona.optimization.objective import Term
from persona.rendering import Rendered

PART_COUNT: Final = 5
"""Parts that the person is made of; background is none."""
SEAM_WEIGHT: Final = 0.1
"""What a pixel on a seam of the photo counts [-]."""
L1_SHARE: Final = 0.8
"""Share of L1 in the image term; the rest is SSIM's."""
SOLID: Final = 0.5
"""Coverage above which a pixel has a depth and a normal."""


@dataclass(frozen=True, kw_only=True)
class JointState:
    """What the terms look at: one frame, drawn in up to three ways, and how far all has moved."""

    plain: Rendered
    """Without pose offsets: colour, depth, normals, and as extra the parts, then hands."""
    refined: Rendered | None
    """The same with pose offsets; None where there are none, as in the photo's own pose."""
    flat: Rendered | None
    """Main colour, and as extra `rgb_aux`, drawn without a way back to geometry; None where no term
    needs it: a generated frame whose main branch is drawn in `rgb_aux` already."""
    image: Image
    """What the frame shows."""
    mask: Mask
    """The person in it."""
    weight: Float[Tensor, "h w"]
    """What each pixel's colour counts, 0 outside the person."""
    box: tuple[int, int, int, int] | None
    """Where SSIM is taken [px]."""
    depth: Float[Tensor, "h w"] | None
    """[m]; 0 where unknown."""
    normal: Float[Tensor, "h w 3"] | None
    """Unit, camera frame; 0 where unknown."""
    parts: Float[Tensor, "h w p"] | None
    """1 for the part that a pixel shows."""
    hands: Float[Tensor, "h w"] | None
    """1 where the body's hands show."""
    seam: Bool[Tensor, "h w"] | None
    """Where the photo's colours are not believed."""
    shift: Float[Tensor, "n 3"]
    """How far each Gaussian has left its place at rest [m]."""
    growth: Float[Tensor, "n 3"]
    """How much its deviations have grown [m]."""
    recolor: Float[Tensor, "n 6"]
    """How far its two colours have left the first ones [sRGB]."""
    offset: Float[Tensor, "n 3"] | None
    """Where the pose puts it [m]."""
    known: Float[Tensor, ""] | None
    """Error of offsets that are known exactly [cm]."""
    neighbors: Int[Tensor, "n k"]
    """The nearest Gaussians of each at rest."""
    stiffness: Float[Tensor, " n"]
    """How much more firmly face and hands keep their shape [-]."""


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def _image(color: Image, alpha: Mask, s: JointState) -> Tensor:
    """Compare colours where the person is, over what was covered: the outline has its own term."""
    wanted = alpha[..., None] * s.image
    person = s.mask.sum()
    l1 = ((color - wanted).abs().mean(-1) * s.weight).sum() / person
    if s.box is None:
        return l1
    planes = [(v * s.weight[..., None]).permute(2, 0, 1) for v in (color, wanted.detach())]
    return L1_SHARE * l1 + (1 - L1_SHARE) * (1 - ssim_planes(*planes, box=s.box))


def _colors(drawn: Rendered, s: JointState) -> Tensor:
    return _image(drawn.color, drawn.alpha, s)


def _mask(drawn: Rendered, s: JointState) -> Tensor:
    return (drawn.alpha - s.mask).abs().sum() / s.mask.sum()


def _depth(drawn: Rendered, s: JointState) -> Tensor:
    assert drawn.depth is not None
    assert s.depth is not None
    both = ((s.depth > 0) & (s.mask > SOLID) & (drawn.alpha > SOLID)).float()
    ratio = drawn.depth.clamp(min=1e-3).log() - s.depth.clamp(min=1e-3).log()
    return _mean(ratio.square(), both) - _mean(ratio, both).square()


def _normal(drawn: Rendered, s: JointState) -> Tensor:
    assert drawn.normal is not None
    assert s.normal is not None
    both = (s.normal.norm(dim=-1) > SOLID) & (s.mask > SOLID) & (drawn.alpha > SOLID)
    # Only where there is something: a person fills a fifth of the picture.
    unit, wanted = torch.nn.functional.normalize(drawn.normal[both], dim=-1), s.normal[both]
    apart = (unit - wanted).abs().mean(-1) + 1 - (unit * wanted).sum(-1)
    return apart.sum() / max(len(apart), 1)


def _parts(drawn: Rendered, s: JointState) -> Tensor:
    assert drawn.extra is not None
    assert s.parts is not None
    return _mean((drawn.extra[..., :PART_COUNT] - s.parts).abs().mean(-1), s.mask)


def _hands(s: JointState) -> Tensor:
    assert s.plain.extra is not None
    assert s.hands is not None
    return ((s.plain.extra[..., PART_COUNT] - s.hands).abs() * s.mask).sum() / s.mask.sum()


def _aux(s: JointState) -> Tensor:
    assert s.flat is not None
    assert s.flat.extra is not None
    return _image(s.flat.extra, s.flat.alpha.detach(), s)


def _seam(s: JointState) -> Tensor:
    assert s.flat is not None
    assert s.flat.extra is not None
    assert s.seam is not None
    pull = (s.flat.color - s.flat.extra.detach()).abs().mean(-1)
    return (pull * s.seam).sum() / s.mask.sum()


def bend(values: Float[Tensor, "n c"], neighbors: Int[Tensor, "n k"]) -> Float[Tensor, "n c"]:
    """Give the graph Laplacian: each row less the mean of its neighbours."""
    # Not values[neighbors]: its gradient adds in the order in which threads come by.
    around = values.index_select(0, neighbors.flatten()).unflatten(0, neighbors.shape)
    return values - around.mean(1)


def _smooth(values: Tensor | None, s: JointState) -> Tensor:
    assert values is not None
    return (s.stiffness * bend(values, s.neighbors).square().mean(1)).mean()


def _known(s: JointState) -> Tensor:
    assert s.known is not None
    return s.known


def _of_branch(
    residual: Callable[[Rendered, JointState], Tensor], branch: str
) -> Callable[[JointState], Tensor]:
    return lambda s: residual(getattr(s, branch), s)


def _geometry(weight: float, branch: str, suffix: str) -> tuple[Term[JointState], ...]:
    """Give depth, normals and parts of one branch: the geometry term of METHOD.md D."""
    rows = (
        ("depth", 0.01, "log^2", "what bulges bulges, whatever the distance", _depth),
        ("normal", 1.0, "-", "folds catch the light where the frame says", _normal),
        ("parts", 1.0, "coverage", "a sleeve ends where the frame says", _parts),
    )
    return tuple(
        Term(
            name=name + suffix,
            weight=weight * price,
            unit=unit,
            because=because,
            residual=_of_branch(residual, branch),
            needs=(name, branch),
        )
        for name, price, unit, because, residual in rows
    )


REGULARIZERS: Final[tuple[Term[JointState], ...]] = (
    Term(
        name="smooth_shift",
        weight=1e6,
        unit="m^2",
        because="neighbours move together; face and hands keep their shape",
        residual=lambda s: _smooth(s.shift, s),
    ),
    Term(
        name="smooth_offset",
        weight=1e5,
        unit="m^2",
        because="cloth bends, it does not scatter",
        residual=lambda s: _smooth(s.offset, s),
        needs=("offset",),
    ),
    Term(
        name="smooth_scale",
        weight=1e6,
        unit="m^2",
        because="Gaussians of a surface are alike: no holes when it bends",
        residual=lambda s: _smooth(s.growth, s),
    ),
    Term(
        name="smooth_color",
        weight=0.1,
        unit="sRGB^2",
        because="what frames change of a colour they change around it, too; prints stay sharp",
        residual=lambda s: bend(s.recolor, s.neighbors).square().mean(),
    ),
    Term(
        name="offsets",
        weight=1.0,
        unit="cm",
        because="where physics knows the offsets, nothing need be drawn to learn them",
        residual=_known,
        needs=("known",),
    ),
)
"""What every frame asks for."""

PHOTO_FRAME_TERMS: Final[tuple[Term[JointState], ...]] = (
    Term(
        name="image",
        weight=2.1,
        unit="-",
        because="the photo is the person: without (1) and with (0.1) pose offset, which are one in "
        "its own pose, and against its albedo (1), for which it stands itself",
        residual=_of_branch(_colors, "plain"),
    ),
    Term(
        name="seam",
        weight=1.0,
        unit="sRGB",
        because="beside a self-occlusion generated frames know better",
        residual=_seam,
        needs=("seam", "flat"),
    ),
    Term(
        name="mask",
        weight=2.0,
        unit="coverage",
        because="the outline is the person's; both branches",
        residual=_of_branch(_mask, "plain"),
    ),
    *_geometry(0.2, "plain", ""),
    *REGULARIZERS,
)
"""What the photo asks for."""

GENERATED_TERMS: Final[tuple[Term[JointState], ...]] = (
    Term(
        name="image",
        weight=1.0,
        unit="-",
        because="what no pose explains belongs to the person at rest",
        residual=_of_branch(_colors, "plain"),
    ),
    Term(
        name="image_refined",
        weight=0.1,
        unit="-",
        because="cloth is where the frame shows it",
        residual=_of_branch(_colors, "refined"),
        needs=("refined",),
    ),
    Term(
        name="image_aux",
        weight=1.0,
        unit="-",
        because="the generator's colours go into a colour of their own",
        residual=_aux,
        needs=("flat",),
    ),
    Term(
        name="mask",
        weight=1.0,
        unit="coverage",
        because="the outline is the frame's",
        residual=_of_branch(_mask, "plain"),
    ),
    Term(
        name="mask_refined",
        weight=1.0,
        unit="coverage",
        because="so is that of moved cloth",
        residual=_of_branch(_mask, "refined"),
        needs=("refined",),
    ),
    *_geometry(1.0, "plain", ""),
    *_geometry(1.0, "refined", "_refined"),
    Term(
        name="hands",
        weight=50.0,
        unit="coverage",
        because="generators draw hands badly: the body's own say where they are",
        residual=_hands,
        needs=("hands",),
    ),
    *REGULARIZERS,
)
"""What a generated frame asks for."""
