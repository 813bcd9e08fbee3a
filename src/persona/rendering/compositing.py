"""Put a drawn person over white, a colour, a picture, or nothing."""

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Image, Mask

WHITE = (1.0, 1.0, 1.0)
"""sRGB of the default background."""


def over(premultiplied: Image, alpha: Mask, background: Float[Tensor, " 3"] | Image) -> Image:
    """Lay a premultiplied picture over a colour or a picture of the same size.

    Raises:
        InputError: The background is neither.
    """
    if background.shape not in ((3,), premultiplied.shape):
        raise InputError(
            f"the background has shape {tuple(background.shape)}",
            why=f"it must be one colour (3) or a picture {tuple(premultiplied.shape)}",
            fix="crop or resize it first, see fit_background",
        )
    return premultiplied + (1 - alpha)[..., None] * background.to(premultiplied)


def straight_rgba(premultiplied: Image, alpha: Mask) -> Float[Tensor, "h w 4"]:
    """Give the picture with straight alpha, as PNG and WebM store it."""
    # Under half a step of 8 bits no colour can be told, and dividing would make noise.
    faint = alpha < 0.5 / 255
    color = premultiplied / torch.where(faint, torch.ones_like(alpha), alpha)[..., None]
    color = torch.where(faint[..., None], torch.zeros_like(color), color)
    return torch.cat([color, alpha[..., None]], -1).clamp(0, 1)


def fit_background(picture: Image, *, width: int, height: int) -> Float[Tensor, "height width 3"]:
    """Scale a picture to cover ``width`` x ``height`` and cut its middle out.

    Raises:
        InputError: The picture or the size is empty.
    """
    rows, columns = picture.shape[:2]
    if min(rows, columns, width, height) < 1:
        raise InputError(
            f"a background of {columns} x {rows} was to cover {width} x {height} pixels",
            why="neither may be empty",
            fix="give another picture or size",
        )
    scale = max(width / columns, height / rows)
    size = (max(height, round(rows * scale)), max(width, round(columns * scale)))
    planes = picture.permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(
        planes, size=size, mode="bilinear", align_corners=False, antialias=scale < 1
    )[0].permute(1, 2, 0)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return scaled[top : top + height, left : left + width].clamp(0, 1)


def parse_color(text: str) -> Float[Tensor, " 3"]:
    """Read ``white``, ``black``, ``grey``, ``green`` or ``#rrggbb`` as sRGB.

    Raises:
        InputError: It is neither.

    Example:
        >>> parse_color("#ff0000")
        tensor([1., 0., 0.])
    """
    names = {"white": "#ffffff", "black": "#000000", "grey": "#808080", "green": "#00ff00"}
    digits = names.get(text.strip().lower(), text.strip()).removeprefix("#")
    try:
        if len(digits) != 6:
            raise ValueError(digits)
        values = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a colour",
            why="colours are " + ", ".join(names) + " or #rrggbb",
            fix="for example --background '#336699'",
        ) from error
    return torch.tensor(values)
