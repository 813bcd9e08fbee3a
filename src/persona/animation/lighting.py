"""What light a person is drawn in, as it is typed."""

import math
from pathlib import Path

import torch

from persona.avatar import Avatar
from persona.avatar.light import Light
from persona.avatar.lit import LitAvatar
from persona.core.errors import InputError
from persona.images.radiance import read_radiance

PHOTO = "photo"
"""The word for the colours as the photo shows them."""
NONE = "none"
"""The word for no light and no shade: albedo."""


def light_from(text: str) -> Light | None:
    """Read a light: ``photo``, ``none``, the path of a panorama, or a direction towards a lamp.

    Args:
        text: A direction is three numbers with commas, as seen by the viewer of the photo: x to
            the right, y up, z towards the viewer.

    Returns:
        The light; None for the photo's own, which is in the colours already.

    Raises:
        InputError: It is none of these, or the panorama cannot be read.
    """
    word = text.strip()
    if word.lower() == PHOTO:
        return None
    if word.lower() == NONE:
        return Light.even()
    numbers = _numbers(word)
    if numbers is not None:
        return Light.from_direction(torch.tensor(numbers))
    if Path(word).suffix or Path(word).is_file():
        return Light.from_panorama(read_radiance(Path(word)))
    raise InputError(
        f"the light {text!r} is not known",
        why="it is photo, none, the path of a panorama (.hdr), or three numbers",
        fix="try --light=-1,1,1 for a lamp at the left, above and in front",
    )


def lit(avatar: Avatar, light: Light | None) -> Avatar | LitAvatar:
    """Give the person in a light, to be posed and drawn; None leaves the photo's, to the bit."""
    return avatar if light is None else LitAvatar(avatar=avatar, light=light)


def _numbers(word: str) -> tuple[float, ...] | None:
    """Read three finite numbers with commas; None where there are no such."""
    try:
        numbers = tuple(float(piece) for piece in word.split(","))
    except ValueError:
        return None
    return numbers if len(numbers) == 3 and all(map(math.isfinite, numbers)) else None
