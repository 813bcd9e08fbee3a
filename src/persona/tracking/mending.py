"""Mend frames in which the detector took the back for the front: left and right swapped, depth too.

Seen from afar the two are the same picture: mirror the depth, exchange left and right, and every
landmark is where it was. Detectors change their mind about it for some frames, people do not.
"""

from dataclasses import replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.tracking.middles import EXCHANGED
from persona.tracking.sightings import Sightings

SWAPPED: Final = (
    0,
    4,
    5,
    6,
    1,
    2,
    3,
    8,
    7,
    10,
    9,
    *(k + 1 if k % 2 else k - 1 for k in range(11, 33)),
)
"""The landmark on the other side, for each of MediaPipe Pose."""
JUDGES: Final = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Landmarks whose jumps tell."""
DOUBT: Final = 0.004
"""Price of a frame that is held for swapped [m]: most frames are right."""
FACE_DOUBT: Final = 0.5
"""The same where the face was seen: backs have none."""
FASTEST: Final = 3.0
"""Speed of joints about the hips that costs nothing, mean of the judges [m/s]."""
LARGEST_JUMP: Final = 0.5
"""Jumps farther than that by more than this cost no more [m]."""


def mend_swaps(sightings: Sightings) -> tuple[Sightings, Bool[Tensor, " t"]]:
    """Exchange left and right where that makes the motion continuous, and say where.

    The cheapest sequence of right and swapped frames is found by dynamic programming; what jumps
    farther between frames than people move costs, and so does every frame that is held for
    swapped.
    """
    here = sightings.world[:, JUDGES]
    other = _swapped(sightings.world)[:, JUDGES]
    swap = _cheapest(sightings, torch.stack([here, other], 1).double())
    world = torch.where(swap[:, None, None], _swapped(sightings.world), sightings.world)
    body = torch.where(swap[:, None, None], sightings.body[:, SWAPPED], sightings.body)
    seen = torch.where(swap[:, None], sightings.visibility[:, SWAPPED], sightings.visibility)
    flip = swap[:, None, None]
    left = torch.where(flip, sightings.right_hand, sightings.left_hand)
    right = torch.where(flip, sightings.left_hand, sightings.right_hand)
    mended = replace(
        sightings,
        world=world,
        body=body,
        visibility=seen,
        middles=torch.where(flip, sightings.middles[:, EXCHANGED], sightings.middles),
        widths=torch.where(swap[:, None], sightings.widths[:, EXCHANGED], sightings.widths),
        left_hand=left,
        right_hand=right,
        left_seen=torch.where(swap, sightings.right_seen, sightings.left_seen),
        right_seen=torch.where(swap, sightings.left_seen, sightings.right_seen),
    )
    return mended, swap


def _swapped(world: Float[Tensor, "t 33 3"]) -> Float[Tensor, "t 33 3"]:
    return world[:, SWAPPED] * world.new_tensor([1.0, 1.0, -1.0])


def _cheapest(sightings: Sightings, places: Float[Tensor, "t 2 j 3"]) -> Bool[Tensor, " t"]:
    """Find the cheapest sequence (Viterbi 1967); frames without the person pass the last one on."""
    frames = torch.nonzero(sightings.seen)[:, 0].tolist()
    swap = torch.zeros(sightings.count, dtype=torch.bool)
    if not frames:
        return swap
    costs = torch.zeros(2, dtype=torch.float64)
    choices: list[Tensor] = []
    for k, frame in enumerate(frames):
        doubt = FACE_DOUBT if bool(sightings.face_seen[frame]) else DOUBT
        own = costs.new_tensor([0.0, doubt])
        last = frames[k - 1]
        if k and bool(sightings.shots[last] == sightings.shots[frame]):
            gap = (places[frame][:, None] - places[last][None]).norm(dim=-1).mean(-1)
            possible = FASTEST * float(sightings.times[frame] - sightings.times[last])
            ways = costs[None] + (gap - possible).clamp(0.0, LARGEST_JUMP)
        else:
            ways = costs[None].expand(2, 2)
        best = ways.min(1)
        choices.append(best.indices)
        costs = best.values + own
    state = int(costs.argmin())
    for frame, choice in zip(reversed(frames), reversed(choices), strict=True):
        swap[frame] = bool(state)
        state = int(choice[state])
    return swap
