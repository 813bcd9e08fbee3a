"""Facial units: the 52 ARKit shapes, and the ten mixtures of them that serve as expression."""

import numpy as np

from open_body.anny_source import AnnySource, Floats


def both(action: str) -> dict[str, float]:
    """Mix the left and right halves of an action."""
    return {f"{action}Left": 1.0, f"{action}Right": 1.0}


EXPRESSIONS: tuple[dict[str, float], ...] = (
    both("mouthSmile"),
    both("mouthFrown"),
    {"browInnerUp": 1.0, **both("browOuterUp")},
    both("browDown"),
    both("eyeBlink"),
    both("eyeWide"),
    {"mouthPucker": 1.0},
    {"mouthFunnel": 1.0},
    {"cheekPuff": 1.0},
    {**both("mouthUpperUp"), **both("mouthLowerDown")},
)
"""What one unit of each expression coefficient adds up to."""


def face_actions(source: AnnySource, scale: float) -> Floats:
    """Give the 52 facial actions in calibrated metres, (52, V, 3); the T-pose turns no heads."""
    return source.blendshapes[-len(source.action_names) :] * scale


def expression_directions(names: list[str], actions: Floats) -> Floats:
    """Mix the actions into (V, 3, 10) expression directions."""
    return np.stack(
        [
            sum((share * actions[names.index(name)] for name, share in mix.items()), np.zeros(1))
            for mix in EXPRESSIONS
        ],
        -1,
    )
