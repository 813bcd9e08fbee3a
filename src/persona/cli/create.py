"""Turn a photo of a person into an avatar.

Writes a folder NAME.persona with the avatar, a preview video and a report to look at. A run that
was stopped goes on where it was when the same command is given again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from persona.core.progress import current


@dataclass(frozen=True)
class Args:
    """What `persona create` takes."""

    photo: tyro.conf.Positional[Path]
    """Picture of one whole person: JPEG, PNG, WebP, BMP or TIFF."""
    out: Path | None = None
    """Folder to write; by default the photo's name with the ending .persona, here."""
    preset: Literal["draft", "standard", "studio"] = "standard"
    """draft to see whether a photo will do, standard, studio to keep."""
    seed: int = 0
    """Same photo, settings and seed on one machine: the same avatar, bit for bit."""
    person: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Which person, where there are several, counted from the left from 1."""
    allow_partial: bool = False
    """Go on when part of the person is missing, and say in the report what was invented."""
    garments: Path | None = None
    """TOML file that corrects the guess about the clothes: an avatar's garments.toml, mended."""
    body: Path | None = None
    """Your own SMPL-X file to stand on: SMPLX_NEUTRAL, _MALE or _FEMALE, .npz or .pkl. Left out, it
    is what PERSONA_BODY names, else the open body. The avatar then needs the same file."""
    generator: Annotated[str | None, tyro.conf.arg(metavar="NAME[+NAME]")] = None
    """physics: the person's clothes are simulated, and the avatar learns from it how they move.
    wan-animate, mimicmotion: pictures of the person in other poses by video diffusion, which joint
    training then learns from; need weights (wan-animate's allow any use) and a graphics card.
    physics+wan-animate: both. none: clothes follow
    the skin, a minute sooner. Left out, it is physics, but none for drafts."""
    labels: Annotated[str, tyro.conf.arg(metavar="NAME[+NAME]")] = "embedded"
    """Who looks at pictures by diffusion: embedded needs no weights; models takes SAM 2's masks and
    ViTPose's joints, models+geometry normals and depth as well, models+geometry+vitmatte+swin2sr
    soft edges and larger faces, too; `persona generate --help` has all names."""
    refine: Annotated[int, tyro.conf.arg(metavar="STEPS")] = 0
    """Steps of joint training on the photo and the generator's pictures, 600 for example. Those of
    physics know nothing new of the person: it is for generators that do, which have 600."""
    lpips: Path | None = None
    """Folder with vgg16.pth and lpips_vgg.pth, for joint training to compare pictures as people
    do. Left out, MS-SSIM and GMSD stand in for them."""
    watch: Path | None = None
    """Folder for the curves (curves.csv) and previews of joint training while it goes on."""
    device: str = "auto"
    """Where pictures are made, and clothes and pictures learned from: auto takes a graphics card
    where there is one, cpu, cuda."""
    prepare: bool = False
    """Do only what needs no graphics card, and keep it; the same command without this goes on."""


def run(args: Args) -> int:
    """Make the avatar; say where its files are."""
    from persona.pipeline.create import GARMENTS_FILE, create
    from persona.pipeline.generators import DiffusionOptions
    from persona.pipeline.targets import ENDING

    out = args.out if args.out is not None else Path(args.photo.stem + ENDING)
    avatar = create(
        args.photo,
        out=out,
        preset=args.preset,
        seed=args.seed,
        person=args.person,
        allow_partial=args.allow_partial,
        garments=args.garments,
        generator=args.generator,
        diffusion=DiffusionOptions(labels=args.labels, device=args.device),
        body=args.body,
        refine=args.refine,
        lpips=args.lpips,
        watch=args.watch,
        device=args.device,
        prepare=args.prepare,
    )
    voice = current()
    for warning in avatar.warnings:
        voice.warn(warning)
    if args.prepare:
        voice.result({"prepared": out})
        return 0
    voice.result(
        {
            "avatar": out,
            "preview": out / "preview.mp4",
            "report": out / "report.html",
            "garments": out / GARMENTS_FILE,
        }
    )
    return 0
