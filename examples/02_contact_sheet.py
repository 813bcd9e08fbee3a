"""Draw contact sheets: every photo's avatar from eight sides, in four poses, and from near.

This is the instrument for judging quality by eye. Takes photos and NAME.persona folders alike:

    python examples/02_contact_sheet.py photos/*.jpg ada.persona --out sheets
"""

import argparse
import html
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

# Read when torch loads: threads that wait by spinning slow each other down on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from persona.avatar import Avatar
from persona.core.errors import PersonaError
from persona.core.progress import choose_voice, speaking
from persona.evaluation.contact_sheet import avatar_rows, sheet
from persona.evaluation.metrics import scores_from
from persona.perception.stage import perceive
from persona.pipeline.create import create, read_photo

log = logging.getLogger("contact_sheet")


@dataclass(frozen=True)
class Sheet:
    """One drawn sheet, or why there is none."""

    name: str
    """Of the photo or folder."""
    numbers: str
    """What was measured, in a line; the refusal where nothing was made."""
    passed: bool
    """Whether all gates were passed."""


def main() -> int:
    """Draw one sheet for each argument, and an index of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path, metavar="PHOTO_OR_PERSONA")
    parser.add_argument("--out", type=Path, required=True, help="folder for sheets and index.html")
    parser.add_argument("--preset", default="standard", help="for photos: draft, standard, studio")
    parser.add_argument("--keep", action="store_true", help="also keep the avatars made of photos")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    with speaking(choose_voice()):
        sheets = [
            draw(source, args.out, preset=args.preset, keep=args.keep) for source in args.sources
        ]
    (args.out / "index.html").write_text(index(sheets))
    log.info("%s", args.out / "index.html")
    return 0 if all(entry.passed for entry in sheets) else 1


def draw(source: Path, out: Path, *, preset: str, keep: bool) -> Sheet:
    """Draw the sheet of one photo or avatar folder."""
    name = source.stem
    try:
        if source.is_dir():
            avatar = Avatar.load(source)
            rows = avatar_rows(avatar)
        else:
            photo = read_photo(source)
            target = out / f"{name}.persona" if keep else None
            avatar = create(photo, out=target, preset=preset)
            rows = avatar_rows(avatar, photo, perceive(photo))
    except PersonaError as error:
        log.warning("%s: %s", name, error)
        return Sheet(name=name, numbers=error.what, passed=False)
    scores = scores_from(avatar.numbers)
    numbers = "   ".join(
        f"{'' if score.passed else '(!) '}{score.metric.name} {score.text}" for score in scores
    )
    sheet(rows, title=f"{name}   {numbers}").save(out / f"{name}.png")
    log.info("%s: %s", name, numbers)
    return Sheet(name=name, numbers=numbers, passed=all(score.passed for score in scores))


def index(sheets: list[Sheet]) -> str:
    """Give a page that shows all sheets."""
    entries = "".join(
        f"<h2>{html.escape(entry.name)}</h2><p>{html.escape(entry.numbers)}</p>"
        f'<a href="{html.escape(entry.name)}.png">'
        f'<img src="{html.escape(entry.name)}.png" style="width:100%"></a>'
        for entry in sheets
    )
    return f"<!doctype html><meta charset=utf-8><title>Contact sheets</title>{entries}"


if __name__ == "__main__":
    sys.exit(main())
