"""The table of terms by which photo and generated frames teach together; METHOD.md D."""

from collections.abc import Callable
from functools import partial
from typing import Final

from torch import Tensor

from persona.images.similarity import gmsd, ms_ssim
from persona.kernels.similarity import ssim_planes
from persona.optimization.joint_state import PART_COUNT, JointState, Planes, Roughness
from persona.optimization.objective import Term
from persona.rendering import Rendered

L1_SHARE: Final = 0.8
"""Share of L1 in the image term; the rest is SSIM's."""
SOLID: Final = 0.5
"""Coverage above which a pixel has a depth and a normal."""
GHOST: Final = 0.06
"""Difference from the frames' colour that tells another surface's from a less sharp one [sRGB]."""
SLOW: Final = 8
"""Steps between two looks at what takes as long as drawing."""
KNOWN_EVERY: Final = 4
"""Steps between two lessons of offsets that are known: they need no drawing, but a network."""
REFINED_EVERY: Final = 2
"""Steps between two drawings with pose offsets: they cost a network and a pass of their own."""
HAND, EYE = PART_COUNT, PART_COUNT + 1
"""Places of hands and eyes among the extra channels."""

Perceptual = Callable[[Planes, Planes], Tensor]
"""Distance of two pictures (3, h, w) as people see it."""


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def _covered(drawn: Rendered, color: Tensor, s: JointState) -> tuple[Tensor, Tensor]:
    """Give the drawn colours, and those wanted over what was covered: outlines have their term."""
    return color.permute(2, 0, 1), drawn.alpha * s.target.image


def _image(color: Tensor, drawn: Rendered, s: JointState) -> Tensor:
    """Compare colours where the person is."""
    seen, wanted = _covered(drawn, color, s)
    weight = s.target.weight
    l1 = ((seen - wanted).abs().mean(0) * weight).sum() / s.target.area
    if not s.target.comparable:
        return l1
    similar = ssim_planes(seen * weight, (wanted * weight).detach())
    return L1_SHARE * l1 + (1 - L1_SHARE) * (1 - similar)


def _colors(drawn: Rendered, s: JointState) -> Tensor:
    return _image(drawn.color, drawn, s)


def scales_and_gradients(seen: Planes, wanted: Planes) -> Tensor:
    """Give 1 - MS-SSIM + GMSD: what stands in for LPIPS, under its own name."""
    pictures = seen.permute(1, 2, 0), wanted.permute(1, 2, 0)
    return 1 - ms_ssim(*pictures) + gmsd(*pictures)


def _perceived(drawn: Rendered, s: JointState, *, distance: Perceptual) -> Tensor:
    seen, wanted = _covered(drawn, drawn.color, s)
    weight = s.target.weight
    return distance(seen * weight, (wanted * weight).detach())


def _mask(drawn: Rendered, s: JointState) -> Tensor:
    return (drawn.alpha - s.target.mask).abs().sum() / s.target.area


def _solid(drawn: Rendered, s: JointState) -> Tensor:
    return (s.target.mask > SOLID) & (drawn.alpha > SOLID)


def _depth(drawn: Rendered, s: JointState) -> Tensor:
    assert drawn.depth is not None
    assert s.target.depth is not None
    both = ((s.target.depth > 0) & _solid(drawn, s)).float()
    ratio = drawn.depth.clamp(min=1e-3).log() - s.target.depth.clamp(min=1e-3).log()
    return _mean(ratio.square(), both) - _mean(ratio, both).square()


def _normal(drawn: Rendered, s: JointState) -> Tensor:
    assert drawn.normal is not None
    assert s.target.normal is not None
    wanted = s.target.normal
    both = ((wanted.square().sum(0) > SOLID**2) & _solid(drawn, s)).float()
    long = drawn.normal.permute(2, 0, 1)
    # Not torch's norm, which takes ten times as long along three channels.
    unit = long * (long.square().sum(0) + 1e-12).rsqrt()
    return _mean((unit - wanted).abs().mean(0) + 1 - (unit * wanted).sum(0), both)


def _parts(drawn: Rendered, s: JointState) -> Tensor:
    assert drawn.extra is not None
    assert s.target.parts is not None
    labels = drawn.extra.permute(2, 0, 1)[:PART_COUNT]
    return _mean((labels - s.target.parts).abs().mean(0), s.target.mask)


def _hands(s: JointState) -> Tensor:
    assert s.plain.extra is not None
    assert s.target.hands is not None
    apart = (s.plain.extra[..., HAND] - s.target.hands).abs()
    return (apart * s.target.mask).sum() / s.target.area


def _eyes(s: JointState) -> Tensor:
    assert s.plain.extra is not None
    assert s.target.eyes is not None
    apart = (s.plain.extra[..., EYE] - s.target.eyes).abs()
    return (apart * s.target.mask).sum() / s.target.area


def _aux(s: JointState) -> Tensor:
    assert s.flat is not None
    assert s.flat.extra is not None
    return _image(s.flat.extra, s.flat, s)


def _seam(s: JointState) -> Tensor:
    assert s.flat is not None
    assert s.flat.extra is not None
    assert s.target.seam is not None
    apart = (s.flat.color - s.flat.extra.detach()).abs().mean(-1)
    # A ghost is of another colour; what is merely less sharp in frames is none.
    return ((apart - GHOST).clamp(min=0) * s.target.seam).sum() / s.target.area


def _rough(s: JointState) -> Roughness:
    assert s.rough is not None
    return s.rough


def _smooth(rough: Tensor | None, s: JointState) -> Tensor:
    assert rough is not None
    assert s.stiffness is not None
    return (s.stiffness * rough.square().mean(1)).mean()


def _of_some(values: Tensor, which: Tensor | None) -> Tensor:
    assert which is not None
    return _mean(values.abs().mean(1), which)


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
            every=REFINED_EVERY if branch == "refined" else 1,
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
        residual=lambda s: _smooth(_rough(s).shift, s),
    ),
    Term(
        name="smooth_offset",
        weight=1e5,
        unit="m^2",
        because="cloth bends, it does not scatter",
        residual=lambda s: _smooth(s.rough_offset, s),
        every=REFINED_EVERY,
        needs=("rough_offset",),
    ),
    Term(
        name="smooth_scale",
        weight=1e6,
        unit="m^2",
        because="Gaussians of a surface are alike: no holes when it bends",
        residual=lambda s: _smooth(_rough(s).growth, s),
    ),
    Term(
        name="smooth_color",
        weight=0.1,
        unit="sRGB^2",
        because="what frames change of a colour they change around it, too; prints stay sharp",
        residual=lambda s: _rough(s).recolor.square().mean(),
    ),
    Term(
        name="mouth",
        weight=0.5,
        unit="sRGB",
        because="teeth and tongue keep the colours they were painted in: no frame shows them well",
        residual=lambda s: _of_some(_rough(s).whole_recolor, s.mouth),
    ),
    Term(
        name="offsets",
        weight=1.0,
        unit="cm",
        because="where physics knows the offsets, nothing need be drawn to learn them",
        residual=_known,
        every=KNOWN_EVERY,
        needs=("known",),
    ),
)
"""What every frame asks for."""

_EYES: Final = Term[JointState](
    name="eyes",
    weight=1.0,
    unit="coverage",
    because="eyes are where the body has them",
    residual=_eyes,
    needs=("eyes",),
)

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
    _EYES,
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
        every=REFINED_EVERY,
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
        every=REFINED_EVERY,
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
    Term(
        name="hand_even",
        weight=0.5,
        unit="sRGB",
        because="frames draw hands badly: what only they show of a hand is kept even",
        residual=lambda s: _of_some(_rough(s).aux, s.hidden_hand),
    ),
    _EYES,
    *REGULARIZERS,
)
"""What a generated frame asks for."""

PATCH_TERMS: Final[tuple[Term[JointState], ...]] = (
    Term(
        name="face_image",
        weight=0.21,
        unit="-",
        because="a face is looked at first, and in the whole picture it is thirty pixels wide",
        residual=_of_branch(_colors, "plain"),
    ),
    Term(
        name="face_shape",
        weight=1.0,
        unit="-",
        because="with its texture frozen, only its shape can explain the picture",
        residual=_of_branch(_colors, "frozen"),
        needs=("frozen",),
    ),
    Term(
        name="face_seam",
        weight=0.1,
        unit="sRGB",
        because="a fringe or a hand before the face hides what is behind it",
        residual=_seam,
        needs=("seam", "flat"),
    ),
    Term(
        name="face_mask",
        weight=0.1,
        unit="coverage",
        because="cheek and chin end where the picture says",
        residual=_of_branch(_mask, "plain"),
    ),
    *_geometry(0.1, "plain", "_face"),
)
"""What the face's patch asks for, beside what the whole photo does."""
GENERATED_PATCH_TERMS: Final = tuple(
    term for term in PATCH_TERMS if term.name in ("face_image", "face_mask")
)
"""The same of a generated frame's enlarged face, which METHOD.md D does not have."""


def with_perception(
    terms: tuple[Term[JointState], ...], name: str, distance: Perceptual
) -> tuple[Term[JointState], ...]:
    """Add a perceptual distance to the terms of whole pictures; METHOD.md D gives it weight 1.

    It is looked at now and then, at so many times its weight: it takes as long as all the rest.
    """
    weight = next(term.weight for term in terms if term.name == "image")
    term = Term[JointState](
        name=name,
        weight=weight,
        unit="-",
        because="what differs in pixels may look the same, and the other way round",
        residual=_of_branch(partial(_perceived, distance=distance), "plain"),
        every=SLOW,
        needs=("scales",),
    )
    return (*terms, term)
