"""The people of the generated truth: bodies, hair, clothes, light, and what they do."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from persona.records.garment import Stiffness
from persona.synthesis.sample.light import SoftBox
from persona.synthesis.sample.look import Color, SampleLook

Pattern = Literal["plain", "stripes", "checks", "dots", "panels"]
"""What is printed on cloth."""


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """What a piece is made of."""

    color: Color
    """Main colour, sRGB."""
    second: Color = (0.9, 0.9, 0.88)
    """Of stripes, checks, dots, panels and trims."""
    pattern: Pattern = "plain"
    """What is printed on it."""
    size: float = 0.05
    """Of one repetition of the pattern [m]."""
    stiffness: Stiffness = Stiffness.MEDIUM
    """How it bends."""


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A top or trousers: cloth around trunk, arms or legs."""

    name: str
    """ "top" or "bottom"."""
    fabric: Fabric
    """What it is made of."""
    ends: tuple[float, float]
    """A top's hem, 0 at the hips and 1 at the lowest ribs, and its sleeves' ends, 0 at the
    shoulder, 1 at the elbow, 2 at the wrist. Trousers' waist, as a top's hem, and hems, 0 at the
    crotch, 1 at the knee and 2 at the ankle."""
    ease: float
    """Distance from the skin [m]."""
    straight: float = 0.0
    """How much it falls straight from where the body is widest above [0-1]."""
    flare: float = 0.0
    """How much farther out it hangs at its end [m]."""
    neck: float = 0.085
    """Half width of a top's neck hole [m]."""
    layer: int = 0
    """Over what it lies."""


@dataclass(frozen=True, kw_only=True)
class Tube:
    """A skirt: one piece around both legs."""

    name: str
    """ "skirt"."""
    fabric: Fabric
    """What it is made of."""
    waist: float
    """Where it is held, 0 at the hips and 1 at the lowest ribs."""
    hem: float
    """Where it ends, 0 at the crotch, 1 at the knee and 2 at the ankle."""
    flare: float
    """How much farther out the hem is cut than the body reaches [m]."""
    pleats: int = 0
    """Folds that are cut into it."""
    pleat_depth: float = 0.0
    """Of those at the hem [m]."""
    slit: float = 0.0
    """Opening in front, half its angle [rad]: a coat's."""
    layer: int = 0
    """Over what it lies."""


@dataclass(frozen=True, kw_only=True)
class Tight:
    """What lies on the skin like paint: leggings, a leotard, socks."""

    fabric: Fabric
    """What it is made of."""
    part: Literal["upper", "lower"]
    """Which half it covers."""
    end: float
    """Sleeves' or legs' end as for `Shell`."""


@dataclass(frozen=True, kw_only=True)
class TruePerson:
    """One generated person."""

    name: str
    """What is worn, in a word; also the folder."""
    look: SampleLook
    """Body, skin, hair, eyes and shoes; its clothes mean nothing."""
    cuts: tuple[Shell | Tube, ...]
    """Simulated clothes, from the skin outwards."""
    tights: tuple[Tight, ...] = ()
    """Clothes that are not."""
    light: tuple[SoftBox, ...]
    """The lamps."""
    wall: tuple[float, float, float] = (1.0, 0.995, 0.985)
    """Colour behind the person in the photo, linear, white about 1."""
    acts: tuple[tuple[str, float], ...] = (("walk", 0.9), ("turn", 0.9), ("dance", 0.8))
    """Built-in motions and their speeds, one after the other."""
    mirrored: bool = False
    """Whether left and right change places in them."""
    distance: float = 4.0
    """From the camera to the person [m]."""


def _light(
    key: tuple[float, float, float],
    color: Color,
    strength: float,
    *,
    dome: float,
    fill: float = 0.3,
    spread: float = 0.25,
) -> tuple[SoftBox, ...]:
    """Give one main lamp, a weaker one opposite, a rim and a dome, of few rays each."""
    tone = (strength * color[0], strength * color[1], strength * color[2])
    soft = (fill * 0.98, fill, fill * 1.04)
    above = (dome * 0.97, dome, dome * 1.03)
    return (
        SoftBox(name="key", direction=key, spread=spread, color=tone, rays=8),
        SoftBox(name="fill", direction=(-key[0], 0.3, 0.8), spread=0.35, color=soft, rays=3),
        SoftBox(name="rim", direction=(0.5, 0.6, -0.8), spread=0.3, color=soft, rays=3),
        SoftBox(name="dome", direction=(0.0, 1.0, 0.1), spread=0.95, color=above, rays=20),
    )


def _look(seed: int, betas: tuple[float, ...], **chosen: object) -> SampleLook:
    plain = SampleLook(
        seed=seed,
        betas=(*betas, *(0.0,) * (10 - len(betas))),
        skin=(0.84, 0.65, 0.53),
        hair=(0.25, 0.16, 0.10),
        hair_style="short",
        eyes=(0.30, 0.19, 0.11),
        top=(0.5, 0.5, 0.5),
        long_sleeves=False,
        bottom=(0.5, 0.5, 0.5),
        shoes=(0.87, 0.86, 0.83),
    )
    return replace(plain, **chosen)


_TROUSERS: Final = TruePerson(
    name="trousers",
    look=_look(
        101,
        (0.6, -1.0, 0.4, 0.2, 0.3, -0.2),
        hair=(0.13, 0.09, 0.07),
        shoes=(0.23, 0.20, 0.19),
    ),
    cuts=(
        Shell(
            name="bottom",
            fabric=Fabric(color=(0.20, 0.24, 0.34), stiffness=Stiffness.STIFF),
            ends=(0.55, 1.9),
            ease=0.016,
            straight=0.75,
            flare=0.03,
        ),
        Shell(
            name="top",
            fabric=Fabric(
                color=(0.80, 0.76, 0.66), second=(0.56, 0.16, 0.15), pattern="stripes", size=0.06
            ),
            ends=(-0.20, 0.72),
            ease=0.020,
            straight=0.8,
            layer=1,
        ),
    ),
    light=_light((-0.55, 0.60, 0.75), (1.0, 0.97, 0.92), 1.15, dome=0.45, fill=0.34),
    acts=(("walk", 0.85), ("turn", 0.8), ("squat", 0.8), ("dance", 0.75), ("reach", 0.9)),
)
_SHORTS: Final = TruePerson(
    name="shorts",
    look=_look(
        102,
        (0.2, -0.8, -0.5, 0.3, -1.5, 1.4),
        skin=(0.72, 0.52, 0.40),
        hair=(0.38, 0.24, 0.14),
        shoes=(0.55, 0.28, 0.20),
    ),
    cuts=(
        Shell(
            name="bottom",
            fabric=Fabric(color=(0.50, 0.45, 0.33), stiffness=Stiffness.MEDIUM),
            ends=(0.5, 0.85),
            ease=0.022,
            straight=0.9,
            flare=0.02,
        ),
        Shell(
            name="top",
            fabric=Fabric(
                color=(0.24, 0.40, 0.36), second=(0.85, 0.85, 0.80), pattern="checks", size=0.07
            ),
            ends=(-0.40, 1.95),
            ease=0.018,
            straight=0.6,
            layer=1,
        ),
    ),
    light=_light((-1.0, 0.35, 0.35), (1.0, 0.96, 0.88), 1.25, dome=0.42, fill=0.22),
    wall=(0.80, 0.84, 0.86),
    acts=(("turn", 0.7), ("reach", 0.8), ("walk", 1.0), ("squat", 0.7), ("wave", 0.9)),
    mirrored=True,
    distance=3.4,
)
_SKIRT: Final = TruePerson(
    name="skirt",
    look=_look(
        103,
        (-0.5, 1.2, 0.3, -0.4, 0.8, -0.6),
        skin=(0.58, 0.40, 0.30),
        hair=(0.13, 0.09, 0.07),
        hair_style="bob",
        shoes=(0.87, 0.86, 0.83),
    ),
    cuts=(
        Tube(
            name="skirt",
            fabric=Fabric(color=(0.62, 0.20, 0.30), stiffness=Stiffness.MEDIUM),
            waist=0.75,
            hem=0.85,
            flare=0.11,
            pleats=14,
            pleat_depth=0.012,
        ),
    ),
    tights=(
        Tight(
            fabric=Fabric(color=(0.86, 0.84, 0.78), pattern="panels", second=(0.25, 0.28, 0.36)),
            part="upper",
            end=0.85,
        ),
    ),
    light=_light((0.7, 0.5, 0.75), (1.0, 0.84, 0.62), 1.15, dome=0.40, fill=0.30),
    wall=(0.92, 0.84, 0.72),
    acts=(("dance", 0.7), ("walk", 0.95), ("turn", 0.9), ("bend", 0.8), ("twist", 0.8)),
)
_DRESS: Final = TruePerson(
    name="dress",
    look=_look(
        104,
        (0.1, 1.0, -0.3, 0.5, -0.4, 0.5),
        skin=(0.90, 0.74, 0.65),
        hair=(0.58, 0.43, 0.26),
        hair_style="bob",
        eyes=(0.30, 0.42, 0.54),
        shoes=(0.23, 0.20, 0.19),
    ),
    cuts=(
        Tube(
            name="skirt",
            fabric=Fabric(
                color=(0.22, 0.36, 0.56),
                second=(0.88, 0.86, 0.80),
                pattern="dots",
                size=0.055,
                stiffness=Stiffness.SOFT,
            ),
            waist=0.85,
            hem=1.35,
            flare=0.17,
        ),
        Shell(
            name="top",
            fabric=Fabric(
                color=(0.22, 0.36, 0.56),
                second=(0.88, 0.86, 0.80),
                pattern="dots",
                size=0.055,
                stiffness=Stiffness.SOFT,
            ),
            ends=(0.72, 0.35),
            ease=0.008,
            straight=0.0,
            neck=0.105,
            layer=1,
        ),
    ),
    light=_light((0.2, 1.0, 0.5), (0.93, 0.97, 1.0), 0.75, dome=0.70, fill=0.34, spread=0.6),
    wall=(0.86, 0.90, 0.97),
    acts=(("walk", 0.8), ("dance", 0.8), ("turn", 1.0), ("reach", 0.7), ("squat", 0.6)),
    mirrored=True,
    distance=4.6,
)
_COAT: Final = TruePerson(
    name="coat",
    look=_look(
        105,
        (1.0, 0.2, 0.6, -0.5, 0.2, 0.3),
        skin=(0.44, 0.29, 0.215),
        hair=(0.13, 0.09, 0.07),
        shoes=(0.55, 0.28, 0.20),
    ),
    cuts=(
        Shell(
            name="bottom",
            fabric=Fabric(color=(0.16, 0.16, 0.17), stiffness=Stiffness.MEDIUM),
            ends=(0.5, 1.9),
            ease=0.010,
            straight=0.3,
        ),
        Tube(
            name="skirt",
            fabric=Fabric(color=(0.66, 0.52, 0.36), stiffness=Stiffness.STIFF),
            waist=0.80,
            hem=1.05,
            flare=0.08,
            slit=0.06,
            layer=1,
        ),
        Shell(
            name="top",
            fabric=Fabric(
                color=(0.66, 0.52, 0.36),
                second=(0.30, 0.20, 0.13),
                pattern="panels",
                stiffness=Stiffness.STIFF,
            ),
            ends=(0.66, 1.92),
            ease=0.022,
            straight=0.3,
            layer=2,
        ),
    ),
    light=_light((0.9, 0.7, 0.4), (1.0, 0.98, 0.94), 1.2, dome=0.50, fill=0.26),
    wall=(0.72, 0.74, 0.72),
    acts=(("turn", 0.9), ("walk", 1.1), ("punch", 0.7), ("twist", 0.9), ("bend", 0.7)),
    distance=5.2,
)
_TIGHT: Final = TruePerson(
    name="tight",
    look=_look(
        106,
        (-0.2, 0.7, -0.6, 0.6, 1.0, -1.0),
        skin=(0.72, 0.52, 0.40),
        hair=(0.38, 0.24, 0.14),
        shoes=(0.87, 0.86, 0.83),
    ),
    cuts=(),
    tights=(
        Tight(
            fabric=Fabric(color=(0.17, 0.17, 0.22), pattern="panels", second=(0.30, 0.56, 0.62)),
            part="lower",
            end=1.88,
        ),
        Tight(
            fabric=Fabric(
                color=(0.72, 0.36, 0.22), second=(0.95, 0.90, 0.84), pattern="stripes", size=0.09
            ),
            part="upper",
            end=1.9,
        ),
    ),
    light=_light((-0.4, 0.9, 0.7), (1.0, 1.0, 1.0), 1.0, dome=0.55, fill=0.35),
    acts=(("squat", 0.9), ("reach", 1.0), ("kick", 0.7), ("lunge", 0.8), ("dance", 0.9)),
    mirrored=True,
    distance=3.8,
)

PEOPLE: Final[dict[str, TruePerson]] = {
    person.name: person for person in (_TROUSERS, _SHORTS, _SKIRT, _DRESS, _COAT, _TIGHT)
}
"""The six people by name: different builds, hair, clothes and light."""
