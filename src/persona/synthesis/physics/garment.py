"""Wardrobe, body -> Garments: meshes of everything that is worn, each tried before it is given."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.records.body_fit import Identity
from persona.records.garment import Garment, Stiffness
from persona.records.wardrobe import Lower, Standoff, Upper, Wardrobe
from persona.synthesis.physics.clearance import Cover, Skin, skin_of
from persona.synthesis.physics.edges import Cloth, lower_top, top_field, top_hem, trousers_field
from persona.synthesis.physics.hair_sheet import hair_sheet
from persona.synthesis.physics.outline import USUAL, Outline
from persona.synthesis.physics.rest_body import RestBody, rest_body
from persona.synthesis.physics.shell import Sheet, lifted_skin
from persona.synthesis.physics.soundness import fault
from persona.synthesis.physics.tube import COLUMNS, SPACING, tube
from persona.synthesis.physics.weld import welded

THICKNESS = {Stiffness.SOFT: 0.002, Stiffness.MEDIUM: 0.003, Stiffness.STIFF: 0.004}
"""Stiffness -> distance from the skin and from other cloth [m]."""
HAIR_THICKNESS = 0.004
"""Of a sheet of hair [m]."""
OVER = 0.006
"""How much farther a top stands off than the trousers under it [m]."""
HELD_BAND = 0.025
"""Width of a waistband or collar that does not slip [m]."""
TIGHT = 0.020
"""A cuff that stands off less is tight and does not slip [m]."""
FEWEST_WIDTHS = 2
"""Places at which a skirt's width must have been seen."""
JOIN = 0.80
"""Where the tube of a dress or coat is joined to its top [trunk]."""


@dataclass(frozen=True, kw_only=True)
class Dressed:
    """What could be made of a wardrobe."""

    garments: tuple[Garment, ...]
    """From the skin outwards."""
    warnings: tuple[str, ...]
    """What could not be made, and why."""


@dataclass(frozen=True, kw_only=True)
class _Room:
    """Where garments are made: the body and what they are made by."""

    rest: RestBody
    skin: Skin
    wardrobe: Wardrobe
    half_width: Callable[[Float[ndarray, " r"]], Float[ndarray, " r"]]
    leg_gap: Callable[[Float[ndarray, " v"]], Float[ndarray, " v"]] | None


def make_garments(
    wardrobe: Wardrobe,
    body: SmplxBody,
    identity: Identity,
    *,
    outline: Outline | None = None,
    hair: Float[ndarray, "n 3"] | None = None,
    missing: frozenset[str] = frozenset(),
) -> Dressed:
    """Cut and sew what somebody wears, on their own body in T-pose.

    Tops and trousers are the body's skin, lifted by how far cloth stands off it; skirts, dresses
    and coats are tubes around both legs. A piece that cannot work is dropped with a word.

    Args:
        wardrobe: What is worn. Its stand-off counts where it is not zero, the outline's elsewhere.
        body: The body of ``identity``.
        identity: The person's shape.
        outline: What the photo's outline tells; None takes usual distances.
        hair: Points of long hair, brought to T-pose [m].
        missing: Limbs that are not there: "left_arm", "right_arm"; sleeves on them are dropped.
    """
    rest = rest_body(body, identity)
    room = _Room(
        rest=rest,
        skin=skin_of(rest),
        wardrobe=_measured(wardrobe, outline),
        half_width=_half_width(rest, outline, hem=min(wardrobe.hems)),
        leg_gap=_leg_gap(rest, outline, given="standoff" in wardrobe.corrected),
    )
    garments: list[Garment] = []
    warnings: list[str] = []
    sleeves, words = _sleeves(room.wardrobe, missing)
    warnings += words
    makers: list[tuple[str, Callable[[Cover], Garment | None]]] = []
    if wardrobe.lower is not Lower.DRESS:
        makers.append((wardrobe.lower.value, lambda _: _lower(room)))
    if wardrobe.upper is not Upper.NONE:
        name = "dress" if wardrobe.lower is Lower.DRESS else wardrobe.upper.value
        makers.append((name, lambda cover: _upper(room, name, sleeves, cover)))
    if wardrobe.hair > 0 and hair is not None:
        makers.append(("hair", lambda cover: _hair(room, hair, cover)))
    cover: Cover = room.skin
    for name, make in makers:
        garment = make(cover)
        reason = "nothing of the body lies inside it" if garment is None else _fault_of(garment)
        if garment is None or reason:
            warnings.append(f"the {name} was left out: {reason}")
        else:
            garments.append(garment)
            cloth = garment.rest_vertices.double().numpy()
            cover = cover.covered_by(cloth, garment.faces.numpy())
    return Dressed(garments=tuple(garments), warnings=tuple(warnings))


def _fault_of(garment: Garment) -> str | None:
    return fault(garment.rest_vertices.double().numpy(), garment.faces.numpy())


def _measured(wardrobe: Wardrobe, outline: Outline | None) -> Wardrobe:
    """Fill stand-offs that nobody gave with the outline's, or with usual ones."""
    found = USUAL if outline is None else outline.standoff
    given = wardrobe.standoff
    parts = {
        name: getattr(given, name) or getattr(found, name)
        for name in ("trunk", "arms", "thighs", "shins")
    }
    return replace(wardrobe, standoff=Standoff(**parts))


def _half_width(
    rest: RestBody, outline: Outline | None, *, hem: float
) -> Callable[[Float[ndarray, " r"]], Float[ndarray, " r"]]:
    """Give half the outline's width at heights of the T-pose; the last one goes on to the hem."""
    if outline is None:
        return np.zeros_like
    known = (outline.half_widths > 0) & (outline.places < max(hem - 0.04, 0.2))
    if known.sum() < FEWEST_WIDTHS:
        return np.zeros_like
    heights = np.array([rest.leg_height(place) for place in outline.places[known]])[::-1]
    widths = outline.half_widths[known][::-1]

    def at(wanted: Float[ndarray, " r"]) -> Float[ndarray, " r"]:
        return np.interp(wanted, heights, widths)

    return at


def _leg_gap(
    rest: RestBody, outline: Outline | None, *, given: bool
) -> Callable[[Float[ndarray, " v"]], Float[ndarray, " v"]] | None:
    """Give how far trousers stand off at heights of the T-pose; None where that is not measured."""
    if outline is None or given or not len(outline.leg_places):
        return None
    heights = np.array([rest.leg_height(place) for place in outline.leg_places])[::-1]
    gaps = outline.leg_gaps[::-1]
    return lambda wanted: np.interp(wanted, heights, gaps)


def _sleeves(
    wardrobe: Wardrobe, missing: frozenset[str]
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Drop sleeves on arms that are not there."""
    sleeves, words = list(wardrobe.sleeves), []
    for index, side in enumerate(("left", "right")):
        if f"{side}_arm" in missing and sleeves[index] > 0:
            sleeves[index] = 0.0
            words.append(f"the {side} sleeve was left out: that arm is not in the photo")
    return (sleeves[0], sleeves[1]), tuple(words)


def _lower(room: _Room) -> Garment | None:
    """Make trousers, shorts or a skirt."""
    wardrobe, rest = room.wardrobe, room.rest
    thickness = THICKNESS[wardrobe.lower_stiffness]
    top = lower_top(rest, wardrobe)
    if wardrobe.is_tube:
        hem = rest.leg_height(sum(wardrobe.hems) / 2)
        sheet = tube(rest, room.skin, top=top, hem=hem, half_width=room.half_width, gap=thickness)
    else:
        sheet = lifted_skin(
            rest,
            room.skin,
            field=lambda cloth: trousers_field(rest, wardrobe, cloth),
            gap=_trousers_gap(room, thickness=thickness, top=top),
            thickness=thickness,
            crotch=rest.joint("left_hip")[1],
        )
    if sheet is None:
        return None
    held = _band(top - sheet.vertices[:, 1])
    if not wardrobe.is_tube and wardrobe.standoff.shins < TIGHT:
        for sign, hem in ((1, wardrobe.hems[0]), (-1, wardrobe.hems[1])):
            if hem > 1.7:
                cuff = _band(sheet.skin[:, 1] - rest.leg_height(hem))
                held = np.where(sign * sheet.vertices[:, 0] > 0, np.maximum(held, cuff), held)
    return _garment(
        wardrobe.lower.value, sheet, held, wardrobe.lower_stiffness, 0, is_tube=wardrobe.is_tube
    )


def _upper(room: _Room, name: str, sleeves: tuple[float, float], cover: Cover) -> Garment | None:
    """Make a top, a coat or a dress."""
    wardrobe, rest = room.wardrobe, room.rest
    long = name in ("dress", "coat")
    layer = 0 if name == "dress" else 1
    stiffness = wardrobe.upper_stiffness
    thickness = THICKNESS[stiffness]
    under = 0.0 if layer == 0 else THICKNESS[wardrobe.lower_stiffness] + OVER
    join = rest.trunk_height(JOIN)
    hem = join if long else top_hem(rest, wardrobe)
    gap = _top_gap(room, thickness=thickness, under=under)
    sheet = lifted_skin(
        rest,
        cover,
        field=lambda cloth: top_field(rest, wardrobe, cloth, hem=hem, sleeves=sleeves),
        gap=gap,
        thickness=thickness,
    )
    if sheet is not None and long:
        place = sum(wardrobe.hems) / 2 if name == "dress" else max(0.2, wardrobe.upper_hem - 1)
        below = tube(
            rest,
            room.skin,
            top=join - SPACING,
            hem=rest.leg_height(place),
            half_width=room.half_width,
            gap=thickness + under,
            cover=cover,
        )
        sheet = None if below is None else welded(sheet, below, columns=COLUMNS)
    if sheet is None:
        return None
    held = _collar(rest, sheet, wardrobe)
    if wardrobe.standoff.arms < TIGHT:
        for sign, sleeve in ((1, sleeves[0]), (-1, sleeves[1])):
            if sleeve > 1.7:
                cuff = _band(rest.arm_reach(sleeve) - sign * sheet.skin[:, 0])
                held = np.where(sign * sheet.skin[:, 0] > 0, np.maximum(held, cuff), held)
    return _garment(name, sheet, held, stiffness, layer, is_tube=long)


def _hair(room: _Room, hair: Float[ndarray, "n 3"], cover: Cover) -> Garment | None:
    """Make the soft layer of long hair; it is held by the head."""
    torso = room.rest.trunk_height(0) - room.rest.trunk_height(1)
    sheet = hair_sheet(room.rest, cover, hair, length=room.wardrobe.hair * torso)
    if sheet is None:
        return None
    held = np.clip((sheet.vertices[:, 1] - room.rest.chin) / 0.04, 0, 1)
    garment = _garment("hair", sheet, held, Stiffness.SOFT, 2, is_tube=False)
    return replace(garment, thickness_m=HAIR_THICKNESS)


def _trousers_gap(room: _Room, *, thickness: float, top: float) -> Float[ndarray, " v"]:
    """Say how far trousers stand off each vertex [m]; they narrow to the waistband."""
    rest, standoff = room.rest, room.wardrobe.standoff
    y = rest.vertices[:, 1]
    if room.leg_gap is not None:
        gap = room.leg_gap(y)
    else:
        gap = rest.weights @ _by_joint(thickness, standoff.thighs, standoff.shins)
    return np.maximum(gap * np.clip((top - y) / 0.15, 0, 1), thickness)


def _top_gap(room: _Room, *, thickness: float, under: float) -> Float[ndarray, " v"]:
    """Say how far a top stands off each vertex [m]; it lies on the shoulders, and hangs."""
    rest, standoff = room.rest, room.wardrobe.standoff
    by_joint = _by_joint(standoff.trunk, standoff.trunk + under, standoff.trunk + under)
    arms = [
        f"{side}_{name}" for side in ("left", "right") for name in ("shoulder", "elbow", "wrist")
    ]
    by_joint[[JOINT_IDS[name] for name in arms]] = standoff.arms
    by_joint[JOINT_IDS["pelvis"]] = max(standoff.trunk, thickness + under)
    gap = rest.weights @ by_joint
    lying = np.clip((rest.vertices[:, 1] - rest.trunk_height(0) + 0.06) / 0.10, 0, 1)
    arm = np.clip((np.abs(rest.vertices[:, 0]) - rest.arm_reach(0)) / 0.06, 0, 1)
    return np.maximum(gap * (1 - 0.7 * lying * (1 - arm)), thickness)


def _by_joint(trunk: float, thighs: float, shins: float) -> Float[ndarray, " 55"]:
    """Spread stand-offs over the joints that carry the skin."""
    values = np.full(55, trunk)
    for names, value in ((("hip",), thighs), (("knee", "ankle", "foot"), shins)):
        ids = [JOINT_IDS[f"{side}_{name}"] for side in ("left", "right") for name in names]
        values[ids] = value
    return values


def _band(inside: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """Hold what lies within a band of the edge, fading out over its width."""
    return np.clip(2 - np.maximum(inside, 0) / HELD_BAND, 0, 1)


def _collar(rest: RestBody, sheet: Sheet, wardrobe: Wardrobe) -> Float[ndarray, " n"]:
    """Hold a top at its neckline."""
    cloth = Cloth(points=sheet.vertices, weights=sheet.weights)
    return _band(top_field(rest, wardrobe, cloth, hem=-np.inf, sleeves=(9.0, 9.0)))


def _garment(
    name: str,
    sheet: Sheet,
    held: Float[ndarray, " n"],
    stiffness: Stiffness,
    layer: int,
    *,
    is_tube: bool,
) -> Garment:
    return Garment(
        name=name,
        rest_vertices=torch.from_numpy(sheet.vertices).float(),
        faces=torch.from_numpy(sheet.faces.astype(np.int64)),
        body_weights=torch.from_numpy(sheet.weights).float(),
        attachment=torch.from_numpy(np.clip(held, 0, 1)).float(),
        thickness_m=THICKNESS[stiffness],
        stiffness=stiffness,
        layer=layer,
        is_tube=is_tube,
    )
