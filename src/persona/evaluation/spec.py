"""What is to be evaluated, as a small TOML file, or one of those that are built in."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from persona.core.errors import FileFormatError, InputError
from persona.core.plain import from_plain
from persona.evaluation.frames_of_others import OtherMethod
from persona.evaluation.protocol import Rules
from persona.evaluation.published import PUBLISHED
from persona.evaluation.truth.people import PEOPLE

MAX_BYTES: Final = 1 << 20
"""A larger file is no specification."""
Kind = Literal["truth", "video", "turntable", "multiview", "neuman", "xhumans"]
"""Where subjects come from."""


@dataclass(frozen=True, kw_only=True)
class SubjectSpec:
    """One person, and where they are. Paths are relative to the file they are written in."""

    name: str
    """What tables call the person; of `truth`, who is meant."""
    kind: Kind
    """How it is read."""
    path: str | None = None
    """Clip, film of a turn, clip of the first camera, or folder of the data set's subject."""
    other: str | None = None
    """multiview: clip of the camera that judges."""
    calibration: str | None = None
    """multiview: Qualisys file that holds both cameras."""
    cameras: tuple[str, str] | None = None
    """multiview: names of both cameras in it."""
    photo: str | None = None
    """turntable: a picture of its own as photo; None takes the frame ``front``."""
    front: int | None = None
    """turntable: frame that shows the person from the front. video, multiview: frame that is the
    photo; None takes the first good one. neuman, xhumans: number of the photo's frame."""
    person: int | None = None
    """Which person of several, counted from the left from 1."""
    fps: float | None = None
    """Frames a second, where the file is wrong."""
    rows: int = 640
    """Frames are compared with so many rows at most [px]."""
    frames: int | None = None
    """truth: how many are made, 200 if left out. Others: no more than so many, evenly chosen."""
    body: str | None = None
    """neuman, xhumans: the SMPL-X file that the data set's poses belong to."""

    def __post_init__(self) -> None:
        if not self.name or any(c in '/\\<>"' or ord(c) < 32 for c in self.name):
            raise InputError(
                f"a subject is called {self.name!r}",
                why="names become names of folders and words in a page",
                fix="use letters, digits, spaces, dots and dashes",
            )
        if not 32 <= self.rows <= 4096:
            raise InputError(
                f"{self.name} was to be compared at {self.rows} rows",
                why="32 to 4096 make sense",
                fix="leave rows away for 640",
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Whom to evaluate, by which methods, under which rules."""

    name: str
    """What the report is called."""
    subjects: tuple[SubjectSpec, ...]
    """Who."""
    methods: tuple[str, ...] = ("ours", "rigid", "copy")
    """Methods that are run here, by the names of `pipeline.evaluated`."""
    others: tuple[OtherMethod, ...] = ()
    """Methods whose frames are there already."""
    rules: Rules = field(default_factory=Rules)
    """Which frames are measured, and how."""
    published: tuple[str, ...] = ()
    """Groups of printed numbers to stand beside: neuman, single."""
    truth_height: int | None = None
    """Rows of generated frames [px]; None is the usual."""

    def __post_init__(self) -> None:
        names = [subject.name for subject in self.subjects]
        if not names or len(set(names)) != len(names):
            raise InputError(
                f"{len(names)} subjects with {len(set(names))} names were given",
                why="every subject needs a name of its own, and there must be one",
                fix="add [[subjects]], or rename one",
            )
        unknown = [group for group in self.published if group not in PUBLISHED]
        if unknown:
            raise InputError(
                f"nothing published is called {unknown[0]!r}",
                why=f"there are {', '.join(PUBLISHED)}",
                fix="correct the spelling, or remove it",
            )


def _truth(name: str, rules: Rules) -> EvaluationSpec:
    return EvaluationSpec(
        name=name,
        subjects=tuple(SubjectSpec(name=person, kind="truth") for person in PEOPLE),
        methods=("ours", "rigid"),
        rules=rules,
    )


BUILT_IN: Final[dict[str, EvaluationSpec]] = {
    "truth": _truth("truth", Rules(every=4, fitted_every=25, surface_every=40)),
    "truth-full": _truth("truth-full", Rules()),
}
"""Name -> specification: generated people, one frame in four, and all of them."""


def load_spec(text: str) -> tuple[EvaluationSpec, Path]:
    """Read a specification.

    Args:
        text: A name in `BUILT_IN`, or the path of a TOML file.

    Returns:
        The specification, and the folder that its paths are relative to.

    Raises:
        FileFormatError: It is neither, or something in it is wrong.
    """
    if text in BUILT_IN:
        return BUILT_IN[text], Path()
    path = Path(text)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        values = tomllib.loads(data.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path.name} cannot be read: {error}",
            why="what to evaluate is a TOML file, or a built-in name",
            fix=f"check the path, or choose {' or '.join(BUILT_IN)}",
        ) from error
    return from_plain(EvaluationSpec, {"name": path.stem, **values}), path.parent
