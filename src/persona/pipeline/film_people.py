"""Mark the people in pictures of a film, so that they can be taken out of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from persona.animation.film import FindPeople
from persona.perception.detectors import Detectors, Window

LIKELY: Final = 0.15
"""Pixels that are this likely a person's are taken for one: a rim left over shows more."""
RIM: Final = 0.02
"""Mask is widened by this share of the picture's height, over hair, shadow and blur."""
PIXELS: Final = 512
"""How large the model sees the picture."""


@contextmanager
def people_finder() -> Iterator[FindPeople]:
    """Give a function that marks the most prominent person of each picture."""
    with Detectors() as detectors:

        def find(picture: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
            height, width = picture.shape[:2]
            window = Window.around((0.0, 0.0, float(width), float(height)), margin=0.0)
            seen = detectors.person(picture, window, pixels=PIXELS)
            if seen is None:
                return np.zeros((height, width), bool)
            reach = 2 * max(1, round(RIM * height / 2)) + 1
            marks = (seen.mask > LIKELY).astype(np.uint8)
            return cv2.dilate(marks, np.ones((reach, reach), np.uint8)) > 0

        yield find
