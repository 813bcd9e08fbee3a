"""Play a motion: step through it, yield the posed Gaussians, and draw them."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.framing import Posable
from persona.animation.shadow import contact_shadow
from persona.core.errors import InputError
from persona.core.types import Image
from persona.geometry.cameras import Camera
from persona.records.gaussians import Gaussians
from persona.records.motion import Motion
from persona.rendering import render
from persona.rendering.compositing import over, straight_rgba


def play(avatar: Posable, motion: Motion) -> Iterator[Gaussians]:
    """Yield the posed cloud of every frame, one at a time."""
    for index in range(motion.frame_count):
        yield avatar.pose(motion.params.frame(index))


def draw(
    avatar: Posable,
    motion: Motion,
    cameras: Sequence[Camera],
    *,
    background: Float[Tensor, " 3"] | Image | None,
    shadow: bool = True,
) -> Iterator[Float[Tensor, "h w c"]]:
    """Yield the drawn frames of a motion.

    Args:
        avatar: Who moves.
        motion: What they do, on the floor at y = 0.
        cameras: One for each frame.
        background: A colour or a picture of the cameras' size; None leaves it transparent.
        shadow: Whether the person darkens the floor under them.

    Yields:
        sRGB in [0, 1]; with straight alpha as the fourth channel where there is no background.

    Raises:
        InputError: There are not as many cameras as frames.
    """
    if len(cameras) != motion.frame_count:
        raise InputError(
            f"{len(cameras)} cameras for {motion.frame_count} frames",
            why="every frame is seen by its own camera",
            fix="use `framing.frame_motion`, or repeat one camera",
        )
    with torch.no_grad():
        for gaussians, camera in zip(play(avatar, motion), cameras, strict=True):
            yield draw_frame(gaussians, camera, background=background, shadow=shadow)


def draw_frame(
    gaussians: Gaussians,
    camera: Camera,
    *,
    background: Float[Tensor, " 3"] | Image | None,
    shadow: bool = True,
) -> Float[Tensor, "h w c"]:
    """Draw one posed cloud; as `draw` for a single frame."""
    person = render(gaussians, camera, maps=False)
    color, alpha = person.color, person.alpha
    if shadow:
        dark = render(contact_shadow(gaussians), camera, maps=False).alpha
        # The shadow is black, so it adds coverage under the person and no colour.
        alpha = alpha + (1 - alpha) * dark
    if background is None:
        return straight_rgba(color, alpha)
    return over(color, alpha, background).clamp(0, 1)
