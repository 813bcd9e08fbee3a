"""Choose the frame of every step: the photo weighs as much as all generated frames together."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.core.errors import InputError
from persona.core.seeds import Seeds


def sampling_shares(
    is_photo: Bool[Tensor, " l"], trust: Float[Tensor, " l"], *, photo_share: float | None
) -> Float[Tensor, " l"]:
    """Say how often each frame is drawn.

    A generator makes hundreds of frames and drifts from the person; the photo is one and does not.
    Drawn evenly over all, the photo would be outvoted.

    Args:
        is_photo: Which frames are the photo's.
        trust: How much to believe each, in [0, 1]; a frame of trust 0 is never drawn.
        photo_share: Share of the steps that the photo gets, in (0, 1]; None treats it as one frame
            among the others. With no other frame that is trusted it gets all.

    Returns:
        Shares, which sum to 1 [-].

    Raises:
        InputError: There is no photo, or its share is none.
    """
    if not bool(is_photo.any()):
        raise InputError(
            f"none of {len(is_photo)} frames is the photo",
            why="generated frames know the movement; the person is known from the photo alone",
            fix="add `photo_clip.photo_clip` to the set",
        )
    if photo_share is not None and not 0 < photo_share <= 1:
        raise InputError(
            f"the photo's share of the steps is {photo_share}",
            why="it is a share above 0 and up to 1",
            fix="leave it at 0.5, or give None to draw evenly over all frames",
        )
    photo = torch.where(is_photo, 1.0, 0.0).double()
    others = torch.where(is_photo, 0.0, trust.double())
    if photo_share is None:
        shares = photo + others
        return (shares / shares.sum()).float()
    if float(others.sum()) == 0:
        return (photo / photo.sum()).float()
    shares = photo_share * photo / photo.sum() + (1 - photo_share) * others / others.sum()
    return shares.float()


def draw_frame(shares: Float[Tensor, " l"], seeds: Seeds, step: int) -> int:
    """Draw the frame of a step; the step alone decides, so that a resumed run draws the same."""
    return int(torch.multinomial(shares, 1, generator=seeds.torch(f"frame {step}")))
