"""Photo, Observation -> Wardrobe: which clothes are worn, where they end, how sure that is."""

from dataclasses import replace

import numpy as np

from persona.perception.detectors import Picture, Sighting
from persona.perception.garments import (
    LEGS,
    ONE_COLOUR,
    Figure,
    Garments,
    at,
    read_garments,
    sample,
)
from persona.perception.legs import LegCues, read_legs
from persona.perception.parts import make_figure
from persona.perception.trunk import hair_below_chin, outer_hem, read_midriff, read_neck
from persona.records.garment import Stiffness
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.records.wardrobe import Confidence, Doubt, Lower, Upper, Wardrobe

COVERED = 2.0
"""From here on a leg or an arm is covered to its end [bones]."""
LONG = 1.35
"""Legs of trousers end below this, legs of shorts above [bones]."""
LIKELY_TUBE, SURE_TUBE = 0.8, 0.95
"""Probabilities of a tube; below the first it is taken for two legs."""
COAT_LENGTH = 1.3
"""An upper garment that ends below this place hangs around both legs [trunk]."""
FLARE = 0.2
"""Sudden loss of width that ends a skirt, whatever the colours say [thighs]."""
FLARE_STEP = 8.0
"""Colour step on both legs that a hem has, if skin above it was none [Lab units]."""
SAME_PLACE = 0.2
"""Places that agree within this are one hem [bones]."""
OPEN = 0.15
"""Share of open stations, or of an open chord, from which legs are seen apart."""
FEW_ROWS = 2
"""Stations between crotch and hem that must be there to be judged."""
ONE_CLOTH, WEAK_CLOTH = 0.7, 0.3
"""Likeness of chest and thighs from which they are one cloth, whatever the pose, or may be."""
NO_SHIRT = -0.25
"""Sleeves that end here belong to nobody: the chest is bare [bones]."""
DENIM = (-6.0, 26.0, 62.0)
"""Cloth bluer than the first [Lab b] and of lightness between the others is denim."""


def guess_wardrobe(photo: Photo, observation: Observation) -> Wardrobe:
    """Guess which clothes the person wears; somebody who knows can correct the guess.

    Between the legs decides most: background above the hem means two legs. Nothing seen there
    means a tube only when the legs are seen apart below the hem and the pose hides nothing; an
    unsure skirt is taken for two legs and called a guess.

    Args:
        photo: The picture.
        observation: What was seen in it.
    """
    figure, _ = make_figure(_picture(photo), observation.mask.numpy(), _sighting(observation))
    return wardrobe_of(figure, read_garments(figure), observation)


def wardrobe_of(figure: Figure, garments: Garments, observation: Observation) -> Wardrobe:
    """Put borders and cues of a figure together."""
    cues = read_legs(figure, garments)
    if _widens(garments, cues):
        # A skirt over tights, or of the colour of skin: the outline tells where it ends.
        garments = replace(garments, hems=(cues.flare_at, cues.flare_at))
        cues = read_legs(figure, garments)
    hems = garments.hems if max(garments.hems) < COVERED else garments.cuffs
    bare = max(garments.hems) < COVERED
    tube = tube_probability(cues, hem=min(hems), alike=garments.alike)
    lower, confidence = _lower(tube, hems, cues, alike=garments.alike)
    midriff = read_midriff(figure) if garments.alike < ONE_CLOTH else None
    upper_hem, waist = midriff or (outer_hem(figure, garments.waist), garments.waist)
    is_tube = lower in (Lower.SKIRT, Lower.DRESS)
    coat = (
        waist > COAT_LENGTH and not is_tube and not figure.gray and garments.contrast > ONE_COLOUR
    )
    upper = Upper.COAT if coat else Upper.TOP
    if min(garments.sleeves) <= NO_SHIRT:
        upper = Upper.NONE
    elif lower is Lower.DRESS:
        waist = upper_hem = 1.0
    return Wardrobe(
        lower=lower,
        upper=Upper.TOP if lower is Lower.DRESS else upper,
        one_piece=lower is Lower.DRESS,
        hems=hems,
        sleeves=garments.sleeves,
        waist=waist,
        upper_hem=upper_hem,
        neck=read_neck(figure),
        hair=hair_below_chin(observation),
        lower_stiffness=_lower_stiffness(figure, min(hems), soft=is_tube),
        upper_stiffness=Stiffness.STIFF if coat else Stiffness.MEDIUM,
        confidence=confidence,
        level_confidence=_level_confidence(hems, cues, bare=bare),
        doubts=cues.doubts,
    )


def tube_probability(cues: LegCues, *, hem: float, alike: float) -> float:
    """Weigh the cues for one tube of cloth against two legs.

    Args:
        cues: What is seen on and between the legs.
        hem: Where the garment ends [bones].
        alike: How much top and lower garment look like one cloth, 0 to 1.
    """
    odds = -1.0  # skirts are rarer
    bare = hem < COVERED - 0.05
    if cues.rows < FEW_ROWS:
        return float(1 / (1 + np.exp(1 - odds)))  # what ends above the crotch is no tube
    odds += 1.5 - 5.5 * cues.split
    if cues.split < OPEN and bare:
        odds += 4 * min(cues.open_below, 0.5)  # legs are apart, and yet cloth spans them
        odds += 3 * alike  # shorts of the same cloth as the top are rare
    if cues.split < OPEN and not bare:
        odds += 6 * float(np.clip(cues.spread - 0.3, 0, 0.5))  # feet apart, and no gap
    if abs(cues.flare_at - hem) < OPEN:
        odds += 5 * min(cues.flare, 0.3)
    if cues.rows > 8:
        odds -= 0.3 * max(cues.seam - 5, 0)
    return float(1 / (1 + np.exp(-odds)))


def _widens(garments: Garments, cues: LegCues) -> bool:
    """Whether the outline suddenly loses width where neither skin nor shoes begin.

    Legs that look bare need a colour step there as well: who walks has a foot in the air.
    """
    hem = sum(garments.hems) / 2
    if max(garments.hems) < COVERED and cues.flare_step < FLARE_STEP:
        return False
    return (
        cues.flare > FLARE
        and Doubt.BENT not in cues.doubts
        and abs(hem - cues.flare_at) > SAME_PLACE
    )


def _lower(
    tube: float, hems: tuple[float, float], cues: LegCues, *, alike: float
) -> tuple[Lower, Confidence]:
    """Name the lower garment, and say how surely."""
    legs = Lower.TROUSERS if sum(hems) / 2 > LONG else Lower.SHORTS
    # A dress is known by the chest, whatever the legs do.
    blind = alike < ONE_CLOTH and {Doubt.CLOSED_LEGS, Doubt.SIDE_VIEW, Doubt.BENT} & {*cues.doubts}
    if tube > LIKELY_TUBE and not blind and Doubt.HIDDEN_LEGS not in cues.doubts:
        sure = tube > SURE_TUBE and not cues.doubts
        kind = Lower.DRESS if alike >= WEAK_CLOTH else Lower.SKIRT
        return kind, Confidence.SURE if sure else Confidence.LIKELY
    if cues.rows >= FEW_ROWS and cues.split > OPEN:
        sure = cues.split > 0.5 and not cues.doubts
        return legs, Confidence.SURE if sure else Confidence.LIKELY
    return legs, Confidence.GUESSED


def _level_confidence(hems: tuple[float, float], cues: LegCues, *, bare: bool) -> Confidence:
    """Say how surely the places are known: skin and cloth meet alike on both legs, or do not."""
    apart = abs(hems[0] - hems[1])
    if cues.doubts or apart > 0.3:
        return Confidence.GUESSED
    return Confidence.SURE if bare and apart < 0.1 else Confidence.LIKELY


def _lower_stiffness(figure: Figure, hem: float, *, soft: bool) -> Stiffness:
    """Guess how the lower garment bends: denim is stiff, skirts are soft, the rest between."""
    places = [
        at(figure.body[list(leg)], np.arange(0.15, max(0.3, hem - 0.1), 0.05)) for leg in LEGS
    ]
    colour = np.median(np.concatenate([sample(figure.lab, place) for place, _ in places]), 0)
    bluest, darkest, lightest = DENIM
    blue = colour[2] < bluest and abs(colour[1]) < 0.6 * abs(colour[2])
    if not figure.gray and blue and darkest < colour[0] < lightest:
        return Stiffness.STIFF
    return Stiffness.SOFT if soft else Stiffness.MEDIUM


def _picture(photo: Photo) -> Picture:
    """The photo as bytes, on light grey where its own alpha says nothing is there."""
    rgb = photo.rgb.numpy()
    if photo.alpha is not None:
        alpha = photo.alpha.numpy()[..., None]
        rgb = alpha * rgb + (1 - alpha) * 0.78
    return (rgb * 255 + 0.5).astype(np.uint8)


def _sighting(observation: Observation) -> Sighting:
    """Give the observation back in the words of the detectors."""
    seen = (observation.face, observation.left_hand, observation.right_hand)
    face, left_hand, right_hand = (None if one is None else one.numpy() for one in seen)
    return Sighting(
        body=observation.body.numpy(),
        visibility=observation.body_confidence.numpy(),
        world=observation.body_world.numpy(),
        face=face,
        left_hand=left_hand,
        right_hand=right_hand,
        mask=observation.mask.numpy(),
    )
