"""Leave one technique away at a time, and see what it was worth.

Simulates the avatar's clothes, lets them be learned once for each variant, and judges each by the
same motion that none was taught. Takes some minutes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from persona.core.progress import current


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona ablate` takes."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """The avatar, NAME.persona."""
    body: Path | None = None
    """Your own SMPL-X file, for an avatar that was made on one; left out, PERSONA_BODY names it."""
    out: Path
    """The table to write, .md."""
    seed: int = 0
    """Same avatar, seed and machine: the same table."""


def run(args: Args) -> int:
    """Simulate, learn, judge and write; return 0."""
    from persona.avatar import Avatar
    from persona.core.atomic import write_text
    from persona.core.errors import InputError
    from persona.optimization.offsets import OffsetsConfig
    from persona.pipeline.ablate import VARIANTS, ablate_cloth, table_of
    from persona.pipeline.create import outfit_of
    from persona.pipeline.dressed_motion import SynthesizeFrames

    if args.out.suffix != ".md":
        raise InputError(
            f"{args.out.name} cannot be written",
            why="the table is written as Markdown",
            fix="let --out end in .md",
        )
    avatar = Avatar.load(args.avatar, body=args.body)
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
    table = table_of(rows)
    write_text(args.out, table)
    for line in table.splitlines():
        voice.say(line)
    voice.result({"table": args.out})
    return 0
