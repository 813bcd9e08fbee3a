"""Reach, twist and bend: the ranges of shoulders and spine, feet where they are."""

from typing import Final

from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import key_curve, window
from persona.animation.posture import aim_arm, breathe, hang_arms, relax_hands
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

REACH_SECONDS: Final = 6.4
"""Right hand up, down, left hand up, down."""
TWIST_SECONDS: Final = 5.6
"""Arms up, left, right, left, right, arms down."""
TWIST_TURNS: Final = (
    *((0.7, 0.0), (1.35, 1.0), (1.5, 1.0), (2.3, -1.0), (2.45, -1.0), (3.25, 1.0)),
    *((3.4, 1.0), (4.2, -1.0), (4.35, -1.0), (5.0, 0.0)),
)
"""Turn of the chest over time, 1 all the way to the left."""
BEND_SECONDS: Final = 8.0
"""Down, up and back a little, to the left, to the right, upright."""


def reach(*, speed: float = 1.0) -> Motion:
    """Compose a stretch to the top shelf, on the toes, with the right and then the left hand."""
    sketch = Sketch(REACH_SECONDS, speed=speed)
    sketch.stand(width=0.11, toe_out=8.0)
    half = REACH_SECONDS / 2
    ups = [window(sketch.time - start, (0.35, 1.3), (1.9, 2.9)) for start in (half, 0.0)]
    left, right = ups
    both, side = left + right, left - right
    toes = [window(sketch.time - start, (0.75, 1.45), (1.75, 2.4)) for start in (0.0, half)]
    high = toes[0] + toes[1]
    for foot in (0, 1):
        sketch.tiptoe(foot, 26.0 * high)
    sketch.pelvis[:, 0] = 0.030 * side
    sketch.pelvis[:, 1] = -0.008 + 0.062 * high
    # The weight goes over the balls of the feet before the heels leave the floor.
    onto = [window(sketch.time - start, (0.4, 1.05), (2.1, 2.8)) for start in (0.0, half)]
    sketch.pelvis[:, 2] = 0.13 * (onto[0] + onto[1])
    sketch.turn("pelvis", ("y", -5.0 * side), ("z", 4.0 * side), ("x", 1.0 - 1.0 * both))
    for joint, share in (("spine1", 0.35), ("spine2", 0.35), ("spine3", 0.3)):
        sketch.turn(
            joint,
            ("y", -12.0 * share * side),
            ("z", 4.0 * share * side),
            ("x", 0.8 - 11.0 * share * both),
        )
    sketch.turn("neck", ("y", 4.0 * side), ("x", 1.0 - 13.0 * both))
    sketch.turn("head", ("y", 5.0 * side), ("z", 2.0 * side), ("x", -3.0 - 11.0 * both))
    hang_arms(sketch, out=(6.0 * right, 6.0 * left), elbow=(15.0 + 8 * right, 15.0 + 8 * left))
    for index, name in enumerate(("left", "right")):
        start = half if index == 0 else 0.0
        time = sketch.time - start
        ahead = window(time, (0.25, 0.95), (2.2, 3.0))
        over = window(time, (0.55, 1.35), (1.85, 2.7))
        aim_arm(sketch, name, ahead, forward=82.0, up=-5.0, turn=-15.0, elbow=34.0, shrug=2.0)
        high = {"forward": 60.0, "up": 72.0, "turn": -20.0, "elbow": 6.0}
        aim_arm(sketch, name, over, **high, wrist=-28.0, shrug=26.0)
    relax_hands(sketch, curl=(1.0 - 0.8 * left, 1.0 - 0.8 * right))
    breathe(sketch, breaths=2)
    return sketch.motion("reach", loops=True)


def twist(*, speed: float = 1.0) -> Motion:
    """Compose turns of the chest over planted feet, elbows out at the height of the shoulders."""
    sketch = Sketch(TWIST_SECONDS, speed=speed)
    time = sketch.time
    sketch.stand(width=0.19, toe_out=13.0)
    turn = key_curve(time, TWIST_TURNS)
    late = key_curve(time - 0.06, TWIST_TURNS)
    up = window(time, (0.05, 0.85), (4.75, 5.55))
    sketch.pelvis[:, 0] = 0.035 * turn
    sketch.pelvis[:, 1] = -0.022 - 0.012 * turn.square()
    sketch.turn("pelvis", ("y", 16.0 * turn), ("x", 1.0 + 1.0 * up))
    for joint, share in (("spine1", 0.30), ("spine2", 0.35), ("spine3", 0.35)):
        sketch.turn(joint, ("y", 40.0 * share * turn), ("x", 0.8))
    sketch.turn("neck", ("y", 18.0 * late), ("x", 1.0))
    sketch.turn("head", ("y", 22.0 * late), ("x", -3.0))
    hang_arms(sketch)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = 10.0 * sign * late
        aim_arm(
            sketch, side, up, forward=38.0 - swing, up=-4.0, turn=0.0, elbow=88.0 + swing, shrug=4.0
        )
    relax_hands(sketch, curl=(1.0 + 0.4 * up, 1.0 + 0.4 * up))
    breathe(sketch, breaths=2, depth=0.7)
    return sketch.motion("twist", loops=True)


def bend(*, speed: float = 1.0) -> Motion:
    """Compose a bend to the floor, a lean back, and one to either side with an arm overhead."""
    sketch = Sketch(BEND_SECONDS, speed=speed)
    time = sketch.time
    sketch.stand(width=0.15, toe_out=10.0)
    down = key_curve(time, [(0.3, 0.0), (1.6, 1.0), (1.9, 1.0), (3.3, 0.0)])
    back = window(time, (2.9, 3.6), (3.75, 4.5))
    side = key_curve(
        time, [(4.2, 0.0), (5.2, 1.0), (5.45, 1.0), (6.65, -1.0), (6.9, -1.0), (7.85, 0.0)]
    )
    _bend_trunk(sketch, down, back, side)
    hang_arms(sketch)
    for name, sign in (("left", 1.0), ("right", -1.0)):
        # Straight to the floor; behind the hips for the lean back; overhead, away from the side.
        aim_arm(sketch, name, down, forward=88.0, up=24.0, turn=10.0, elbow=8.0, shrug=0.0)
        sketch.blend(f"{name}_shoulder", back, ("x", 30.0), ("z", -sign * 60.0), ("x", 8.0))
        away = (-sign * side).clamp(min=0.0)
        over = away * away * (3 - 2 * away)
        high = {"forward": 10.0, "up": 64.0, "turn": -25.0, "elbow": 28.0}
        aim_arm(sketch, name, over, **high, palm=-45.0, shrug=24.0)
    relax_hands(sketch, curl=(1.0 - 0.5 * down, 1.0 - 0.5 * down))
    breathe(sketch, breaths=2)
    return sketch.motion("bend", loops=True)


def _bend_trunk(
    sketch: Sketch, down: Float[Tensor, " t"], back: Float[Tensor, " t"], side: Float[Tensor, " t"]
) -> None:
    # The hips go back as the chest goes down, forward as it leans back: weight over the feet.
    sketch.pelvis[:, 0] = -0.030 * side
    sketch.pelvis[:, 1] = -0.006 - 0.065 * down - 0.006 * back
    sketch.pelvis[:, 2] = -0.155 * down + 0.055 * back
    sketch.turn("pelvis", ("z", 5.0 * side), ("x", 1.0 + 67.0 * down - 8.0 * back))
    for joint, share in (("spine1", 0.36), ("spine2", 0.34), ("spine3", 0.3)):
        sketch.turn(
            joint, ("z", -34.0 * share * side), ("x", 0.8 + share * (58.0 * down - 26.0 * back))
        )
    sketch.turn("neck", ("z", -8.0 * side), ("x", 1.0 + 8.0 * down - 9.0 * back))
    sketch.turn("head", ("z", -6.0 * side), ("x", -3.0 + 4.0 * down - 8.0 * back))
