"""Kick and punch: fast ends of arms and legs on a body that stays over its feet."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import key_curve, sine, window
from persona.animation.posture import aim_arm, breathe, hang_arms, relax_hands
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

KICK_SECONDS: Final = 6.0
"""Right leg, down, left leg, down."""
KICK_HEIGHT: Final = (
    *((0.5, 0.0), (0.95, 0.38), (1.3, 0.70), (1.45, 0.70), (1.85, 0.38), (2.4, 0.0)),
)
"""Height of the kicking ankle over where it stands [m], at seconds from the start of a half: knee
up, out, knee up, down."""
KICK_AHEAD: Final = (
    *((0.6, 0.0), (0.95, 0.20), (1.3, 0.73), (1.45, 0.73), (1.85, 0.20), (2.28, 0.0)),
)
"""How far it is ahead of where it stands [m]."""
KICK_PITCH: Final = (
    *((0.45, 0.0), (0.62, 22.0), (0.95, 8.0), (1.3, -62.0), (1.45, -62.0)),
    *((1.85, 5.0), (2.2, 10.0), (2.4, 0.0)),
)
"""Heel lift of the kicking foot [deg]: toes down when it leaves, sole ahead when it meets."""

PUNCH_SECONDS: Final = 3.8
"""Jab, cross, a breath, jab, cross."""
PUNCHES: Final = ((0, 0.30), (1, 0.85), (0, 2.10), (1, 2.65))
"""Arm (0 left) and when it starts [s]."""
OUT_SECONDS: Final = 0.30
"""From the guard to the stretched arm."""
BACK_SECONDS: Final = 0.38
"""Back to the guard."""


def kick(*, speed: float = 1.0) -> Motion:
    """Compose a front kick with either leg: knee up, out, knee up, down, on one foot throughout."""
    sketch = Sketch(KICK_SECONDS, speed=speed)
    half = KICK_SECONDS / 2
    sketch.stand(width=0.10, toe_out=12.0)
    sides, ups, outs = sketch.zeros(), sketch.zeros(2), sketch.zeros()
    for foot, start in ((1, 0.0), (0, half)):
        time = sketch.time - start
        sign = 1.0 if foot == 0 else -1.0
        sides = sides - sign * window(time, (0.05, 0.6), (2.15, 2.8))
        ups[:, foot] = window(time, (0.45, 0.95), (1.85, 2.4))
        outs = outs + window(time, (0.95, 1.32), (1.42, 1.85))
    _swing_legs(sketch, half)
    up = ups.sum(-1)
    sketch.pelvis[:, 0] = 0.088 * sides
    sketch.pelvis[:, 1] = -0.018 - 0.012 * up
    sketch.pelvis[:, 2] = -0.035 * up - 0.045 * outs
    turn = 8.0 * outs * sides
    lean = 1.0 - 7.0 * up - 8.0 * outs
    sketch.turn("pelvis", ("y", turn), ("z", 3.0 * sides * (1 - up)), ("x", lean))
    for joint, share in (("spine1", 0.4), ("spine2", 0.3), ("spine3", 0.3)):
        sketch.turn(
            joint,
            ("y", -share * turn),
            ("z", -share * 5.0 * sides),
            ("x", 0.8 + share * (9.0 * up - 2.0 * outs)),
        )
    sketch.turn("neck", ("x", 1.0 + 4.0 * outs))
    sketch.turn("head", ("x", -2.0 + 3.0 * outs))
    _guard(sketch, up=0.75 * up)
    breathe(sketch, breaths=2)
    return sketch.motion("kick", loops=True)


def _swing_legs(sketch: Sketch, half: float) -> None:
    """Carry the right foot, and half the clip later the left, up, out and back."""
    starts = {1: 0.0, 0: half}
    pitches = [key_curve(sketch.time - starts[foot], KICK_PITCH) for foot in (0, 1)]
    # The heel rises and lands over the ball of the foot; only in the air the ankle leads.
    sketch.foot_pitch[:] = torch.stack(pitches, -1).clamp(min=0.0)
    ankles = sketch.ankles()
    sketch.foot_pitch[:] = torch.stack(pitches, -1)
    for foot, start in starts.items():
        time = sketch.time - start
        sign = 1.0 if foot == 0 else -1.0
        ankles[:, foot, 1] += key_curve(time, KICK_HEIGHT)
        ankles[:, foot, 2] += key_curve(time, KICK_AHEAD)
        inward = window(time, (0.62, 1.0), (1.8, 2.2))
        ankles[:, foot, 0] -= sign * 0.03 * inward
        sketch.foot_yaw[:, foot] -= sign * 10.0 * inward
        sketch.knee_yaw[:, foot] -= sign * 6.0 * inward
    sketch.carry_feet(ankles)


def punch(*, speed: float = 1.0) -> Motion:
    """Compose jab and cross from a boxer's guard, left foot ahead; hips and chest throw them."""
    sketch = Sketch(PUNCH_SECONDS, speed=speed)
    lifts, throws, turns = (sketch.zeros(2) for _ in range(3))
    for arm, start in PUNCHES:
        out, back = start + OUT_SECONDS, start + OUT_SECONDS + BACK_SECONDS
        # The upper arm goes before the elbow, so that the fist leaves the chin on a straight line.
        lifts[:, arm] += window(sketch.time, (start, out - 0.06), (out + 0.10, back + 0.06))
        throws[:, arm] += window(sketch.time, (start + 0.04, out), (out + 0.04, back - 0.02))
        # The hips begin before the arm and come back after it.
        turns[:, arm] += window(sketch.time, (start - 0.1, out), (out + 0.04, back + 0.1))
    jab, cross = turns.unbind(-1)
    yaw = -26.0 - 8.0 * jab + 34.0 * cross
    _box_stance(sketch, cross, yaw)
    bob = 0.5 + 0.5 * torch.cos(2 * torch.pi * 4 * sketch.phase)
    sketch.pelvis[:, 0] = 0.01 * sine(2 * sketch.phase, 0.0)
    sketch.pelvis[:, 1] = -0.060 - 0.012 * bob - 0.012 * cross
    sketch.pelvis[:, 2] = 0.02 * jab + 0.05 * cross
    sketch.turn("pelvis", ("y", yaw), ("x", 5.0 + 3.0 * cross))
    chest = -4.0 - 14.0 * jab + 30.0 * cross
    for joint, share in (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)):
        sketch.turn(joint, ("y", share * chest), ("x", 3.0 + 1.5 * (jab + cross)))
    # The eyes stay on the one before.
    for joint, share in (("neck", 0.5), ("head", 0.5)):
        sketch.turn(joint, ("y", -share * (yaw + chest)), ("x", -3.0))
    _guard(sketch, up=torch.ones_like(bob))
    for index, side in enumerate(("left", "right")):
        _throw(sketch, side, lifts[:, index], throws[:, index])
    return sketch.motion("punch", loops=True)


def _throw(
    sketch: Sketch, side: str, lift: Float[Tensor, " t"], throw: Float[Tensor, " t"]
) -> None:
    """Lift the elbow behind the fist, then stretch the arm and turn the palm down."""
    # Straight ahead in the world, however the chest is turned.
    ahead = 42.0 if side == "left" else 60.0
    elbow, palm = 125.0 - 117.0 * throw, -20.0 + 80.0 * throw
    aim_arm(
        sketch,
        side,
        lift,
        forward=ahead,
        up=13.0 - 22.0 * (1 - throw),
        turn=15.0 - 45.0 * (1 - throw),
        elbow=elbow,
        palm=palm,
        shrug=8.0,
    )


def _guard(sketch: Sketch, *, up: Float[Tensor, " t"]) -> None:
    """Bring both fists before the chin, elbows near the ribs, ``up`` of the way."""
    hang_arms(sketch)
    relax_hands(sketch, curl=(1.0 + 2.3 * up, 1.0 + 2.3 * up))
    for side in ("left", "right"):
        aim_arm(
            sketch,
            side,
            up,
            forward=55.0,
            up=-58.0,
            turn=-50.0,
            elbow=130.0,
            palm=-20.0,
            shrug=2.0,
        )


def _box_stance(sketch: Sketch, cross: Float[Tensor, " t"], yaw: Float[Tensor, " t"]) -> None:
    """Left foot ahead, right foot behind and turned out; its heel comes up with the cross."""
    sketch.stand(width=0.14, toe_out=8.0)
    sketch.foot_position[:, 0, 2] += 0.20
    sketch.foot_position[:, 1, 2] -= 0.20
    sketch.foot_yaw[:, 0] = -4.0
    sketch.foot_yaw[:, 1] = -34.0 + 14.0 * cross
    sketch.tiptoe(1, 8.0 + 20.0 * cross)
    # Knees point where their feet do, whatever the hips do above them.
    sketch.knee_yaw[:] = 0.85 * (sketch.foot_yaw - yaw[:, None])
