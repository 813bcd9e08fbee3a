"""Where an avatar is written, and where its stages are kept until it is."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from persona.avatar import Avatar
from persona.core.errors import InputError
from persona.core.progress import Progress
from persona.core.run_folder import RunFolder
from persona.pipeline.refined import Refined
from persona.pipeline.stages import Measured
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.storage import RecordCodec
from persona.records.wardrobe import Wardrobe

ENDING: Final = ".persona"
"""How avatar folders are called."""
AVATAR_FILE: Final = "avatar.json"
"""What makes a folder an avatar's."""


def given_target(out: Path | str | None, *, prepare: bool) -> Path | None:
    """Check where an avatar is to be written; None keeps it nowhere.

    Raises:
        InputError: It is not ours to replace, or nowhere although something is to be kept.
    """
    if out is None and prepare:
        raise InputError(
            "an avatar was to be prepared, and kept nowhere",
            why="what is prepared is kept beside the avatar, and found there by its name",
            fix="say out",
        )
    return None if out is None else check_target(Path(out))


def check_target(out: Path) -> Path:
    """Refuse a target that is not ours to replace.

    Raises:
        InputError: ``out`` exists and is no avatar, or its name has another ending.
    """
    if out.suffix != ENDING:
        raise InputError(
            f"--out is {out.name!r}",
            why=f"avatars are folders whose names end in {ENDING}",
            fix=f"write --out {out.stem or 'name'}{ENDING}",
        )
    if out.exists() and not (out / AVATAR_FILE).is_file():
        raise InputError(
            f"{out} exists and is no avatar",
            why="it would be replaced, and what is in it lost",
            fix="choose another --out, or remove it yourself",
        )
    return out


@contextmanager
def run_at(target: Path | None, voice: Progress, *, keep: bool) -> Iterator[RunFolder]:
    """Open the run beside the target; remove it when the target is there or the input was bad.

    Args:
        target: The avatar's folder; None works in a folder that vanishes.
        voice: Who hears about stages.
        keep: Leave it for a later call to go on with.
    """
    codec = RecordCodec(
        (Observation, BodyFit, Wardrobe, Outfit, FrameSet, Avatar, Refined, Measured)
    )
    if target is None:
        with (
            tempfile.TemporaryDirectory(prefix="persona-") as folder,
            RunFolder.open(Path(folder), codec=codec, progress=voice) as run,
        ):
            yield run
        return
    path = target.with_name(f".{target.name}.run")
    try:
        with RunFolder.open(path, codec=codec, progress=voice) as run:
            yield run
    except InputError:
        # Nothing to go on with: the same input would be refused again.
        shutil.rmtree(path)
        raise
    if not keep:
        shutil.rmtree(path)
