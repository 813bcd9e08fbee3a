"""How a person carries themselves: hanging arms, relaxed hands, breath, small unrest."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.curves import sine
from persona.animation.sketch import Amount, Sketch
from persona.body.skeleton import FINGERS

ARM_DROP: Final = 73.0
"""Turn of the hanging upper arm out of the T-pose [deg]; with the collar's 5 it hangs at 78."""
COLLAR_DROP: Final = 5.0
"""Turn of the collar bone with a hanging arm [deg]."""
FINGER_CURL: Final = {"index": 14.0, "middle": 19.0, "ring": 23.0, "pinky": 26.0}
"""Curl of each joint of a relaxed hand [deg]: more towards the little finger."""
FINGER_CLOSE: Final = {"index": 4.0, "middle": -5.0, "ring": -12.0, "pinky": -19.0}
"""Turn towards the middle of the hand that closes the rest pose's spread [deg]."""


def hang_arms(
    sketch: Sketch,
    *,
    swing: tuple[Amount, Amount] = (0.0, 0.0),
    elbow: tuple[Amount, Amount] = (14.0, 14.0),
    out: tuple[Amount, Amount] = (0.0, 0.0),
) -> None:
    """Let both arms hang, left first, swung forward by ``swing`` and away by ``out`` [deg]."""
    for index, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        lower = ARM_DROP - torch.as_tensor(out[index], dtype=torch.float64)
        forward = torch.as_tensor(swing[index], dtype=torch.float64)
        sketch.turn(f"{side}_collar", ("z", -sign * COLLAR_DROP), ("y", -sign * 0.12 * forward))
        # Down first, then fore and aft about the shoulder line, then the arm about itself, which
        # turns the elbow's hinge so that the forearm comes forward and a little inward.
        sketch.turn(
            f"{side}_shoulder",
            ("x", 4.0 - forward),
            ("z", -sign * lower),
            ("x", 8.0 - 0.1 * forward),
        )
        bend = torch.as_tensor(elbow[index], dtype=torch.float64)
        sketch.turn(f"{side}_elbow", ("y", -sign * bend), ("x", 0.25 * bend))
        sketch.turn(f"{side}_wrist", ("z", -sign * 4.0), ("x", 6.0))


def aim_arm(
    sketch: Sketch,
    side: str,
    share: Float[Tensor, " t"],
    *,
    forward: Amount,
    up: Amount,
    turn: Amount = 0.0,
    elbow: Amount = 10.0,
    palm: Amount = 0.0,
    wrist: Amount = 0.0,
    shrug: Amount = 0.0,
) -> None:
    """Take an arm ``share`` of the way from what it does to a direction.

    Args:
        sketch: Receives the arm.
        side: ``left`` or ``right``.
        share: 0 leaves the arm as it is, 1 has it as given.
        forward: 0 out to the side, 90 straight ahead, more is across the chest [deg].
        up: Above the horizontal [deg].
        turn: Of the upper arm about itself [deg]; 0 bends the elbow forward in the horizontal,
            positive turns the forearm down, negative up.
        elbow: Bend of the elbow [deg].
        palm: Pronation of the forearm [deg]; 0 has the thumb up when the elbow is bent.
        wrist: Bend of the hand towards its palm [deg].
        shrug: Lift of the collar bone [deg].
    """
    sign = 1.0 if side == "left" else -1.0

    def signed(amount: Amount) -> Tensor:
        return sign * torch.as_tensor(amount, dtype=torch.float64)

    ahead = signed(forward)
    sketch.blend(f"{side}_collar", share, ("z", signed(shrug)), ("y", -0.1 * ahead))
    sketch.blend(f"{side}_shoulder", share, ("y", -0.9 * ahead), ("z", signed(up)), ("x", turn))
    # The forearm turns along its whole length: more near the wrist than at the elbow.
    turned = torch.as_tensor(palm, dtype=torch.float64)
    sketch.blend(f"{side}_elbow", share, ("y", -signed(elbow)), ("x", 0.4 * turned))
    sketch.blend(f"{side}_wrist", share, ("z", -signed(wrist)), ("x", 0.6 * turned))


def relax_hands(sketch: Sketch, *, curl: tuple[Amount, Amount] = (1.0, 1.0)) -> None:
    """Curl the fingers as they hang by themselves; ``curl`` 0 is flat, 1 relaxed, 3.5 a fist."""
    for index, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        amount = torch.as_tensor(curl[index], dtype=torch.float64)
        for finger in FINGERS:
            if finger == "thumb":
                continue
            base = FINGER_CURL[finger] * amount
            # The rest pose spreads the fingers; a relaxed hand closes them.
            beside = FINGER_CLOSE[finger] * amount.clamp(max=1.15)
            for k, share in ((1, 0.9), (2, 1.15), (3, 0.75)):
                side_turn = ("y", sign * beside) if k == 1 else ("y", 0.0)
                sketch.turn(f"{side}_{finger}{k}", ("z", -sign * share * base), side_turn)
        sketch.turn(f"{side}_thumb1", ("y", sign * 12.0 * amount), ("z", -sign * 8.0 * amount))
        sketch.turn(f"{side}_thumb2", ("y", sign * 8.0 * amount))
        sketch.turn(f"{side}_thumb3", ("y", sign * 12.0 * amount))


def breathe(sketch: Sketch, *, breaths: int, depth: float = 1.0) -> None:
    """Lift chest and collar bones ``breaths`` whole times over the clip."""
    # In faster than out, with a rest between: a sine with its own overtone.
    phase = sketch.phase * breaths
    breath = 0.5 + 0.5 * (sine(phase, 0.25) + 0.25 * sine(2 * phase, 0.4))
    sketch.add("spine3", ("x", -1.3 * depth * breath))
    sketch.add("spine2", ("x", -0.6 * depth * breath))
    sketch.add("neck", ("x", 1.2 * depth * breath))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        sketch.add(f"{side}_collar", ("z", sign * 1.5 * depth * breath))
        sketch.add(f"{side}_shoulder", ("z", -sign * 1.0 * depth * breath))


def unrest(
    sketch: Sketch, *, seed: int, cycles: tuple[int, ...] = (1, 2, 3)
) -> Float[Tensor, " t"]:
    """Give a smooth aimless curve in about [-1, 1] that closes over the clip."""
    generator = torch.Generator().manual_seed(seed)
    total = sketch.zeros()
    for cycle in cycles:
        shift = float(torch.rand((), generator=generator))
        total = total + sine(sketch.phase * cycle, shift) / cycle
    return total / sum(1.0 / cycle for cycle in cycles)
