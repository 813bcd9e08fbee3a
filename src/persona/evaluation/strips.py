"""Pictures that let people judge what the numbers say: truth, drawn, and where they differ."""

from collections.abc import Mapping
from typing import Final

from persona.core.types import Image
from persona.evaluation.contact_sheet import as_data_url
from persona.evaluation.evaluation_page import Strip
from persona.evaluation.methods import Drawn
from persona.evaluation.picture_metrics import PLAIN
from persona.evaluation.regions import Box, person_region
from persona.evaluation.subjects import SubjectFrame, over_plain
from persona.images.crops import resize

ROWS: Final = 320
"""Rows of a picture in a strip [px]."""
GAIN: Final = 1.5
"""Differences are drawn so many times as strong, dark on white."""
MARGIN: Final = 0.10
"""Around the person's box, share of its height."""


def strip_of(frame: SubjectFrame, drawn: Mapping[str, Drawn], *, title: str) -> Strip:
    """Put the truth, what each method drew, and the first one's error side by side."""
    true = over_plain(frame.picture, frame.mask, PLAIN)
    window = _window(frame)
    pictures = [("frame", frame.picture), ("truth", true)]
    for name, found in drawn.items():
        picture = found.over(PLAIN)
        pictures.append((name, picture))
        pictures.append((f"error of {name}", error_picture(picture, true)))
    return Strip(
        title=title,
        pictures=tuple((words, _shown(window.of(p))) for words, p in pictures),
    )


def error_picture(picture: Image, true: Image) -> Image:
    """Draw the largest difference of a pixel's colours, dark on white."""
    away = (picture - true).abs().amax(-1, keepdim=True)
    return (1 - GAIN * away).clamp(0, 1).expand(-1, -1, 3)


def _window(frame: SubjectFrame) -> Box:
    height, width = frame.mask.shape
    box = person_region(frame.mask) or Box(0, height, 0, width)
    more = round(MARGIN * (box.bottom - box.top))
    return Box(
        max(0, box.top - more),
        min(height, box.bottom + more),
        max(0, box.left - more),
        min(width, box.right + more),
    )


def _shown(picture: Image) -> str:
    height, width = picture.shape[:2]
    wide = max(1, round(width * ROWS / height))
    return as_data_url(resize(picture.contiguous(), width=wide, height=ROWS))
