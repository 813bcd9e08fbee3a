"""What is behind the person: nothing, a colour, or a picture."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.core.types import Image
from persona.images.files import read_image
from persona.rendering.compositing import fit_background, parse_color

TRANSPARENT = "transparent"
"""The word for no background."""


def background_from(text: str, *, width: int, height: int) -> Float[Tensor, " 3"] | Image | None:
    """Read a background as it is typed: ``transparent``, a colour, or the path of a picture.

    A picture is scaled to cover the frame and cut to it.

    Raises:
        InputError: It is none of them, or the picture cannot be read.
    """
    if text.strip().lower() == TRANSPARENT:
        return None
    path = Path(text)
    if path.is_file():
        return fit_background(read_image(path).rgb, width=width, height=height)
    if path.suffix and not text.startswith("#"):
        raise InputError(
            f"the background {path.name} cannot be read",
            why="there is no such file",
            fix="check the path, or give a colour such as white or '#336699'",
        )
    return parse_color(text)
