"""The average colour of generated frames, put on what the photo does not show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.optimization.drift import hue_drift
from persona.optimization.facing import COLOR_FACING
from persona.optimization.joint_frames import Frame
from persona.optimization.ownership import LEAST_SHOWN, shown_shares
from persona.optimization.visibility import sample_image
from persona.records.observation import Part

RIM_PX: Final = 2
"""Pixels at the edge of the mask that mix person and background."""
ENOUGH: Final = 0.1
"""Weight at which frames count as much as what was invented: a surface that one frame of trust 0.4
sees at 60 degrees."""


@dataclass(frozen=True, kw_only=True)
class FrameTexture:
    """What frames show of every Gaussian."""

    colors: Float[Tensor, "n 3"]
    """Their average, sRGB; where no frame shows it, zero."""
    weights: Float[Tensor, " n"]
    """Sum over frames that show it, of trust times the square of how squarely they see it."""

    @property
    def say(self) -> Float[Tensor, " n"]:
        """How much the average is to be believed next to what was there, 0 to 1."""
        return self.weights / (self.weights + ENOUGH)


def average_texture(avatar: Avatar, frames: Sequence[Frame], *, threads: int) -> FrameTexture:
    """Average the colours that generated frames show each Gaussian in.

    A frame speaks of Gaussians that show in it, face its camera, and lie on pixels inside its mask
    that show their own part. Frames whose offsets are known exactly are left out: they were drawn
    of this very avatar, and would bring its own colours back, blurred.

    Args:
        avatar: Whose Gaussians.
        frames: The photo is no generated frame, and passed over.
        threads: Threads of the native kernels.

    References:
        PERSONA (arXiv 2508.09973), which fills unseen texture so; the weights are ours.
    """
    total = avatar.canonical.colors.new_zeros(avatar.count)
    colors = torch.zeros_like(avatar.canonical.colors)
    for frame in frames:
        if frame.is_photo or frame.offsets is not None:
            continue
        weights, seen = _seen_by(avatar, frame, threads)
        total += weights
        colors += weights[:, None] * seen
    return FrameTexture(colors=colors / total.clamp(min=1e-9)[:, None], weights=total)


def fill_unseen(
    avatar: Avatar, texture: FrameTexture, owned: Bool[Tensor, " n"]
) -> tuple[Avatar, Float[Tensor, "n 3"]]:
    """Put the frames' colours on what the photo does not show.

    A generator's hue drifts, and a back in another hue than the front would show: what the photo's
    Gaussians look like in photo and frames tells a gain and an offset for each part and channel.

    Args:
        avatar: As the photo alone made it.
        texture: Of the frames.
        owned: Gaussians that are the photo's; they stay as they are, to the bit.

    Returns:
        The avatar, and the colours in which frames show every Gaussian, drift and all.
    """
    first = avatar.canonical
    say = texture.say[:, None]
    plain = _without_drift(avatar, texture, owned)
    filled = torch.lerp(first.colors, plain.clamp(0, 1), say)
    colors = torch.where(owned[:, None], first.colors, filled)
    as_seen = torch.lerp(first.colors, texture.colors, say)
    return replace(avatar, canonical=replace(first, colors=colors)), as_seen


def told_of_fill(texture: FrameTexture, owned: Bool[Tensor, " n"]) -> tuple[str, ...]:
    """Say how much was filled, in a sentence; nothing where no frame could speak."""
    unseen = int((~owned).sum())
    filled = float(texture.say[~owned].sum()) if unseen else 0.0
    if filled == 0:
        return ()
    return (
        f"Frames gave their average colour to {filled / unseen:.0%} of the surface that the photo "
        "does not show, before they were learned from.",
    )


def _seen_by(
    avatar: Avatar, frame: Frame, threads: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
    """Give how much a frame has to say about each Gaussian, and the colour it shows it in."""
    picture, camera = frame.picture, frame.picture.camera
    with torch.no_grad():
        posed = avatar.pose(frame.params)
        pixels, _ = camera.project(posed.means)
        toward = torch.nn.functional.normalize(camera.position.to(posed.means) - posed.means, dim=1)
        facing = (toward * posed.normals).sum(1)
    size = 2 * RIM_PX + 1
    outside = (picture.mask <= 0.5).float()[None, None]
    clear = torch.nn.functional.max_pool2d(outside, size, stride=1, padding=RIM_PX)[0, 0] < 0.5
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    column = pixels[:, 0].long().clamp(0, camera.width - 1)
    row = pixels[:, 1].long().clamp(0, camera.height - 1)
    speaks = inside & clear[row, column] & (facing > COLOR_FACING)
    if picture.parts is not None:
        speaks &= picture.parts[row, column] == avatar.parts
    speaks &= shown_shares(posed, camera, threads=threads) > LEAST_SHOWN
    weights = picture.trust * facing.square() * speaks
    return weights, sample_image(picture.image, pixels)


def _without_drift(
    avatar: Avatar, texture: FrameTexture, owned: Bool[Tensor, " n"]
) -> Float[Tensor, "n 3"]:
    """Give the frames' colours as the photo would have shown them, part by part."""
    own = torch.nn.functional.one_hot(avatar.parts.long(), len(Part)).float()
    both_known = own * (texture.say * owned)[:, None]
    of_part = both_known / both_known.sum(0).clamp(min=1e-9)
    drift = hue_drift(texture.colors, avatar.canonical.colors, of_part=of_part, own=own)
    return texture.colors - drift
