import hashlib

import numpy as np
import pytest

from persona.core.errors import InputError
from persona.synthesis.diffusion.dwpose import DwposeSkeleton, draw_dwpose

PUBLISHED_SHA256 = "702b824ebec0699e5d82bdc880e6735f73b46c91f9d71d2911d0053811c577f2"
"""Of what MimicMotion's own drawing code makes of the skeleton below, at 256 x 144 px."""


def skeleton(**changed):
    random = np.random.default_rng(7)
    told = {
        "body": random.uniform(-0.1, 1.1, (18, 2)),
        "body_confidence": random.uniform(0, 1, 18),
        "hands": random.uniform(-0.05, 1, (2, 21, 2)),
        "hands_confidence": random.uniform(0, 1, (2, 21)),
        "face": random.uniform(-0.05, 1, (68, 2)),
        "face_confidence": random.uniform(0, 1, 68),
    }
    return DwposeSkeleton(**(told | changed))


def test_the_picture_is_the_published_one_to_the_pixel():
    drawn = draw_dwpose(skeleton(), 256, 144)
    assert drawn.shape == (3, 256, 144)
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == PUBLISHED_SHA256


def test_points_nobody_saw_are_not_drawn():
    nobody = skeleton(
        body_confidence=np.zeros(18),
        hands=np.zeros((2, 21, 2)),
        face=np.zeros((68, 2)),
    )
    assert not draw_dwpose(nobody, 128, 64).any()


def test_another_count_of_points_is_refused():
    with pytest.raises(InputError, match="face has points"):
        skeleton(face=np.zeros((51, 2)), face_confidence=np.zeros(51))
