"""Play a motion: step through it, yield the posed Gaussians, and draw them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.framing import Posable
from persona.animation.shadow import contact_shadow
from persona.avatar import Avatar
from persona.avatar.rates import RateTracker
from persona.avatar.slopes import Moved
from persona.core.errors import InputError
from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera
from persona.kernels import PosedPicture
from persona.records.body_params import BodyParams
from persona.records.frame_set import JointRates
from persona.records.gaussians import Gaussians
from persona.records.motion import Motion
from persona.rendering import render
from persona.rendering.compositing import over, straight_rgba

_ENDED = "ended"


class Drawable(Posable, Protocol):
    """What can be posed and drawn at once: an avatar."""

    @property
    def feels_motion(self) -> bool:
        """Whether it looks otherwise in motion than standing still in the same pose."""
        ...

    def draw(
        self,
        params: BodyParams,
        camera: Camera,
        *,
        rates: JointRates | None = None,
        gaussian_offsets: Float[Tensor, "n 3"] | Moved | None = None,
    ) -> PosedPicture:
        """Draw one pose over nothing, moving at some rates or by some offsets at rest [m]."""
        ...


def play(avatar: Posable, motion: Motion) -> Iterator[Gaussians]:
    """Yield the posed cloud of every frame, one at a time."""
    for index in range(motion.frame_count):
        yield avatar.pose(motion.params.frame(index))


def draw(
    avatar: Drawable,
    motion: Motion,
    cameras: Sequence[Camera],
    *,
    background: Float[Tensor, " 3"] | Image | None,
    shadow: bool = True,
    offsets: Iterable[Float[Tensor, "n 3"] | Moved | None] = repeat(None),
    film: Iterable[Image] | None = None,
) -> Iterator[Float[Tensor, "h w c"]]:
    """Yield the drawn frames of a motion.

    Args:
        avatar: Who moves.
        motion: What they do, on the floor at y = 0.
        cameras: One for each frame.
        background: A colour or a picture of the cameras' size; None leaves it transparent.
        shadow: Whether the person darkens the floor under them.
        offsets: For each frame what moves the Gaussians at rest [m], such as simulated cloth; read
            one at a time. Where it is None, cloth moves as the avatar has learned it.
        film: A picture behind the person for each frame, read one at a time, instead of
            ``background``.

    Yields:
        sRGB in [0, 1]; with straight alpha as the fourth channel where there is no background.

    Raises:
        InputError: There are not as many cameras, or offsets, as frames.
    """
    if len(cameras) != motion.frame_count:
        raise InputError(
            f"{len(cameras)} cameras for {motion.frame_count} frames",
            why="every frame is seen by its own camera",
            fix="use `framing.frame_motion`, or repeat one camera",
        )
    with torch.no_grad():
        moving = iter(offsets)
        pictures = None if film is None else iter(film)
        tracker = RateTracker()
        for index, camera in enumerate(cameras):
            params = motion.params.frame(index)
            rates = tracker.step(params, 1 / motion.fps) if avatar.feels_motion else None
            moved = next(moving, _ENDED)
            if isinstance(moved, str):
                raise InputError(
                    f"offsets ended after {index} of {motion.frame_count} frames",
                    why="every frame has its own",
                    fix="give one for each frame, None where nothing moves",
                )
            drawn = avatar.draw(params, camera, rates=rates, gaussian_offsets=moved)
            color = drawn.image.permute(1, 2, 0)
            under = drawn.means if shadow else None
            behind = background if pictures is None else next(pictures)
            yield _put_down(color, drawn.alpha, under, camera, behind)


def baked_offsets(avatar: Avatar, motion: Motion) -> Iterator[Moved | None]:
    """Yield, for `draw`, what the shapes baked from the cloth's network say in every frame.

    None where the avatar has learned nothing.
    """
    tracker = RateTracker()
    for index in range(motion.frame_count):
        params = motion.params.frame(index)
        rates = tracker.step(params, 1 / motion.fps)
        yield None if avatar.cloth is None else avatar.cloth.offsets(params, rates, baked=True)


def draw_frame(
    gaussians: Gaussians,
    camera: Camera,
    *,
    background: Float[Tensor, " 3"] | Image | None,
    shadow: bool = True,
) -> Float[Tensor, "h w c"]:
    """Draw one posed cloud; as `draw` for a single frame."""
    person = render(gaussians, camera, maps=False)
    under = gaussians.means if shadow else None
    return _put_down(person.color, person.alpha, under, camera, background)


def _put_down(
    color: Image,
    alpha: Mask,
    means: Float[Tensor, "n 3"] | None,
    camera: Camera,
    background: Float[Tensor, " 3"] | Image | None,
) -> Float[Tensor, "h w c"]:
    """Put a drawn person over the background, and over the shadow of their means, if given."""
    if means is not None:
        dark = render(contact_shadow(means), camera, maps=False).alpha
        # The shadow is black, so it adds coverage under the person and no colour.
        alpha = alpha + (1 - alpha) * dark
    if background is None:
        return straight_rgba(color, alpha)
    return over(color, alpha, background).clamp(0, 1)
