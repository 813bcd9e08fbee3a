"""Idle and wave: a person who stands and breathes, and one who greets."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import key_curve, loop_curve, sine, window
from persona.animation.posture import breathe, hang_arms, relax_hands, unrest
from persona.animation.sketch import Sketch
from persona.records.motion import Motion

IDLE_SECONDS: Final = 8.0
"""Two breaths and one shift of weight to either side."""
IDLE_WEIGHT: Final = (
    *((0.0, 0.55), (0.18, 0.8), (0.36, 0.45)),
    *((0.5, -0.35), (0.68, -0.75), (0.86, -0.3)),
)
"""Where the weight is over the clip, -1 right to 1 left."""
WAVE_SECONDS: Final = 5.0
"""Raise, four swings, lower, rest."""
WAVES: Final = 4
"""Swings of the forearm."""


def stand_at_ease(
    sketch: Sketch, *, weight: Float[Tensor, " t"], breaths: int, curl: float = 1.0
) -> None:
    """Put a standing person into ``sketch``.

    Args:
        sketch: Receives the posture.
        weight: Where the weight is, -1 right leg, 1 left leg.
        breaths: Whole breaths over the clip.
        curl: Curl of the fingers, 1 relaxed.
    """
    sketch.stand(width=0.105, toe_out=11.0)
    # The hip over the standing leg comes up and out, the other knee gives; the spine bends back
    # so that the shoulders stay nearly level and the head over the feet.
    sketch.pelvis[:, 0] = 0.028 * weight
    sketch.pelvis[:, 1] = -0.004 - 0.004 * weight.square()
    sketch.pelvis[:, 2] = 0.004
    sketch.turn("pelvis", ("y", -2.5 * weight), ("z", 2.6 * weight), ("x", 1.0))
    for joint, share in (("spine1", 0.5), ("spine2", 0.4), ("spine3", 0.3)):
        sketch.turn(joint, ("z", -3.0 * share * weight), ("y", 1.4 * share * weight), ("x", 0.8))
    sketch.turn("neck", ("z", -0.4 * weight), ("x", 1.5))
    sketch.turn("head", ("z", 1.2 * weight), ("x", -3.5))
    hang_arms(sketch, elbow=(15.0 + 1.5 * weight, 15.0 - 1.5 * weight))
    relax_hands(sketch, curl=(curl + 0.06 * weight, curl - 0.06 * weight))
    breathe(sketch, breaths=breaths)


def idle(*, speed: float = 1.0) -> Motion:
    """Compose a person at rest who breathes, shifts weight and looks about a little."""
    sketch = Sketch(IDLE_SECONDS, speed=speed)
    weight = loop_curve(
        sketch.phase,
        IDLE_WEIGHT,
    )
    stand_at_ease(sketch, weight=weight, breaths=2)
    look = loop_curve(
        sketch.phase, [(0.0, 0.0), (0.15, 3.0), (0.3, 7.0), (0.45, 5.0), (0.6, -4.0), (0.78, -6.0)]
    )
    for joint, share in (("neck", 0.4), ("head", 0.6)):
        sketch.add(
            joint,
            ("y", share * look),
            ("x", share * 2.0 * unrest(sketch, seed=1)),
            ("z", share * 2.0 * unrest(sketch, seed=2)),
        )
    for side, seed in (("left", 11), ("right", 12)):
        sketch.add(f"{side}_shoulder", ("x", 1.6 * unrest(sketch, seed=seed)))
        sketch.add(f"{side}_elbow", ("y", 2.0 * unrest(sketch, seed=seed + 2)))
        sketch.add(f"{side}_wrist", ("z", 2.5 * unrest(sketch, seed=seed + 4)))
    return sketch.motion("idle", loops=True)


def wave(*, speed: float = 1.0) -> Motion:
    """Compose a greeting with the right hand that starts and ends at rest."""
    sketch = Sketch(WAVE_SECONDS, speed=speed)
    time = sketch.time
    up = window(time, (0.35, 1.15), (3.45, 4.45))
    late = window(time, (0.5, 1.25), (3.35, 4.25))
    weight = 0.25 + 0.5 * window(time, (0.2, 1.1), (3.4, 4.7))
    stand_at_ease(sketch, weight=weight, breaths=2)
    for joint, share in (("spine2", 0.4), ("spine3", 0.6)):
        sketch.add(joint, ("z", -share * 3.0 * up), ("y", share * 3.0 * up))
    swing = _swing(sketch)
    sketch.blend("right_collar", up, ("z", -13.0), ("y", 6.0))
    # Upper arm out to the side and a little forward, forearm up, palm to the viewer.
    sketch.blend("right_shoulder", up, ("y", 16.0), ("z", 4.0 - 3.0 * swing), ("x", -78.0))
    sketch.blend("right_elbow", late, ("y", 96.0 - 17.0 * swing), ("x", 4.0))
    sketch.blend("right_wrist", late, ("y", -9.0 * _swing(sketch, lag=0.07)), ("x", 12.0))
    curl = 1.0 - 0.75 * late
    relax_hands(sketch, curl=(1.0, curl))
    sketch.add("head", ("z", 4.0 * up), ("y", 2.0 * up), ("x", -1.5 * up))
    sketch.add("neck", ("z", 2.0 * up))
    return sketch.motion("wave", loops=True)


def _swing(sketch: Sketch, *, lag: float = 0.0) -> Float[Tensor, " t"]:
    """Give the forearm's swing, -1 in to 1 out, dying away at both ends."""
    time = sketch.time - lag
    start, end = 1.0, 3.5
    beat = (time - start) / (end - start) * WAVES
    inside = window(time, (start, start + 0.3), (end - 0.3, end))
    return inside * sine(beat, 0.0)


def squat_depth(time: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """Give how deep a squat is at a time, 0 standing to 1 down."""
    return key_curve(time, [(0.3, 0.0), (1.55, 1.0), (1.8, 1.0), (2.9, 0.0)])


SQUAT_SECONDS: Final = 3.6
"""Down, a moment below, up, a breath."""


def squat(*, speed: float = 1.0) -> Motion:
    """Compose one squat with the arms out in front, heels on the floor."""
    sketch = Sketch(SQUAT_SECONDS, speed=speed)
    depth = squat_depth(sketch.time)
    early = squat_depth(sketch.time + 0.12)
    sketch.stand(width=0.16, toe_out=20.0)
    sketch.knee_yaw[:] = torch.tensor([1.0, -1.0]).double() * (14.0 + 10.0 * depth[:, None])
    sketch.pelvis[:, 1] = -0.006 - 0.40 * depth
    # The hips go back as the knees come forward, and the trunk leans over the feet.
    sketch.pelvis[:, 2] = -0.005 - 0.155 * depth
    lean = 26.0 * early
    sketch.turn("pelvis", ("x", 1.0 + 0.95 * lean))
    for joint, share in (("spine1", 0.30), ("spine2", 0.12), ("spine3", 0.08)):
        sketch.turn(joint, ("x", 0.8 + share * lean))
    sketch.turn("neck", ("x", 1.5 - 0.45 * lean))
    sketch.turn("head", ("x", -3.5 - 0.45 * lean))
    hang_arms(sketch)
    relax_hands(sketch, curl=(1.0 - 0.6 * early, 1.0 - 0.6 * early))
    breathe(sketch, breaths=1, depth=1.2)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        # Straight ahead at shoulder height: forward about y, then back up by the trunk's lean.
        sketch.blend(f"{side}_shoulder", early, ("x", -4.0 - 1.2 * lean), ("y", -sign * 80.0))
        sketch.blend(f"{side}_collar", early, ("y", -sign * 9.0), ("z", sign * 2.0))
        sketch.blend(f"{side}_elbow", early, ("y", -sign * 9.0))
    return sketch.motion("squat", loops=True)
