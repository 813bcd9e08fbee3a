"""Walk: an easy pace towards the viewer, rolling from heel to toe."""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import sine
from persona.animation.gait import Gait, move_feet
from persona.animation.posture import hang_arms, relax_hands, unrest
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

STRIDE_SECONDS: Final = 1.1
"""Left heel to left heel: an unhurried walk."""
STRIDES: Final = 4
"""Strides before the clip repeats: enough for the head to wander once."""
STRIDE_LENGTH: Final = 1.13
"""From one left heel print to the next [m], for the mean body."""
FOOT_PITCH: Final = (
    *((0.0, -19.0), (0.04, -9.0), (0.085, 0.0), (0.2, 0.0), (0.33, 0.0), (0.42, 5.0), (0.5, 17.0)),
    *((0.56, 33.0), (0.61, 49.0), (0.655, 51.0), (0.74, 31.0), (0.82, 4.0), (0.91, -14.0)),
)
"""Heel lift over a stride [deg]: strike, flat, roll off, swing, reach."""
SWING: Final = (
    *((0.14, 0.204, 0.0577), (0.30, 0.203, 0.2202), (0.50, 0.158, 0.5)),
    *((0.72, 0.118, 0.8043), (0.88, 0.101, 0.9560)),
)
"""Share of the swing, height of the ankle [m], share of the way; toes clear the floor by 2 cm."""


def walk(*, speed: float = 1.0) -> Motion:
    """Compose four strides; the next repetition starts where this one ends.

    Who walks faster takes longer strides and more of them, both by the root of the speed.
    """
    longer = math.sqrt(speed)
    length = STRIDE_LENGTH * longer
    sketch = Sketch(STRIDE_SECONDS * STRIDES, speed=longer)
    stride = sketch.phase * STRIDES
    gait = Gait(
        stride_length=length,
        toe_off=0.61,
        under_hip=0.26,
        half_width=0.062,
        toe_out=6.0,
        foot_pitch=FOOT_PITCH,
        flat=(0.085, 0.33),
        swing=SWING,
    )
    move_feet(sketch, stride, gait)
    _move_pelvis(sketch, stride, length)
    _move_trunk(sketch, stride)
    forward = longer * torch.cos(2 * torch.pi * (stride - 0.02))
    # The left arm goes with the right leg.
    left, right = 3.0 - 17.0 * forward, 3.0 + 17.0 * forward
    lag = longer * torch.cos(2 * torch.pi * (stride - 0.06))
    hang_arms(
        sketch,
        swing=(left, right),
        elbow=(18.0 - 9.0 * lag, 18.0 + 9.0 * lag),
        out=(1.0 + 1.5 * forward.square(), 1.0 + 1.5 * forward.square()),
    )
    relax_hands(sketch, curl=(1.1 - 0.15 * lag, 1.1 + 0.15 * lag))
    return sketch.motion("walk", loops=True)


def _move_pelvis(sketch: Sketch, stride: Float[Tensor, " t"], length: float) -> None:
    # Highest over the standing leg, lowest with both feet down; towards the standing leg. Longer
    # legs of a triangle of the same height: it goes up and down by the square of the stride.
    longer = length / STRIDE_LENGTH
    bob = longer**2
    wave = torch.cos(4 * torch.pi * (stride - 0.29))
    sketch.pelvis[:, 1] = 0.047 - 0.060 * longer - 0.017 * bob * (1 - wave)
    sketch.pelvis[:, 0] = 0.020 * sine(stride, 0.04)
    sketch.pelvis[:, 2] = length * stride + 0.009 * sine(2 * stride, 0.02)
    sketch.turn(
        "pelvis",
        ("y", -5.0 * torch.cos(2 * torch.pi * (stride - 0.02))),
        ("z", 3.0 * sine(stride, 0.0)),
        ("x", 2.0 + 0.8 * torch.cos(4 * torch.pi * stride)),
    )


def _move_trunk(sketch: Sketch, stride: Float[Tensor, " t"]) -> None:
    counter = torch.cos(2 * torch.pi * (stride - 0.03))
    tilt = sine(stride, 0.0)
    nod = torch.cos(4 * torch.pi * (stride - 0.05))
    for joint, share in (("spine1", 0.25), ("spine2", 0.35), ("spine3", 0.4)):
        sketch.turn(
            joint,
            ("y", 10.0 * share * counter),
            ("z", -4.2 * share * tilt),
            ("x", 1.5 * share + 1.2 * share * nod),
        )
    look = unrest(sketch, seed=3)
    # The head keeps looking ahead: it undoes most of what the trunk does below it.
    for joint, share in (("neck", 0.45), ("head", 0.55)):
        sketch.turn(
            joint,
            ("y", share * (-4.5 * counter + 2.5 * look)),
            ("z", share * (1.0 * tilt + 1.0 * unrest(sketch, seed=5))),
            ("x", share * (-3.0 - 1.8 * nod)),
        )
