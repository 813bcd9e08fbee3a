"""Photo to frames, resumable, without an avatar."""

import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from persona.avatar import Avatar
from persona.core.atomic import replacing_folder
from persona.core.errors import InputError
from persona.core.progress import Progress, current
from persona.core.run_folder import RunFolder
from persona.images.files import write_png
from persona.perception.stage import PerceivePhoto
from persona.pipeline.create import read_photo
from persona.pipeline.generators import film_folder
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.records.storage import RecordCodec, save_record
from persona.synthesis.generator import FrameGenerator, Sitter

RECORD: Final = "frames"
"""Stem of the two files of the record."""


def generate(
    photo: Photo | Path | str,
    generator: FrameGenerator,
    *,
    out: Path,
    fit: Callable[..., BodyFit],
    body_digest: str,
    perceive: Callable[[Photo], Observation] | None = None,
    avatar: Avatar | None = None,
    outfit: Outfit | None = None,
    rank: int = 0,
    progress: Progress | None = None,
) -> FrameSet:
    """Make labelled frames of the person in a photo, and write them.

    What is finished is kept beside ``out``; a call that was killed goes on there, inside the film
    at the step and window where it stopped.

    Args:
        photo: The picture or where it is.
        generator: Who makes frames.
        out: Folder to write: the record ``frames`` and every picture as PNG.
        fit: How the body is found, given an observation and ``focal_px``.
        body_digest: Of the body that is fitted.
        perceive: How the person is found; None takes the embedded way.
        avatar: The person's, whose clothes physics moves; others need none.
        outfit: What they wear, likewise.
        rank: Of this process, where several share the work; only the first writes.
        progress: Who hears about it.

    Raises:
        InputError: ``out`` exists and holds something else, or the photo will not do.
        OptimizationError: No frame can be believed.
    """
    voice = current() if progress is None else progress
    if out.exists() and not (out / f"{RECORD}.json").is_file():
        raise InputError(
            f"{out} exists and holds no frames",
            why="it would be replaced, and what is in it lost",
            fix="choose another --out, or remove it yourself",
        )
    picture = photo if isinstance(photo, Photo) else read_photo(photo)
    codec = RecordCodec((Observation, BodyFit, FrameSet))
    path = out.with_name(f".{out.name}.run" + (f"-{rank}" if rank else ""))
    with RunFolder.open(path, codec=codec, progress=voice) as run:
        observation = run.step("perceive", perceive or PerceivePhoto(), picture)
        found = run.step(
            "fit",
            partial(fit, focal_px=picture.focal_px),
            observation,
            key=(picture.focal_px, body_digest),
        )
        sitter = Sitter(
            photo=picture, observation=observation, fit=found, avatar=avatar, outfit=outfit
        )
        frames = run.step(
            "generate",
            partial(generator, folder=film_folder(run)),
            sitter,
            key=generator.key,
            steps=generator.steps(sitter),
        )
        if rank == 0:
            with replacing_folder(out) as folder:
                write_frames(folder, frames)
    shutil.rmtree(path)
    return frames


def write_frames(folder: Path, frames: FrameSet) -> None:
    """Write the record, and every picture as it is learned from: what is masked out is white."""
    save_record(folder / RECORD, frames)
    sources = Counter(clip.source for clip in frames.clips)
    numbers = Counter[str]()
    for clip in frames.clips:
        numbers[clip.source] += 1
        # Each clip counts its frames from 0.
        number = f"_{numbers[clip.source]}" if sources[clip.source] > 1 else ""
        for shown in clip.pictures:
            name = f"{clip.source}{number}_{shown.frame:05d}_trust{shown.trust:.2f}.png"
            covered = shown.mask[..., None]
            write_png(folder / name, shown.image * covered + 1 - covered)
