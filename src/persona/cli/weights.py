"""List, fetch, verify and find the weights of models that do not ship with persona.

Nothing is ever fetched unasked: `persona weights fetch NAME` is the one command that does.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from persona.core.errors import FileFormatError, InputError
from persona.core.progress import JsonProgress, current


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona weights` takes."""

    task: Annotated[Literal["list", "fetch", "verify", "path"], tyro.conf.Positional]
    """list: every set, its size, its terms and what they allow, and whether it is here.
    fetch NAME: get it; give the command again to go on after a stop.
    verify NAME: compare its files with its publisher's sizes and sums.
    path NAME: where it is."""
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Sets of weights."""
    folder: Path | None = None
    """Your own folder instead of the one in the cache (or in PERSONA_WEIGHTS)."""
    offline: bool = False
    """Never reach for the network."""


def run(args: Args) -> int:
    """Do the task for each name; return 0."""
    if args.task == "list":
        _list()
        return 0
    if not args.names or (args.folder is not None and len(args.names) > 1):
        raise InputError(
            f"persona weights {args.task} was given {len(args.names)} names",
            why="it takes names of `persona weights list`, and one where --folder is given",
            fix=f"persona weights {args.task} mimicmotion-1.1",
        )
    for name in args.names:
        _one(args, name)
    return 0


def _one(args: Args, name: str) -> None:
    from persona.core.weights import entry, verify_weights, weights_path
    from persona.core.weights_fetch import fetch_weights

    if args.task == "path":
        current().result({name: weights_path(name, args.folder)})
    elif args.task == "fetch":
        known = entry(name)
        current().say(f"{name}: {known.address}, about {known.gigabytes:g} GB, {known.license}")
        with current().stage(f"fetch {name}", steps=round(known.gigabytes * 1e9)) as stage:
            where = fetch_weights(name, out=args.folder, offline=args.offline, tick=stage.advance)
        current().result({name: where})
    else:
        found = verify_weights(name, args.folder)
        bad = {file: state for file, state in found.items() if state != "ok"}
        if bad:
            raise FileFormatError(
                f"{name}: " + ", ".join(f"{file} is {state}" for file, state in bad.items()),
                why="they differ from what their publisher states",
                fix=f"persona weights fetch {name}",
            )
        current().result({name: f"{len(found)} files as published"})


def _list() -> None:
    from persona.core.errors import MissingPartError
    from persona.core.weights import weights_path
    from persona.core.weights_table import ENTRIES

    for known in ENTRIES.values():
        try:
            where = str(weights_path(known.name))
        except MissingPartError:
            where = "not here"
        row = {
            "name": known.name,
            "for": known.purpose,
            "address": known.address,
            "gigabytes": known.gigabytes,
            "license": known.license,
            "allows": known.allows,
            "where": where,
        }
        voice = current()
        if isinstance(voice, JsonProgress):
            voice.emit("weights", **row)
            continue
        lines = [f"  {key}: {value}" for key, value in row.items() if key != "name"]
        sys.stdout.write("\n".join((known.name, *lines, "")))
