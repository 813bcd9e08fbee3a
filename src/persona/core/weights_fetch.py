"""Fetch weights when asked: resumed, compared with their publisher's sums, whole or not at all."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from persona.core.atomic import PARTIAL_PREFIX, write_text
from persona.core.errors import BackendError, FileFormatError, InputError
from persona.core.weights import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    check_file,
    entry,
    manifest_text,
    matching,
    sha256_of,
    weights_folder,
)
from persona.core.weights_table import HUB, WeightEntry

TOKEN_VARIABLE: Final = "HF_TOKEN"
"""Environment variable with the user's token, for weights whose terms must be agreed to."""
PATIENCE_S: Final = 60
_BLOCK: Final = 4 << 20


def fetch_weights(
    name: str,
    *,
    out: Path | None = None,
    offline: bool = False,
    hub: str = HUB,
    tick: Callable[[int], None] = lambda _: None,
) -> Path:
    """Fetch a set of weights; what is there and whole is kept, what is half there goes on.

    Args:
        name: One of `weights.ENTRIES`.
        out: Folder to write; None takes the one in `weights.weights_folder`.
        offline: Refuse instead.
        hub: Where they are published.
        tick: Called with the number of bytes of each block.

    Raises:
        InputError: ``offline``, or the publisher wants the terms agreed to first.
        BackendError: The publisher could not be reached.
        FileFormatError: What came is not what the publisher states.
    """
    wanted = entry(name)
    folder = weights_folder() / name if out is None else out
    if offline:
        raise InputError(
            f"{name} was to be fetched offline",
            why=f"--offline forbids it; they would go to {folder}",
            fix=f"fetch them elsewhere from {wanted.address} and copy them there",
        )
    stated = _listed(wanted, hub)
    for file, facts in stated.items():
        if check_file(folder / file, facts) != "ok":
            _fetch_file(
                f"{hub}/{wanted.repository}/resolve/main/{quote(file)}",
                folder / file,
                facts,
                wanted,
                tick,
            )
    write_text(folder / MANIFEST, manifest_text(stated))
    return folder


def _listed(wanted: WeightEntry, hub: str) -> dict[str, dict[str, Any]]:
    """Ask which files there are, how large, with which sums."""
    url = f"{hub}/api/models/{wanted.repository}/tree/main?recursive=true"
    with _open(url, wanted) as answer:
        data = answer.read(MAX_MANIFEST_BYTES)
    try:
        rows = {row["path"]: row for row in json.loads(data) if row["type"] == "file"}
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{wanted.address} gave no list of its files: {error}",
            why="sizes and sums are needed to know whether what comes is whole",
            fix="try again later",
        ) from error
    names = matching(wanted, list(rows))
    if not set(wanted.needed) <= set(names):
        raise FileFormatError(
            f"{wanted.address} has no {', '.join(sorted(set(wanted.needed) - set(names)))}",
            why="its layout is another than the published one",
            fix="fetch its files by hand into the folder that `persona weights path` looks in",
        )
    return {
        name: {
            "size": rows[name].get("size"),
            "sha256": (rows[name].get("lfs") or {}).get("oid"),
        }
        for name in names
    }


def _fetch_file(
    url: str,
    path: Path,
    facts: dict[str, Any],
    wanted: WeightEntry,
    tick: Callable[[int], None],
) -> None:
    """Fetch one file into a partial one, from where that ended, and rename it when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
    size = facts["size"]
    have = partial.stat().st_size if partial.is_file() else 0
    if have < size:
        with _open(url, wanted, start=have) as answer:
            resumed = answer.status == 206
            with partial.open("ab" if resumed else "wb") as file:
                have = have if resumed else 0
                while block := answer.read(_BLOCK):
                    have += len(block)
                    if have > size:
                        break
                    file.write(block)
                    tick(len(block))
                file.flush()
                os.fsync(file.fileno())
    if have != size or (facts["sha256"] and sha256_of(partial) != facts["sha256"]):
        if have >= size:
            partial.unlink()
        raise FileFormatError(
            f"{path.name} came with {have} bytes",
            why=f"its publisher states {size} bytes and SHA-256 {facts['sha256'] or 'none'}",
            fix="give the command again: what is whole is kept, and the rest goes on",
        )
    os.replace(partial, path)


def _open(url: str, wanted: WeightEntry, *, start: int = 0) -> Any:
    headers = {"User-Agent": "persona"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        # Not sent on: downloads are redirected to storage that has no business with it.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        return urllib.request.urlopen(request, timeout=PATIENCE_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            raise InputError(
                f"{wanted.address} refused ({error.code})",
                why=f"the terms must be agreed to there first: {wanted.license}",
                fix=f"agree on {wanted.address}, then set {TOKEN_VARIABLE} to your token",
            ) from error
        raise _unreachable(url, error) from error
    except (OSError, ValueError) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> BackendError:
    return BackendError(
        f"{url} could not be read: {error}",
        why="weights come over the network",
        fix="check the connection and try again",
    )
