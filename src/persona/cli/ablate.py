"""Leave one technique away at a time, and see what it was worth.

Of cloth: simulates the avatar's clothes, lets them be learned once for each variant, and judges
each by the same motion that none was taught. Of pictures: takes the avatar for the truth, lets a
generator that drifts make pictures of it, and trains a spoilt copy on photo and pictures once for
each variant. Both take some minutes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from persona.core.progress import current

if TYPE_CHECKING:
    from persona.avatar import Avatar


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona ablate` takes."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """The avatar, NAME.persona."""
    body: Path | None = None
    """Your own SMPL-X file, for an avatar that was made on one; left out, PERSONA_BODY names it."""
    of: Literal["cloth", "pictures"] = "cloth"
    """cloth: how clothes learn to move. pictures: how photo and pictures are learned together."""
    steps: int = 400
    """Steps of every training on pictures."""
    out: Path
    """The table to write, .md."""
    seed: int = 0
    """Same avatar, seed and machine: the same table."""


def run(args: Args) -> int:
    """Train every variant, judge and write; return 0."""
    from persona.avatar import Avatar
    from persona.core.atomic import write_text
    from persona.core.errors import InputError

    if args.out.suffix != ".md" or args.steps < 1:
        raise InputError(
            f"{args.out.name} with {args.steps} steps cannot be written",
            why="the table is written as Markdown, after at least one step",
            fix="let --out end in .md, and leave --steps at its default",
        )
    avatar = Avatar.load(args.avatar, body=args.body)
    table = _of_cloth(avatar, args) if args.of == "cloth" else _of_pictures(avatar, args)
    write_text(args.out, table)
    voice = current()
    for line in table.splitlines():
        voice.say(line)
    voice.result({"table": args.out})
    return 0


def _of_cloth(avatar: "Avatar", args: Args) -> str:
    from persona.optimization.offsets import OffsetsConfig
    from persona.pipeline.ablate import VARIANTS, ablate_cloth, table_of
    from persona.pipeline.create import outfit_of
    from persona.pipeline.dressed_motion import SynthesizeFrames

    outfit = outfit_of(args.avatar)
    stage, voice = SynthesizeFrames(), current()
    with voice.stage("simulate", steps=stage.steps(avatar)) as bar:
        frames = stage(avatar, outfit, tick=lambda done: bar.advance(done - bar.done))
    with voice.stage("ablate", steps=len(VARIANTS)) as bar:
        rows = ablate_cloth(
            avatar,
            frames,
            OffsetsConfig(),
            seed=args.seed,
            tick=lambda done: bar.advance(done - bar.done),
        )
    return table_of(rows)


def _of_pictures(avatar: "Avatar", args: Args) -> str:
    from persona.optimization.joint import JointConfig
    from persona.pipeline.ablate_pictures import (
        TECHNIQUES,
        ablate_pictures,
        picture_table,
        plant_truth,
    )

    with current().stage("ablate", steps=len(TECHNIQUES)) as bar:
        rows = ablate_pictures(
            plant_truth(avatar, seed=args.seed),
            JointConfig(steps=args.steps),
            seed=args.seed,
            tick=lambda done: bar.advance(done - bar.done),
        )
    return picture_table(rows)
