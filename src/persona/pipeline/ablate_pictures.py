"""What each technique of joint training is worth, on a truth made of the avatar itself.

The avatar plays both sides. As it is, it is the truth: its photo, and its pictures in other poses
as a generator would make them that turns the hue and softens what it draws. What learns begins
without its cloth, with dull colours, and with an arm's colour on the trunk beside it. So the photo,
poses that were not taught, the hidden and where cloth belongs are all known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.wander import wander
from persona.avatar import Avatar
from persona.avatar.cloth import predict_clip
from persona.avatar.rates import at_rest, joint_rates
from persona.core.device import core_count
from persona.core.errors import InputError
from persona.geometry.cameras import Camera
from persona.images.similarity import psnr
from persona.optimization.joint import JointConfig, train_jointly
from persona.optimization.offsets import one_frame
from persona.records.frame_set import PHOTO, Clip, FrameSet, JointRates, Picture
from persona.records.motion import Motion
from persona.rendering.camera_paths import fit_camera
from persona.synthesis.physics.pictures import take_picture

EVERYTHING: Final = "everything"
"""The variant all others are compared with."""
SECONDS: Final = 12.0
"""Length of the motion that is taught, and half of it is held out [s]."""
FPS: Final = 4.0
"""Pictures a second."""
HEIGHT: Final = 288
"""Rows of a picture [px]."""
ASPECT: Final = 0.75
"""Width over height."""
DULL: Final = 0.7
"""Share of its contrast that what learns begins with."""
HUE: Final = (1.12, 1.0, 0.86)
"""What the generator multiplies colours by."""


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One technique left away."""

    name: str
    """What the table calls it."""
    because: str
    """What it is for."""
    change: Callable[[JointConfig], JointConfig]
    """Switches it off."""


def _free(config: JointConfig, **settings: object) -> JointConfig:
    return replace(config, freedom=replace(config.freedom, **settings))


def _feels_nothing(config: JointConfig) -> JointConfig:
    network = replace(config.network.network, feels_motion=False)
    return replace(config, network=replace(config.network, network=network))


TECHNIQUES: Final = (
    Technique(name=EVERYTHING, because="the default", change=lambda config: config),
    Technique(
        name="without balance",
        because="photo and frames 1:1; else the photo is one picture among many",
        change=lambda config: replace(config, photo_share=None),
    ),
    Technique(
        name="without a second colour",
        because="frames have a colour of their own and do not repaint the photo",
        change=lambda config: _free(config, generated_recolor=True),
    ),
    Technique(
        name="without either",
        because="balance and second colour together are what keeps the photo",
        change=lambda config: replace(_free(config, generated_recolor=True), photo_share=None),
    ),
    Technique(
        name="without seams",
        because="beside a self-occlusion the photo is not believed",
        change=lambda config: replace(config, seams=False),
    ),
    Technique(
        name="without geometry",
        because="depth, normals and parts",
        change=lambda config: replace(config, geometry=False),
    ),
    Technique(
        name="without perception",
        because="pictures compared as people see them",
        change=lambda config: replace(config, perceptual=False),
    ),
    Technique(
        name="without filling",
        because="what only frames show begins in their average colour",
        change=lambda config: replace(config, fill=False),
    ),
    Technique(
        name="without undoing drift",
        because="the hue of what only frames show is brought to the photo's",
        change=lambda config: replace(config, undo_drift=False),
    ),
    Technique(
        name="without pose offsets",
        because="cloth that moves with the pose",
        change=lambda config: replace(config, offsets=False),
    ),
    Technique(
        name="without motion",
        because="velocity and acceleration as inputs of the offsets",
        change=_feels_nothing,
    ),
    Technique(
        name="without surfels",
        because="flat Gaussians that lie in the surface",
        change=lambda config: replace(config, surfels=False),
    ),
    Technique(
        name="with learned opacity",
        because="(the other way round) hair and hems may become less opaque",
        change=lambda config: _free(config, fades=True),
    ),
)
"""Every technique of joint training, one left away at a time."""


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """What a variant came to."""

    technique: Technique
    """What was left away."""
    photo_db: float
    """PSNR at the photo [dB]."""
    unseen_pose_db: float
    """PSNR in poses that were not taught, over white [dB]."""
    hidden_color: float
    """Mean error of the colours that the photo does not show [sRGB]."""
    cloth_ratio: float
    """Error of where nodes of cloth are in poses not taught, over that of cloth that stays [-]."""


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """An avatar that is known, pictures of it by a generator that drifts, and who learns."""

    truth: Avatar
    """What is to be found."""
    learner: Avatar
    """Where training begins."""
    frames: FrameSet
    """The photo, and what the generator made of a motion."""
    judge: Clip
    """A motion that is not taught, offsets known."""


def plant_truth(avatar: Avatar, *, seed: int = 0, height: int = HEIGHT) -> PlantedTruth:
    """Make a truth of an avatar whose clothes have learned to move.

    Raises:
        InputError: The avatar has no cloth: nothing would move.
    """
    if avatar.cloth is None:
        raise InputError(
            "the avatar's clothes have not learned to move",
            why="what joint training teaches them could not be judged",
            fix="create it with --generator physics",
        )
    with torch.no_grad():
        standing = Motion(params=one_frame(avatar.photo_params), fps=1.0)
        rest = at_rest()
        photo = Clip(
            source=PHOTO,
            motion=standing,
            rates=rest,
            pictures=(_seen(avatar, standing, rest, 0, height, drifts=False),),
        )
        taught = wander(SECONDS, fps=FPS, seed=seed)
        judge = wander(SECONDS / 2, fps=FPS, seed=seed + 1)
        rates = joint_rates(taught)
        pictures = tuple(
            _seen(avatar, taught, rates, frame, height, drifts=True)
            for frame in range(taught.frame_count)
        )
        generated = Clip(source="drifting", motion=taught, rates=rates, pictures=pictures)
        told = Clip(source="truth", motion=judge, rates=joint_rates(judge), held_out=True)
        known = replace(told, offsets=predict_clip(avatar.cloth.deformation, told))
        dull = avatar.canonical.colors * DULL + (1 - DULL) / 2
        colors = torch.where(avatar.seen[:, None], avatar.canonical.colors, dull)
    learner = replace(avatar, cloth=None, canonical=replace(avatar.canonical, colors=colors))
    return PlantedTruth(
        truth=avatar,
        learner=learner,
        frames=FrameSet(clips=(photo, generated), nodes=avatar.cloth.nodes),
        judge=known,
    )


def ablate_pictures(
    planted: PlantedTruth,
    config: JointConfig,
    *,
    techniques: tuple[Technique, ...] = TECHNIQUES,
    seed: int = 0,
    tick: Callable[[int], None] = lambda _: None,
) -> list[PictureRow]:
    """Train once for each technique left away, and judge by the truth."""
    rows = []
    for done, technique in enumerate(techniques, start=1):
        trained = train_jointly(
            planted.learner,
            planted.frames,
            technique.change(config),
            seed=seed,
            threads=core_count(),
        )
        with torch.no_grad():
            rows.append(_judged(technique, trained.avatar, planted))
        tick(done)
    return rows


def picture_table(rows: list[PictureRow]) -> str:
    """Write rows as a Markdown table."""
    lines = [
        "| variant | photo [dB] | poses not taught [dB] | hidden colours [sRGB] | cloth, of still "
        "| what for |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.technique.name} | {row.photo_db:.1f} | {row.unseen_pose_db:.1f} | "
        f"{row.hidden_color:.3f} | {row.cloth_ratio:.2f} | {row.technique.because} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _judged(technique: Technique, made: Avatar, planted: PlantedTruth) -> PictureRow:
    truth, judge = planted.truth, planted.judge
    photo = planted.frames.clips[0].pictures[0]
    drawn = made.render(made.photo_params, photo.camera)
    inner = photo.mask > 0.99
    at_photo = psnr(drawn.color, photo.image, mask=inner)
    unseen = []
    for frame in range(0, judge.frame_count, 3):
        params, rates = judge.motion.params.frame(frame), _row(judge.rates, frame)
        camera = _camera(truth.pose(params, rates=rates).means, frame, photo.camera.height)
        white = torch.ones(3)
        pair = [
            avatar.render(params, camera, rates=rates, background=white).color
            for avatar in (made, truth)
        ]
        unseen.append(psnr(*pair))
    hidden = ~truth.seen
    apart = (made.canonical.colors - truth.canonical.colors)[hidden].abs().mean()
    return PictureRow(
        technique=technique,
        photo_db=float(at_photo),
        unseen_pose_db=float(torch.stack(unseen).mean()),
        hidden_color=float(apart),
        cloth_ratio=_cloth_ratio(made, judge),
    )


def _cloth_ratio(made: Avatar, judge: Clip) -> float:
    assert judge.offsets is not None
    if made.cloth is None:
        return 1.0
    said = predict_clip(made.cloth.deformation, judge)
    still = judge.offsets.norm(dim=-1).mean().clamp(min=1e-6)
    return float((said - judge.offsets).norm(dim=-1).mean() / still)


def _seen(
    avatar: Avatar, motion: Motion, rates: JointRates, frame: int, height: int, *, drifts: bool
) -> Picture:
    """Draw a frame as a camera or a drifting generator would."""
    params = motion.params.frame(frame)
    posed = avatar.pose(params, rates=_row(rates, frame))
    camera = _camera(posed.means, frame, height)
    picture = take_picture(posed, avatar.parts, camera, frame=frame)
    if not drifts:
        # A photo has no depth.
        return replace(picture, depth_m=None, normal_8=None)
    return replace(picture, image_8=(_drifted(picture.image) * 255).round().to(torch.uint8))


def _drifted(image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """Turn the hue and take away the finest detail."""
    soft = torch.nn.functional.avg_pool2d(image.permute(2, 0, 1)[None], 3, 1, 1)[0]
    return (soft.permute(1, 2, 0) * torch.tensor(HUE)).clamp(0, 1)


def _camera(means: Float[Tensor, "n 3"], frame: int, height: int) -> Camera:
    yaw = (frame % 4) * math.pi / 2
    return fit_camera(means, width=round(ASPECT * height), height=height, yaw=yaw)


def _row(rates: JointRates, frame: int) -> JointRates:
    return rates.rows(torch.tensor([frame]))
