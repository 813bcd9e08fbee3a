"""What a film generator refuses; imports nothing that computers with a large card may lack."""

from jaxtyping import UInt8
from torch import Tensor

from persona.core.errors import InputError


def check_pictures(
    photo: UInt8[Tensor, "h w 3"], skeletons: UInt8[Tensor, "n 3 h w"], size: tuple[int, int]
) -> None:
    """Refuse what a generator cannot make a film of.

    Args:
        photo: The person, as staged.
        skeletons: The photo's own, then those of the motion.
        size: Rows and columns that the generator works at.

    Raises:
        InputError: A picture has another size, or there is nothing to generate.
    """
    if photo.shape[:2] != size or skeletons.shape[2:] != size:
        raise InputError(
            f"a photo of {tuple(photo.shape[:2])} and skeletons of "
            f"{tuple(skeletons.shape[2:])} rows and columns came for {size}",
            why="each skeleton belongs to one picture, pixel by pixel",
            fix="resize the photo to the settings' size, and draw skeletons for that",
        )
    if len(skeletons) < 2:
        raise InputError(
            f"{len(skeletons)} skeletons came",
            why="the first is the photo's own; there is nothing to generate",
            fix="give a motion of at least one frame",
        )
