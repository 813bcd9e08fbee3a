"""Dance: four bars of a light groove, side steps with swinging, then raised arms."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import ease, loop_curve, sine
from persona.animation.posture import breathe, hang_arms, relax_hands
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

BEAT_SECONDS: Final = 16 / 30
"""112 beats a minute."""
BEATS: Final = 16
"""Two bars of side steps with low arms, two with high arms."""
STEP_WIDTH: Final = 0.26
"""How far a side step goes [m]."""
STANCE: Final = 0.125
"""From the middle to each ankle when the feet are together enough to bounce [m]."""
BOUNCE: Final = 0.034
"""How far the knees give on every beat [m]."""
SIDE_KEYS: Final = (
    *((0.0, 0.0), (0.12, 0.75), (0.24, 1.0), (0.38, 0.8)),
    *((0.5, 0.0), (0.62, -0.75), (0.74, -1.0), (0.88, -0.8)),
)
"""Weight over four beats, -1 right to 1 left, as a share of the cycle."""
FLIGHTS: Final = (((2.40, 3.0), (3.40, 4.0)), ((0.40, 1.0), (1.40, 2.0)))
"""When the left and the right foot are in the air, in beats of four."""


def dance(*, speed: float = 1.0) -> Motion:
    """Compose the groove; it loops on the beat."""
    sketch = Sketch(BEATS * BEAT_SECONDS, speed=speed)
    beat = sketch.time / BEAT_SECONDS
    high = _high_arms(beat)
    side = _side(beat)
    _move_feet(sketch, beat)
    _move_trunk(sketch, beat, side, high)
    _move_arms(sketch, beat, high)
    return sketch.motion("dance", loops=True)


def _side(beat: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """Say where the weight is, -1 right to 1 left, over a four-beat step-touch-step-touch."""
    return loop_curve(beat / 4, SIDE_KEYS)


def _high_arms(beat: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    return ease(beat, 7.1, 8.2) * (1 - ease(beat, 14.8, 16.0))


def _dip(beat: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """Give the bounce: 1 at its lowest, just after every beat, 0 between."""
    phase = 2 * torch.pi * (beat - 0.08)
    return 0.5 + 0.5 * torch.cos(phase + 0.35 * torch.sin(phase))


def _move_feet(sketch: Sketch, beat: Float[Tensor, " t"]) -> None:
    """Step left, close, step right, close: one foot lands on every beat of four."""
    sketch.stand(width=STANCE, toe_out=16.0)
    sketch.knee_yaw[:] = torch.tensor([1.0, -1.0], dtype=torch.float64) * 14.0
    four = beat % 4.0
    for foot, flights in enumerate(FLIGHTS):
        away, back = sorted(flights)
        # The left foot is to the left except between its flights, the right foot the other way.
        inside = ease(four, *away) - ease(four, *back)
        place = 0.5 - inside if foot == 0 else inside - 0.5
        sketch.foot_position[:, foot, 0] += STEP_WIDTH * place
        for bar in range(BEATS // 4):
            for start, end in flights:
                lift, land = ((4 * bar + b) * BEAT_SECONDS for b in (start, end))
                sketch.step(foot, lift, land, lift=0.035, roll=22.0)


def _move_trunk(
    sketch: Sketch,
    beat: Float[Tensor, " t"],
    side: Float[Tensor, " t"],
    high: Float[Tensor, " t"],
) -> None:
    dip = _dip(beat)
    sketch.pelvis[:, 0] = 0.15 * side
    sketch.pelvis[:, 1] = -0.012 - BOUNCE * dip
    twist = sine(beat / 4, 0.02)
    sketch.turn("pelvis", ("y", 9.0 * twist), ("z", 5.0 * side), ("x", 2.0 + 2.0 * dip))
    for joint, share in (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)):
        sketch.turn(
            joint,
            ("y", -16.0 * share * twist),
            ("z", -11.0 * share * side),
            ("x", share * (1.0 + 4.0 * dip - 12.0 * high)),
        )
    nod = _dip(beat - 0.06)
    sketch.turn("neck", ("y", 3.0 * twist), ("z", 1.5 * side), ("x", -3.0 - 1.0 * nod + 3.0 * high))
    sketch.turn("head", ("y", 4.0 * twist), ("z", 4.0 * side), ("x", -6.0 + 6.0 * nod))


def _move_arms(sketch: Sketch, beat: Float[Tensor, " t"], high: Float[Tensor, " t"]) -> None:
    swing = sine(beat / 2, 0.05)
    pump = _dip(beat - 0.1)
    hang_arms(
        sketch,
        swing=(3.0 + 17.0 * swing, 3.0 - 17.0 * swing),
        elbow=(72.0 + 12.0 * swing, 72.0 - 12.0 * swing),
        out=(14.0 + 5.0 * pump, 14.0 + 5.0 * pump),
    )
    relax_hands(sketch, curl=(1.7 - 0.9 * high, 1.7 - 0.9 * high))
    sway = sine(beat / 4, 0.0)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        lean = 10.0 * sway
        sketch.blend(f"{side}_collar", high, ("z", sign * 16.0))
        # Arms up and open, swaying together, elbows soft and pumping with the beat.
        sketch.blend(
            f"{side}_shoulder",
            high,
            ("y", sign * 6.0),
            ("z", sign * 44.0 + lean - sign * 8.0 * pump),
            ("x", -50.0),
        )
        sketch.blend(f"{side}_elbow", high, ("y", -sign * (46.0 + 16.0 * pump)), ("x", 0.0))
        sketch.blend(f"{side}_wrist", high, ("z", sign * 12.0 * (1 - pump)))
    breathe(sketch, breaths=4, depth=0.8)
