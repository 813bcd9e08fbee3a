"""Make pictures of the person in a photo in other poses, by video diffusion.

Needs the extra diffusion and weights (persona weights list), and a graphics card to be bearable. A
run that was stopped goes on where it was when the same command is given again. Several cards:
torchrun --nproc-per-node N -m persona generate ...
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from persona.core.progress import current


@dataclass(frozen=True)
class Args:
    """What `persona generate` takes."""

    photo: tyro.conf.Positional[Path]
    """Picture of one whole person."""
    out: Path
    """Folder to write: the frames with their labels, and every picture as PNG."""
    generator: Literal["mimicmotion"] = "mimicmotion"
    """Who makes them. Frames by physics need an avatar: persona create makes both."""
    frames: int = 900
    """How many frames are asked for, at 30 a second; half a minute has all that is done."""
    every: int = 4
    """One frame of so many is labelled and kept."""
    steps: int = 25
    """Steps of the sampler; 10 are quicker, at noise levels chosen for so few."""
    compiled: bool = False
    """Compile the model first: a third faster after two minutes."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    base: Path | None = None
    """Your own folder of SVD-XT 1.1."""
    checkpoint: Path | None = None
    """Your own folder or file of MimicMotion 1.1."""


def run(args: Args) -> int:
    """Generate and write; return 0."""
    from persona.body import load_body
    from persona.fitting.stage import FitBody
    from persona.pipeline.generate import generate
    from persona.pipeline.generators import DiffusionOptions, mimicmotion_frames
    from persona.synthesis.diffusion.settings import MimicMotionSettings

    options = DiffusionOptions(
        frames=args.frames,
        every=args.every,
        sampling=MimicMotionSettings(steps=args.steps, compiled=args.compiled),
        device=args.device,
        base=args.base,
        checkpoint=args.checkpoint,
    )
    generator = mimicmotion_frames(options)
    rank = generator.film.share.rank  # pyright: ignore[reportAttributeAccessIssue]
    frames = generate(args.photo, generator, out=args.out, fit=FitBody(body=load_body()), rank=rank)
    if rank == 0:
        for note in frames.notes:
            current().say(note)
        current().result({"out": args.out, "pictures": sum(len(c.pictures) for c in frames.clips)})
    return 0
