"""From a photo to a wardrobe, and from a wardrobe to garments that can be simulated."""

from dataclasses import dataclass, field, replace

from persona.body import SmplxBody
from persona.perception.wardrobe import guess_wardrobe
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.records.wardrobe import Wardrobe
from persona.records.wardrobe_file import Corrections, corrected
from persona.synthesis.physics.garment import make_garments
from persona.synthesis.physics.hair_points import seen_hair
from persona.synthesis.physics.outline import measure_outline, missing_arms


@dataclass(frozen=True, eq=False, kw_only=True)
class TailorWardrobe:
    """Photo, Observation, BodyFit -> Wardrobe."""

    body: SmplxBody
    """The body of the fit."""
    corrections: Corrections = field(default_factory=Corrections)
    """What somebody who knows says; it counts more than any guess."""

    def __call__(self, photo: Photo, observation: Observation, fit: BodyFit) -> Wardrobe:
        """Say which clothes the person wears and how far they stand off.

        Raises:
            InputError: The corrections contradict what was guessed; it says which to add.
        """
        guess = guess_wardrobe(photo, observation)
        outline = measure_outline(self.body, fit, observation, guess)
        return corrected(replace(guess, standoff=outline.standoff), self.corrections)


@dataclass(frozen=True, eq=False, kw_only=True)
class SewOutfit:
    """Observation, BodyFit, Wardrobe -> Outfit."""

    body: SmplxBody
    """The body of the fit."""

    def __call__(self, observation: Observation, fit: BodyFit, wardrobe: Wardrobe) -> Outfit:
        """Cut and sew what the wardrobe names; what cannot work is left out with a word."""
        outline = measure_outline(self.body, fit, observation, wardrobe)
        dressed = make_garments(
            wardrobe,
            self.body,
            fit.identity,
            outline=outline,
            hair=seen_hair(self.body, fit, observation) if wardrobe.hair > 0 else None,
            missing=missing_arms(observation),
        )
        return Outfit(garments=dressed.garments, warnings=dressed.warnings)
