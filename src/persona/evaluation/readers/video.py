"""Any clip of one person: an avatar from its first good frame, judged by all others.

Poses come from our own tracker, on the bones that were fitted to the photo, as `persona animate`
does it: the same for every method. Masks come from our own segmenter. Both are wrong at times, and
count against everybody alike: *unfitted* numbers are those of avatar and tracker together.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from persona.avatar.rates import joint_rates
from persona.core.errors import InputError
from persona.evaluation.readers.tracked import TrackedClip, first_good_photo
from persona.evaluation.spec import SubjectSpec
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.records.frame_set import JointRates


def video_subject(path: Path, spec: SubjectSpec, *, cache: Path) -> Subject:
    """Read a clip.

    Args:
        path: Video, or folder of pictures.
        spec: Name, photo, rate, size.
        cache: Where track and masks are kept.

    Raises:
        FileFormatError: It is no clip.
        InputError: Nobody can be followed through it.
        PhotoError: No frame can be a photo.
    """
    tracked = TrackedClip.of(path, cache=cache, rows=spec.rows, fps=spec.fps, person=spec.person)
    good = first_good_photo(tracked, person=spec.person, wanted=spec.front)
    tracked, photo_at = tracked.on_bones(good.identity), good.index
    seen = [int(k) for k in tracked.track.seen.nonzero()[:, 0] if int(k) != photo_at]
    kept = tracked.cut_out(evenly(seen, spec.frames))
    if not kept:
        raise InputError(
            f"{path.name} shows its person in no frame but the photo",
            why="the other frames are what an avatar is judged by",
            fix="give a longer clip",
        )
    rates = joint_rates(tracked.track.own)
    cut_at = tracked.cut_out([photo_at])
    still = None
    if cut_at:
        picture = next(p for k, p in tracked.pictures(photo_at) if k == photo_at)
        still = frame_of(tracked, photo_at, 0, tracked.shrunk(picture), rates)
    order = {index: number for number, index in enumerate(kept)}

    def read(start: int) -> Iterator[SubjectFrame]:
        for index, picture in tracked.pictures(kept[start]):
            if index in order:
                yield frame_of(tracked, index, order[index], tracked.shrunk(picture), rates)

    every_frame = len(kept) >= 0.9 * len(seen)
    return Subject(
        name=spec.name,
        dataset="video",
        photo=good.photo,
        frame_count=len(kept),
        read=read,
        fps=tracked.track.own.fps if every_frame else None,
        still=still,
        person=spec.person,
    )


def frame_of(
    tracked: TrackedClip, index: int, number: int, picture: torch.Tensor, rates: JointRates
) -> SubjectFrame:
    """Make a frame of a tracked clip that was cut out."""
    mask = tracked.mask(index)
    assert mask is not None
    return SubjectFrame(
        index=number,
        name=f"{index:06d}",
        picture=picture,
        mask=mask,
        camera=tracked.camera(index),
        params=tracked.track.own.params.frame(index),
        rates=rates.rows(torch.tensor([index])),
        joints=tracked.joints(index),
    )


def evenly(indices: list[int], most: int | None) -> list[int]:
    """Choose no more than so many, evenly spread."""
    if most is None or len(indices) <= most:
        return indices
    at = torch.linspace(0, len(indices) - 1, most).round().long().tolist()
    return [indices[k] for k in at]
