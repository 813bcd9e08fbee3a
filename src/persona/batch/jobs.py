"""What there is to do: independent jobs, each known by what it is made from."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from persona.batch.storage import open_url
from persona.core.errors import InputError
from persona.core.fingerprint import code_version, fingerprint

Kind = Literal["create", "animate", "evaluate"]
"""Photos become avatars, avatars move, avatars are measured."""
ENDINGS: Final[dict[str, str]] = {"create": ".persona", "animate": ".mp4", "evaluate": ".report"}
"""How results of a kind are called."""
MAX_INPUT_BYTES: Final = 1 << 30
"""A larger photo or avatar is none."""
NAME_LENGTH: Final = 60
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work; the same content, settings and code give the same key."""

    key: str
    """SHA-256 of all that decides the result."""
    name: str
    """What people call it: the input's name without ending."""
    kind: Kind
    """What is done."""
    source: str
    """Path or URL of the input."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings, plain values."""
    code: str
    """Version of the code that planned it."""

    @property
    def output(self) -> str:
        """Name of the result's file or folder, the same for every run."""
        return f"{self.name}-{self.key[:8]}{ENDINGS[self.kind]}"

    def line(self) -> str:
        """Write it as a line of JSON; where the input lies stays with whoever plans."""
        facts = {k: v for k, v in asdict(self).items() if k != "source"}
        return json.dumps(facts, sort_keys=True)


def plan_jobs(
    kind: Kind, sources: Iterable[str], options: dict[str, Any], *, shard: tuple[int, int] = (1, 1)
) -> Iterator[Job]:
    """Give a job for every input with content of its own, in the order of the inputs.

    Args:
        kind: What is done with each.
        sources: Paths or URLs of photos or avatars.
        options: Settings, plain values.
        shard: Which part of how many, counted from 1: jobs are dealt by their keys, so that parts
            agree on who has what without talking to each other.

    Raises:
        InputError: An input cannot be read.
    """
    part, parts = shard
    if not 1 <= part <= parts:
        raise InputError(
            f"shard {part}/{parts} was asked for",
            why="parts are counted from 1",
            fix="give --shard 1/8 to 8/8, for example",
        )
    code, known = code_version(), set[str]()
    for source in sources:
        key = fingerprint(kind, options, code, content_hash(source))
        if key in known or int(key[:8], 16) % parts != part - 1:
            continue
        known.add(key)
        yield Job(
            key=key, name=name_of(source), kind=kind, source=source, options=options, code=code
        )


def content_hash(source: str) -> str:
    """Hash a file, or the names and contents of all files of a folder.

    Raises:
        InputError: It is not there, or too large.
    """
    digest, size = hashlib.sha256(), 0
    for name, file in open_url(source):
        digest.update(name.encode() + b"\0")
        with file as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > MAX_INPUT_BYTES:
                    raise InputError(
                        f"{name_of(source)} is larger than {MAX_INPUT_BYTES >> 20} MB",
                        why="no photo and no avatar is",
                        fix="leave it out",
                    )
                digest.update(block)
    return digest.hexdigest()


def name_of(source: str) -> str:
    """Give the name of an input without folders, ending and letters that some disk refuses."""
    stem = PurePosixPath(source.rstrip("/")).name
    stem = stem.rsplit(".", 1)[0] if "." in stem else stem
    return re.sub(r"[^\w-]+", "_", stem, flags=re.ASCII)[:NAME_LENGTH].strip("_") or "unnamed"
