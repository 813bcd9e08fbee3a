"""Enlarge the face of a picture, as large as training looks at the photo's."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from jaxtyping import Float

from persona.perception.detectors import Picture, SmallPicture
from persona.records.frame_labels import EnlargedFace
from persona.records.frame_set import FACE_PX, FACE_ROOM

LEAST_ROWS: Final = 16
"""A face of fewer rows has nothing to enlarge [px]."""


def enlarge_face(
    picture: Picture,
    face: Float[np.ndarray, "478 3"] | None,
    enlarge: Callable[[Picture], SmallPicture],
) -> EnlargedFace | None:
    """Cut the face out and enlarge it.

    Args:
        picture: The whole picture.
        face: MediaPipe's mesh of it [px]; None where none was seen.
        enlarge: Gives a picture that is larger by a whole number.

    Returns:
        None where no face shows, where it is tiny, or as large already as training looks at it.
    """
    if face is None:
        return None
    height, width = picture.shape[:2]
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    room = FACE_ROOM * (high[1] - low[1])
    left, top = (max(int(start - room), 0) for start in low)
    right = min(int(high[0] + room) + 1, width)
    bottom = min(int(high[1] + room) + 1, height)
    if not LEAST_ROWS <= bottom - top < FACE_PX or right - left < LEAST_ROWS:
        return None
    larger = enlarge(picture[top:bottom, left:right])
    scale = len(larger) // (bottom - top)
    return EnlargedFace(left=left, top=top, scale=scale, image_8=torch.from_numpy(larger))
