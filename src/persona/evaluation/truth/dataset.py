"""Read generated people as subjects, made on demand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from persona.core.errors import FileFormatError
from persona.core.fingerprint import fingerprint
from persona.evaluation.subjects import Subject, SubjectFrame, TrueSurface
from persona.evaluation.truth.generate import (
    MANIFEST,
    PHOTO,
    VERSION,
    TruthManifest,
    TruthSettings,
    camera_of,
    frame_file,
    generate,
    person_named,
    surface_stem,
)
from persona.evaluation.truth.people import PEOPLE
from persona.images.files import read_image
from persona.records.photo import Photo
from persona.records.storage import load_record

DATASET = "truth"
"""Name of the data set in tables."""


def truth_subjects(
    root: Path,
    names: Sequence[str] = tuple(PEOPLE),
    settings: TruthSettings | None = None,
    *,
    tick: Callable[[str, int], None] = lambda *_: None,
) -> list[Subject]:
    """Give generated people, making those that are not there yet.

    Args:
        root: Folder of all of them; each gets one of its own, named by what it was made from.
        names: Who, of `PEOPLE`.
        settings: How much is made; None takes the usual.
        tick: Called with a name and the number of frames that are there.

    Raises:
        InputError: Nobody has such a name.
        FileFormatError: A folder is damaged.
    """
    wanted = TruthSettings() if settings is None else settings
    subjects = []
    for name in names:
        folder = folder_of(root, name, wanted)
        if not folder.joinpath(f"{MANIFEST}.json").is_file():
            generate(name, folder, wanted, tick=lambda done, name=name: tick(name, done))
        subjects.append(read_subject(folder))
    return subjects


def folder_of(root: Path, name: str, settings: TruthSettings) -> Path:
    """Say where a person made with these settings belongs: another setting, another folder."""
    key = fingerprint(VERSION, person_named(name), settings)
    return root / f"{name}_{key[:10]}"


def read_subject(folder: Path) -> Subject:
    """Open a generated person.

    Raises:
        FileFormatError: Something is missing, damaged, or was made by another version.
    """
    manifest = load_record(folder / MANIFEST, TruthManifest)
    if manifest.version != VERSION:
        raise FileFormatError(
            f"{folder.name} was made by version {manifest.version} of the generator",
            why=f"this is version {VERSION}, which draws other pictures",
            fix="remove the folder; it is made again when it is asked for",
        )
    picture = read_image(folder / PHOTO)
    person = read_image(folder / "photo_person.png")
    still = SubjectFrame(
        index=0,
        name="photo",
        picture=person.rgb,
        mask=torch.ones(person.rgb.shape[:2]) if person.alpha is None else person.alpha,
        camera=manifest.photo_camera,
        params=manifest.photo_params,
        joints=manifest.photo_joints,
    )

    def read(start: int) -> Iterator[SubjectFrame]:
        return (_frame(folder, manifest, k) for k in range(start, manifest.settings.frames))

    return Subject(
        name=manifest.person,
        dataset=DATASET,
        photo=Photo(rgb=picture.rgb, name=manifest.person, digest=picture.digest),
        frame_count=manifest.settings.frames,
        read=read,
        fps=manifest.fps,
        still=still,
    )


def _frame(folder: Path, manifest: TruthManifest, index: int) -> SubjectFrame:
    picture = read_image(frame_file(folder, index))
    if picture.alpha is None:
        raise FileFormatError(
            f"frame {index} of {folder.name} has no mask",
            why="the person's coverage is the picture's alpha",
            fix="remove the folder; it is made again when it is asked for",
        )
    frame = SubjectFrame(
        index=index,
        name=f"{index:06d}",
        picture=picture.rgb,
        mask=picture.alpha,
        camera=camera_of(manifest, index),
        params=manifest.params.frame(index),
        rates=manifest.rates.rows(torch.tensor([index])),
        joints=manifest.joints[index],
    )
    if index % manifest.settings.surface_every:
        return frame
    return replace(frame, surface=load_record(surface_stem(folder, index), TrueSurface))
