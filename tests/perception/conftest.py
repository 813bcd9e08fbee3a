"""A person made of numbers: standing in front of the camera, 800 px tall, 1000 x 1200 picture."""

import numpy as np
import pytest

from persona.perception.detectors import Sighting

WIDTH, HEIGHT = 1000, 1200
JOINTS = {
    0: (0, 1.58), 1: (0.03, 1.61), 2: (0.03, 1.61), 3: (0.04, 1.61), 4: (-0.03, 1.61),
    5: (-0.03, 1.61), 6: (-0.04, 1.61), 7: (0.07, 1.59), 8: (-0.07, 1.59), 9: (0.02, 1.54),
    10: (-0.02, 1.54), 11: (0.18, 1.40), 12: (-0.18, 1.40), 13: (0.25, 1.12), 14: (-0.25, 1.12),
    15: (0.27, 0.87), 16: (-0.27, 0.87), 17: (0.27, 0.80), 18: (-0.27, 0.80), 19: (0.27, 0.79),
    20: (-0.27, 0.79), 21: (0.25, 0.82), 22: (-0.25, 0.82), 23: (0.1, 0.90), 24: (-0.1, 0.90),
    25: (0.11, 0.50), 26: (-0.11, 0.50), 27: (0.11, 0.09), 28: (-0.11, 0.09), 29: (0.11, 0.04),
    30: (-0.11, 0.04), 31: (0.13, 0.02), 32: (-0.13, 0.02),
}  # fmt: skip
"""Metres; x to the person's own left, which is the picture's right, and up from the floor."""


def standing(**moved: tuple[float, float, float]) -> np.ndarray:
    """World landmarks of a standing person; ``j25=(x, y, z)`` puts joint 25 elsewhere."""
    world = np.array([(*JOINTS[index], 0.0) for index in range(33)])
    world[29:31, 2], world[31:33, 2] = -0.06, 0.12
    for joint, place in moved.items():
        world[int(joint[1:])] = place
    return world


def sighting(
    world: np.ndarray, *, scale: float = 470.0, left: float = 500.0, floor: float = 1100.0
) -> Sighting:
    """See these world points from the front: ``scale`` px a metre, feet at row ``floor``."""
    body = np.stack([left + scale * world[:, 0], floor - scale * world[:, 1]], 1)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    low, high = body.min(0), body.max(0)
    top = low[1] - 0.13 * scale
    rows = slice(int(max(top, 0)), int(np.clip(high[1] + 5, 0, HEIGHT)))
    columns = slice(int(max(low[0] - 5, 0)), int(np.clip(high[0] + 5, 0, WIDTH)))
    mask[rows, columns] = 1
    angle = np.linspace(0, 2 * np.pi, 478)
    face = np.stack([0.075 * np.sin(angle), 1.58 + 0.1 * np.cos(angle), 0 * angle], 1)
    face[10], face[152] = (0, 1.68, 0), (0, 1.48, 0)
    face = np.stack([left + scale * face[:, 0], floor - scale * face[:, 1], face[:, 2]], 1)
    return Sighting(
        body=body,
        visibility=np.ones(33),
        world=world - world[23:25].mean(0),
        face=face,
        left_hand=None,
        right_hand=None,
        mask=mask,
    )


@pytest.fixture
def person() -> Sighting:
    """Somebody standing, wholly in the frame."""
    return sighting(standing())
