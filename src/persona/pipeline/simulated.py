"""Clothes simulated through any motion: it is begun in the photo's pose, unseen."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from jaxtyping import Float
from torch import Tensor

from persona.animation.resampling import join
from persona.avatar import Avatar
from persona.avatar.slopes import Moved
from persona.records.motion import Motion
from persona.records.outfit import Outfit
from persona.synthesis.physics.worn_motion import simulate_worn

LEAD_SECONDS: Final = 0.8
"""How long the photo's pose takes to become the motion, before anything is shown [s]."""


def led_in(avatar: Avatar, motion: Motion) -> tuple[Motion, int]:
    """Let a motion begin in the photo's pose, and say how many frames that adds."""
    first = motion.params.frame(0)
    start = replace(avatar.photo_params, betas=first.betas, transl=first.transl)
    whole = join(start, motion, None, seconds=LEAD_SECONDS)
    return whole, whole.frame_count - motion.frame_count


def simulate_clothes(
    avatar: Avatar, outfit: Outfit, motion: Motion, *, tick: Callable[[], None] | None = None
) -> Iterator[Float[Tensor, "n 3"]]:
    """Simulate what somebody wears through a motion; see `worn_motion.simulate_worn`.

    Yields:
        For each frame what to add to the rest means [m], as `animation.player.draw` takes it.

    Raises:
        InputError: The outfit holds no garment.
    """
    whole, lead = led_in(avatar, motion)
    return islice(simulate_worn(avatar, outfit, whole, tick=tick), lead, None)


def turned(
    avatar: Avatar, frames: Iterable[Float[Tensor, "n 3"]]
) -> Iterator[Float[Tensor, "n 3"] | Moved]:
    """Let Gaussians turn with simulated cloth, where the avatar has nodes that say how.

    A frame at a time: slopes take three times the memory of offsets.
    """
    for moved in frames:
        if avatar.cloth is None:
            yield moved
        else:
            nodes, slopes = avatar.cloth.nodes, avatar.cloth.slopes
            yield replace(slopes.carry(nodes.gather(moved)), offsets=moved)
