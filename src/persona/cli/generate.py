"""Make pictures of the person in a photo in other poses, by video diffusion or by physics.

Writes a folder with the frames, their masks, parts and trust as one record, and every kept frame as
PNG, white where nobody is; frames that show somebody else or another pose are left out, and it says
why. Diffusion needs the extra diffusion and weights (persona weights list), and a graphics card to
be bearable; physics needs a finished avatar, and minutes. A run that was
stopped goes on where it was when the same command is given again. Several cards, for mimicmotion:
torchrun --nproc-per-node N -m persona generate ...
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from persona.core.progress import current


@dataclass(frozen=True)
class Args:
    """What `persona generate` takes."""

    photo: tyro.conf.Positional[Path]
    """Picture of one whole person."""
    out: Path
    """Folder to write: the frames with their labels, and every picture as PNG."""
    generator: Annotated[str, tyro.conf.arg(metavar="NAME[+NAME]")] = "mimicmotion"
    """mimicmotion, wan-animate (whose weights allow any use), or both; physics moves the clothes of
    an avatar through motions of its own, and needs --avatar."""
    frames: int = 900
    """How many frames are asked of diffusion, at 30 a second; half a minute has all that is
    done."""
    every: int = 4
    """One of its frames of so many is labelled and kept."""
    steps: int | None = None
    """Steps of the sampler. Left out, it is 25 for mimicmotion, where 10 are quicker, at noise
    levels chosen for so few; 20 for wan-animate."""
    compiled: bool = False
    """Compile MimicMotion first: a third faster after two minutes."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    avatar: Path | None = None
    """The person's avatar, for physics."""
    base: Path | None = None
    """Your own folder of SVD-XT 1.1, for mimicmotion."""
    checkpoint: Path | None = None
    """Your own folder or file of MimicMotion 1.1."""
    wan: Path | None = None
    """Your own folder of Wan-Animate."""
    labels: Annotated[str, tyro.conf.arg(metavar="NAME[+NAME]")] = "embedded"
    """Who looks at the frames. embedded needs no weights; models is sam2+vitpose, for masks and
    joints; geometry is marigold+depth-anything, for normals and depth; sapiens2 is sapiens2-pose+
    sapiens2-parts+sapiens2-normals. Single ones may be named, too: depth-pro in place of
    depth-anything, vitmatte or sapiens2-matting for soft edges, swin2sr for larger faces. Each is
    read from weights that `persona weights list` names, with what their terms allow."""
    label_folders: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=FOLDER")] = ()
    """Your own folders of label models, for example sam2=/weights/sam2."""
    faces: Path | None = None
    """Your own folder of SigLIP, which compares faces with the photo's. Left out, the fetched one
    is taken (siglip-base-patch16-224); without it no face is compared, and the notes say so."""


def run(args: Args) -> int:
    """Generate and write; return 0."""
    from persona.avatar.avatar import Avatar
    from persona.body import load_body
    from persona.core.device import device_of_process
    from persona.fitting.stage import FitBody
    from persona.perception.models.choice import parse_folders
    from persona.pipeline.create import outfit_of
    from persona.pipeline.generate import generate
    from persona.pipeline.generators import DiffusionOptions, frame_generator, parse_generators
    from persona.synthesis.diffusion.settings import MimicMotionSettings, WanAnimateSettings
    from persona.synthesis.diffusion.sharing import leave_group, share_of_process

    published, wan = MimicMotionSettings(compiled=args.compiled), WanAnimateSettings()
    if args.steps is not None:
        published, wan = replace(published, steps=args.steps), replace(wan, steps=args.steps)
    options = DiffusionOptions(
        frames=args.frames,
        every=args.every,
        sampling=published,
        wan=wan,
        device=args.device,
        base=args.base,
        checkpoint=args.checkpoint,
        wan_folder=args.wan,
        labels=args.labels,
        label_folders=parse_folders(args.label_folders),
        faces=args.faces,
    )
    generator = frame_generator(parse_generators(args.generator), options)
    rank = share_of_process(device_of_process(args.device)).rank
    body = load_body()
    frames = generate(
        args.photo,
        generator,
        out=args.out,
        fit=FitBody(body=body),
        body_digest=body.digest,
        avatar=None if args.avatar is None else Avatar.load(args.avatar),
        outfit=None if args.avatar is None else outfit_of(args.avatar),
        rank=rank,
    )
    if rank == 0:
        for note in frames.notes:
            current().say(note)
        current().result({"out": args.out, "pictures": sum(len(c.pictures) for c in frames.clips)})
    leave_group()
    return 0
