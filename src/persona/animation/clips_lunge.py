"""Lunge and sit: the deep bends of the legs, one foot ahead or onto a chair."""

from typing import Final

from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import ease, key_curve, loop_curve, window
from persona.animation.posture import breathe, hang_arms, relax_hands
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

LUNGE_SECONDS: Final = 6.4
"""Left foot ahead, back, right foot ahead, back."""
LUNGE_LENGTH: Final = 0.68
"""How far the foot steps ahead [m]."""
LUNGE_DEPTH: Final = 0.30
"""How far the pelvis goes down [m]: the front thigh becomes level."""

SIT_SECONDS: Final = 7.0
"""Down, a look around, up."""
SEAT_DROP: Final = 0.385
"""How far the pelvis goes down to a chair of 45 cm [m]."""
SEAT_BACK: Final = 0.375
"""How far it goes back [m]."""
SIT_DOWN: Final = ((0.55, 0.0), (1.15, 0.42), (1.9, 1.0), (4.75, 1.0), (5.45, 0.45), (6.1, 0.0))
"""Depth over time."""
SIT_LEAN: Final = (
    *((0.25, 0.0), (1.3, 1.0), (1.75, 1.0), (2.7, 0.0)),
    *((3.75, 0.0), (4.65, 1.0), (5.0, 1.0), (6.3, 0.0)),
)
"""Lean of the trunk over time: it keeps the weight over the feet until the chair takes it."""


def lunge(*, speed: float = 1.0) -> Motion:
    """Compose a lunge with either leg: a long step, down until the front thigh is level, back."""
    sketch = Sketch(LUNGE_SECONDS, speed=speed)
    time = sketch.time
    half = LUNGE_SECONDS / 2
    sketch.stand(width=0.11, toe_out=6.0)
    depths = [_lunge_depth(time - start) for start in (0.0, half)]
    aheads = [_lunge_ahead(time - start) for start in (0.0, half)]
    for foot, (start, ahead) in enumerate(zip((0.0, half), aheads, strict=True)):
        _step_ahead(sketch, foot, start)
        other = 1 - foot
        # The heel behind comes up as far as the step and the depth ask for.
        sketch.tiptoe(other, 52.0 * window(time - start, (0.5, 1.2), (2.0, 2.65)))
        sign = 1.0 if foot == 0 else -1.0
        onto = window(time - start, (0.05, 0.5), (0.75, 1.15))
        off = window(time - start, (1.75, 2.2), (2.55, 3.0))
        sketch.pelvis[:, 0] -= sign * 0.085 * (onto + off)
        sketch.pelvis[:, 2] += 0.5 * LUNGE_LENGTH * ahead
    depth = depths[0] + depths[1]
    sketch.pelvis[:, 1] = -0.012 - LUNGE_DEPTH * depth
    turn = 5.0 * (aheads[0] - aheads[1])
    sketch.turn("pelvis", ("y", -turn), ("x", 2.0 + 7.0 * depth))
    for joint in ("spine1", "spine2", "spine3"):
        sketch.turn(joint, ("y", turn / 3), ("x", 0.8 - 0.5 * depth))
    sketch.turn("neck", ("x", 1.0 - 2.0 * depth))
    sketch.turn("head", ("x", -3.0 - 2.0 * depth))
    # Arms go against the legs, elbows bent, for balance.
    hang_arms(
        sketch,
        swing=(
            3.0 - 16.0 * depths[0] + 34.0 * depths[1],
            3.0 + 34.0 * depths[0] - 16.0 * depths[1],
        ),
        elbow=(16.0 + 56.0 * depth, 16.0 + 56.0 * depth),
        out=(5.0 * depth, 5.0 * depth),
    )
    relax_hands(sketch)
    breathe(sketch, breaths=2)
    return sketch.motion("lunge", loops=True)


def _lunge_depth(time: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    down = ((0.4, 0.0), (0.75, 0.40), (1.05, 0.83), (1.5, 1.0))
    up = ((1.65, 1.0), (2.05, 0.93), (2.3, 0.60), (2.5, 0.2), (2.75, 0.0))
    return key_curve(time, [*down, *up])


def _lunge_ahead(time: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """Say how far the pelvis is on its way to the middle of the step."""
    return ease(time, 0.5, 1.45) - ease(time, 1.6, 2.6)


def _step_ahead(sketch: Sketch, foot: int, start: float) -> None:
    time = sketch.time - start
    way = ease(time, 0.38, 1.02) - ease(time, 2.08, 2.72)
    sketch.foot_position[:, foot, 2] += LUNGE_LENGTH * way
    # It comes down, and leaves, on its heel: the shin points ahead by then.
    heel = window(time, (0.55, 0.95), (1.0, 1.25)) + window(time, (1.85, 2.15), (2.2, 2.6))
    sketch.foot_pitch[:, foot] -= 24.0 * heel
    sketch.step(foot, start + 0.35, start + 1.05, lift=0.07, roll=10.0)
    sketch.step(foot, start + 2.05, start + 2.75, lift=0.07, roll=10.0)


def sit(*, speed: float = 1.0) -> Motion:
    """Compose sitting down onto a chair of 45 cm that is not there, and getting up again."""
    sketch = Sketch(SIT_SECONDS, speed=speed)
    time = sketch.time
    down = key_curve(time, SIT_DOWN)
    lean = key_curve(time, SIT_LEAN)
    seated = window(time, (1.5, 2.5), (3.8, 4.7))
    sketch.stand(width=0.125, toe_out=9.0)
    sketch.pelvis[:, 1] = -0.006 - SEAT_DROP * down
    sketch.pelvis[:, 2] = -SEAT_BACK * down
    sketch.turn("pelvis", ("x", 1.0 + 28.0 * lean - 7.0 * seated))
    for joint, share in (("spine1", 0.45), ("spine2", 0.3), ("spine3", 0.2)):
        sketch.turn(joint, ("x", 0.8 + 42.0 * share * lean + 8.0 * share * seated))
    look = loop_curve(
        sketch.phase, [(0.0, 0.0), (0.3, 0.0), (0.4, 14.0), (0.5, 8.0), (0.6, -10.0), (0.7, 0.0)]
    )
    for joint, share in (("neck", 0.4), ("head", 0.6)):
        sketch.turn(joint, ("y", share * look * seated), ("x", -2.0 - share * 36.0 * lean))
    # Arms forward for balance on the way, then the hands lie on the thighs.
    moving = down * (1 - seated)
    swing = 3.0 + 15.0 * seated + 82.0 * moving
    bent = 15.0 + 27.0 * seated + 15.0 * moving
    hang_arms(sketch, swing=(swing, swing), elbow=(bent, bent), out=(6.0 * seated, 6.0 * seated))
    relax_hands(sketch, curl=(1.0 - 0.6 * seated, 1.0 - 0.6 * seated))
    breathe(sketch, breaths=2)
    return sketch.motion("sit", loops=True)
