"""Find, check and describe weights of models that do not ship with persona."""

import hashlib
import json
import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from persona.core.config import read_json
from persona.core.errors import FileFormatError, InputError, MissingPartError
from persona.core.weights_table import ENTRIES, WeightEntry

FOLDER_VARIABLE: Final = "PERSONA_WEIGHTS"
"""Environment variable that names the folder of all weights."""
MANIFEST: Final = "manifest.json"
"""Beside fetched files: name -> size and SHA-256, as their publisher states them."""
MAX_MANIFEST_BYTES: Final = 4 << 20
_BLOCK: Final = 8 << 20


def entry(name: str) -> WeightEntry:
    """Look a set of weights up.

    Raises:
        InputError: There is none of that name.
    """
    if name not in ENTRIES:
        raise InputError(
            f"there are no weights called {name!r}",
            why=f"known are {', '.join(ENTRIES)}",
            fix="run `persona weights list`",
        )
    return ENTRIES[name]


def weights_folder() -> Path:
    """Give the folder of all weights: what ``PERSONA_WEIGHTS`` names, else one in the cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME")
    home = Path(cache) if cache else Path.home() / ".cache"
    return Path(named) if named else home / "persona" / "weights"


def weights_path(name: str, given: Path | None = None) -> Path:
    """Find the folder of a set of weights; nothing is ever fetched here.

    Args:
        name: One of `ENTRIES`.
        given: The user's own folder; None looks where `persona weights fetch` writes.

    Raises:
        MissingPartError: They are not there; the message holds the command that gets them.
    """
    wanted = entry(name)
    folder = weights_folder() / name if given is None else given
    absent = [file for file in wanted.needed if not (folder / file).is_file()]
    if absent:
        raise MissingPartError(
            f"the weights {name} are not in {folder}: {', '.join(absent)} missing",
            why=f"they are needed for: {wanted.purpose}; nothing is fetched unasked",
            fix=f"persona weights fetch {name}   (about {wanted.gigabytes:g} GB, {wanted.license}),"
            f" or set {FOLDER_VARIABLE} to a folder that holds yours in {name}/",
        )
    return folder


def weights_paths(wanted: Mapping[str, Path | None]) -> dict[str, Path]:
    """Find the folders of several sets; see `weights_path`.

    Args:
        wanted: Names -> the user's own folders.

    Raises:
        MissingPartError: Some are not there; the message holds one command that gets them all.
    """
    found: dict[str, Path] = {}
    missing: dict[str, MissingPartError] = {}
    for name, given in wanted.items():
        try:
            found[name] = weights_path(name, given)
        except MissingPartError as error:
            missing[name] = error
    if len(missing) > 1:
        size = sum(entry(name).gigabytes for name in missing)
        raise MissingPartError(
            f"{len(missing)} sets of weights are not here: {', '.join(missing)}",
            why="nothing is fetched unasked; `persona weights list` has the terms of each",
            fix=f"persona weights fetch {' '.join(missing)}   (about {size:g} GB)",
        )
    for error in missing.values():
        raise error
    return found


def has_weights(name: str) -> bool:
    """Whether a set of weights was fetched; see `weights_path`."""
    return all((weights_folder() / name / file).is_file() for file in entry(name).needed)


def matching(wanted: WeightEntry, names: list[str]) -> list[str]:
    """Pick the files of a repository that are needed; names that leave the folder are refused.

    Raises:
        FileFormatError: A name is absolute or climbs out.
    """
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts or "\\" in name:
            raise FileFormatError(
                f"{wanted.address} lists a file {name!r}",
                why="it would be written outside the folder of the weights",
                fix="do not use this source",
            )
    return [name for name in names if any(fnmatch(name, p) for p in wanted.patterns)]


def verify_weights(name: str, given: Path | None = None) -> dict[str, str]:
    """Compare files with the sizes and sums stated when they were fetched.

    Returns:
        File -> "ok", "missing", "wrong size" or "damaged".

    Raises:
        MissingPartError: The weights are not there, or came without a manifest.
    """
    folder = weights_path(name, given)
    if not (folder / MANIFEST).is_file():
        raise MissingPartError(
            f"{folder} has no {MANIFEST}",
            why="the sums to compare with are written when weights are fetched",
            fix=f"persona weights fetch {name}; files that are whole are kept",
        )
    stated = read_json(folder / MANIFEST, max_bytes=MAX_MANIFEST_BYTES)
    return {file: check_file(folder / file, facts) for file, facts in stated.items()}


def check_file(path: Path, facts: dict[str, Any]) -> str:
    """Say what is wrong with one file; see `verify_weights`."""
    if not path.is_file():
        return "missing"
    if facts.get("size") is not None and path.stat().st_size != facts["size"]:
        return "wrong size"
    if facts.get("sha256") and sha256_of(path) != facts["sha256"]:
        return "damaged"
    return "ok"


def sha256_of(path: Path) -> str:
    """Hash a file without holding it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def manifest_text(facts: dict[str, dict[str, Any]]) -> str:
    """Write what `verify_weights` reads."""
    return json.dumps(facts, indent=1, sort_keys=True)
