"""Turn: once around on the spot, in small steps."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.clips_stand import stand_at_ease
from persona.animation.curves import ease, sine
from persona.animation.legs import rotation_y
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

TURN_SECONDS: Final = 5.2
"""Nine steps and a rest before and after."""
FIRST_STEP: Final = 0.4
"""When the first foot leaves the floor [s]."""
STEP_SECONDS: Final = 0.46
"""From one foot's lift to the other's: a little over two steps a second."""
SWING_SECONDS: Final = 0.36
"""How long a foot is in the air."""
CLEAR: Final = 0.025
"""A foot only goes up or down just after its lift and just before its landing [s]."""
LIFT: Final = 0.035
"""How high the ball of the foot is carried [m]."""
LEFT_YAWS: Final = (0.0, 45.0, 135.0, 225.0, 315.0, 360.0)
"""Where the left foot points after each of its steps, beside its toe-out [deg]."""
RIGHT_YAWS: Final = (0.0, 90.0, 180.0, 270.0, 360.0)
"""Likewise the right foot, which steps second."""


def turn(*, speed: float = 1.0) -> Motion:
    """Compose a full turn to the left; it ends as it began."""
    sketch = Sketch(TURN_SECONDS, speed=speed)
    time = sketch.time
    lifts = [FIRST_STEP + STEP_SECONDS * k for k in range(9)]
    end = lifts[-1] + SWING_SECONDS
    moving = ease(time, FIRST_STEP - 0.15, FIRST_STEP + 0.35) * (
        1 - ease(time, end - 0.3, end + 0.2)
    )
    beat = (time - FIRST_STEP) / (2 * STEP_SECONDS)
    # While the left foot is in the air the weight is on the right.
    sway = -moving * torch.sin(2 * torch.pi * (beat - 0.0)) * 0.55
    stand_at_ease(sketch, weight=sway, breaths=2)

    yaws = torch.stack(
        [_steps(time, LEFT_YAWS, lifts[0::2]), _steps(time, RIGHT_YAWS, lifts[1::2])], -1
    )
    body = _body_yaw(time, end)
    _place_feet(sketch, yaws, lifts)
    # Knees look where their foot points, so far as the hip lets them.
    sketch.knee_yaw[:] += 0.75 * (yaws - body[:, None])
    sketch.pelvis[:] = _turned(sketch.pelvis, body)
    sketch.pelvis[:, 1] += -0.014 * moving + 0.006 * moving * torch.cos(4 * torch.pi * (beat - 0.2))
    sketch.turn("pelvis", ("y", body), ("z", 2.2 * sway), ("x", 1.0 + 1.0 * moving))

    # Eyes and head lead, the chest follows, the hips come last.
    rate = moving * torch.ones_like(time)
    sketch.add("spine2", ("y", 3.0 * rate))
    sketch.add("spine3", ("y", 4.0 * rate))
    sketch.add("neck", ("y", 6.0 * _early(time, end)))
    sketch.add("head", ("y", 9.0 * _early(time, end)))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        drift = sign * 4.0 * moving + 5.0 * moving * sign * sine(beat, 0.1)
        sketch.add(f"{side}_shoulder", ("x", drift), ("z", sign * 3.5 * moving))
        sketch.add(f"{side}_elbow", ("y", -sign * 5.0 * moving))
    return sketch.motion("turn", loops=True)


def _steps(
    time: Float[Tensor, " t"], yaws: tuple[float, ...], lifts: list[float]
) -> Float[Tensor, " t"]:
    total = torch.full_like(time, yaws[0])
    for before, after, lift in zip(yaws, yaws[1:], lifts, strict=False):
        total = total + (after - before) * ease(time, lift + CLEAR, lift + SWING_SECONDS - CLEAR)
    return total


def _body_yaw(time: Float[Tensor, " t"], end: float) -> Float[Tensor, " t"]:
    """Turn evenly, with an easy start and end [deg]."""
    start, ramp = FIRST_STEP - 0.05, 0.6
    # Speed rises over `ramp`, stays, and falls over `ramp`; the integral of two eased ramps.
    length = end - start
    rate = ease(time, start, start + ramp) * (1 - ease(time, end - ramp, end))
    turned = torch.cumsum(rate, 0) - 0.5 * rate
    share = turned / rate.sum() if length > 0 else turned
    return 360.0 * share


def _early(time: Float[Tensor, " t"], end: float) -> Float[Tensor, " t"]:
    return ease(time, FIRST_STEP - 0.35, FIRST_STEP + 0.15) * (
        1 - ease(time, end - 0.75, end - 0.1)
    )


def _place_feet(sketch: Sketch, yaws: Float[Tensor, "t 2"], lifts: list[float]) -> None:
    """Carry the feet around the middle; each rises, turns and comes down."""
    sketch.foot_position[:] = _turned(sketch.foot_position, yaws)
    sketch.foot_yaw[:] += yaws
    for index, start in enumerate(lifts):
        sketch.step(index % 2, start, start + SWING_SECONDS, lift=LIFT, roll=18.0)


def _turned(points: Float[Tensor, "*t 3"], yaw_deg: Float[Tensor, "*t"]) -> Float[Tensor, "*t 3"]:
    return (rotation_y(torch.deg2rad(yaw_deg)) @ points[..., None])[..., 0]
