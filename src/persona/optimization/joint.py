"""The loop: photo and generated frames teach one avatar, and neither spoils the other."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import torch

from persona.avatar.avatar import Avatar
from persona.avatar.integrity import check_avatar
from persona.core.fingerprint import fingerprint
from persona.core.moving import moved
from persona.core.seeds import Seeds
from persona.core.threads import one_thread
from persona.optimization.checkpoint import resume, save_checkpoint
from persona.optimization.cloth_lessons import cloth_lessons, frames_nodes
from persona.optimization.frame_texture import average_texture, fill_unseen, told_of_fill
from persona.optimization.joint_frames import CHANNELS, gather_frames, missing_channels
from persona.optimization.joint_model import Freedom, JointModel
from persona.optimization.joint_objective import (
    GENERATED_PATCH_TERMS,
    GENERATED_TERMS,
    KNOWN_EVERY,
    PATCH_TERMS,
    PHOTO_FRAME_TERMS,
    REFINED_EVERY,
    Perceptual,
    scales_and_gradients,
    with_perception,
)
from persona.optimization.joint_state import JointState
from persona.optimization.objective import Term, evaluate_terms
from persona.optimization.offsets import OffsetsConfig
from persona.optimization.ownership import photo_owns
from persona.optimization.sampler import draw_frame, sampling_shares
from persona.records.frame_set import FrameSet

LOG_EVERY: Final = 25
"""Steps between two entries of the history."""
LAST_RATE: Final = 0.01
"""Share of every rate that is left at the end. METHOD.md D steps down to a tenth at three quarters;
what Adam makes of the last frames' signs would then be seen as grain."""
TINY: Final = 1e-15
"""Adam's epsilon; METHOD.md D."""
LEAK: Final = 0.02
"""The same for the frames' colours, next to the gradient of what is seen: a Gaussian under others
gets a thousandth of that, and full steps of it would show as stains where others open [-]."""
PATCH_EVERY: Final = 4
"""Steps between two looks at the face's patch, at so many times its weight."""
STAND_IN: Final = "ms_ssim_gmsd"
"""Name of what stands in for LPIPS."""
NO_LPIPS: Final = (
    "No LPIPS weights were given: 1 - MS-SSIM + GMSD stood in for it, and is called so."
)
"""Said of a training without them."""


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """How long and how hard to learn from photo and frames together."""

    steps: int = 600
    """Iterations, one frame each."""
    photo_share: float | None = 0.5
    """Share of the steps that the photo gets; None treats it as one frame among the others."""
    seams: bool = True
    """Whether the photo is not believed beside self-occlusions, where frames know better."""
    geometry: bool = True
    """Whether depth, normals and parts are compared, too."""
    perceptual: bool = True
    """Whether pictures are also compared as people see them."""
    face_patch: bool = True
    """Whether the face is looked at again, as large as the photo has it or frames enlarged it."""
    fill: bool = True
    """Whether what only frames show begins in their average colour."""
    undo_drift: bool = True
    """Whether what only frames show is brought to the photo's hue, part by part."""
    offsets: bool = True
    """Whether pose offsets go on being learned."""
    surfels: bool = True
    """Whether Gaussians are flat and lie in the surface; else they are balls, as in the paper."""
    mean_rate: float = 2e-5
    """Step of a centre [m]. The photo has placed what it shows already: with the paper's 1e-3, or
    even 5e-5, frames of the very same avatar cost the photo 3 dB."""
    scale_rate: float = 3e-3
    """Step of a log scale [-]."""
    color_rate: float = 1e-2
    """Step of a colour [sRGB]."""
    fade_rate: float = 2e-2
    """Step of an opacity's logit, where it may change [-]."""
    network_rate: float = 2e-3
    """Step of the network's weights [-]."""
    pose_rate: float = 0.0
    """Step of a frame's rotations [rad], a tenth for hands; 0 believes the poses, as those of
    physics may be. METHOD.md D has 1e-3, for generators whose people miss the pose they were asked
    for; where poses are exact it takes moved cloth for moved limbs. Hands are then not compared."""
    freedom: Freedom = field(default_factory=Freedom)
    """How far the photo's avatar may be changed, and in what."""
    network: OffsetsConfig = field(default_factory=OffsetsConfig)
    """The network, and how known offsets are taught; its own steps and rate are not used."""
    save_every: int = 200
    """Steps between two checkpoints."""
    preview_every: int = 100
    """Steps between two previews, for onlookers."""


@runtime_checkable
class Onlooker(Protocol):
    """Who watches a training: draws curves, shows previews."""

    def hear(self, step: int, residuals: dict[str, float]) -> None:
        """Take the residuals of a step."""
        ...

    def look(self, step: int, avatar: Avatar) -> None:
        """Take the avatar as it is by now."""
        ...


@dataclass(frozen=True, kw_only=True)
class JointlyTrained:
    """What photo and frames taught."""

    avatar: Avatar
    """Colours, places and sizes refined; with cloth where pose offsets were learned."""
    history: tuple[dict[str, float], ...]
    """Step and residuals every `LOG_EVERY` steps."""
    notes: tuple[str, ...]
    """What was left out, in sentences."""


def train_jointly(
    avatar: Avatar,
    frames: FrameSet,
    config: JointConfig,
    *,
    seed: int = 0,
    threads: int = 1,
    checkpoint: Path | None = None,
    lpips: Perceptual | None = None,
    onlooker: Onlooker | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> JointlyTrained:
    """Refine an avatar with the photo it was made of and with generated pictures of it.

    Runs where the avatar is: on the CPU to the same bits every time, on CUDA unchanged.

    Args:
        avatar: As the photo alone made it, perhaps with cloth learned from known offsets.
        frames: The photo's clip, see `photo_clip.photo_clip`, and clips of generators. Clips
            without pictures teach by their offsets alone.
        config: How long and how hard.
        seed: Same seed, same bits on the CPU.
        threads: Threads of the native kernels.
        checkpoint: Folder to save to and to go on from; None keeps nothing.
        lpips: Distance of pictures, see `images.lpips`; None takes MS-SSIM and GMSD instead.
        onlooker: Hears of every step, and sees the avatar now and then.
        tick: Called with the number of steps done.

    Raises:
        InputError: The photo is not in the set, the nodes are of another avatar, or a camera does
            not see the avatar.
        OptimizationError: A term is no longer a number; it and the frame are named.
        FileFormatError: The checkpoint is damaged, or belongs to other inputs.
    """
    with one_thread():
        training = _Training(avatar, moved(frames, avatar.canonical.means.device), config, seed)
        training.begin(threads, lpips, checkpoint)
        for step in range(training.done, config.steps):
            residuals = training.step(step)
            training.save(step, checkpoint)
            if onlooker is not None:
                onlooker.hear(step, residuals)
                if step % config.preview_every == 0:
                    onlooker.look(step, training.avatar_by_now())
            tick(step + 1)
        return training.finish()


class _Training:
    """All that a training needs between two steps."""

    def __init__(self, avatar: Avatar, frames: FrameSet, config: JointConfig, seed: int) -> None:
        self.avatar = avatar if config.surfels else with_balls(avatar)
        self.frames, self.config, self.seed = frames, config, seed
        self.seeds = Seeds(seed).child("joint")
        self.done, self.history = 0, ()

    def begin(self, threads: int, lpips: Perceptual | None, checkpoint: Path | None) -> None:
        """Look at all frames, set up what is learned, and go on from a checkpoint."""
        avatar, config = self.avatar, self.config
        self.threads = threads
        seams = config.seams
        self.lessons = gather_frames(avatar, self.frames, with_seams=seams, threads=threads)
        is_photo = torch.tensor([lesson.is_photo for lesson in self.lessons], dtype=torch.bool)
        trust = torch.tensor([lesson.picture.trust for lesson in self.lessons])
        self.shares = sampling_shares(is_photo, trust, photo_share=config.photo_share)
        photo = self.lessons[int(is_photo.nonzero()[0])]
        learns = config.offsets
        self.cloth = (
            cloth_lessons(avatar, self.frames, config.network, seed=self.seed) if learns else None
        )
        cloth = self.cloth
        owned = photo_owns(avatar, photo, threads=threads)
        begun, as_seen, self.filled = avatar, None, ()
        if config.fill:
            texture = average_texture(avatar, self.lessons, threads=threads)
            begun, as_seen = fill_unseen(avatar, texture, owned)
            self.filled = told_of_fill(texture, owned)
        self.model = JointModel(
            begun,
            owned,
            nodes=frames_nodes(avatar, self.frames) if cloth is None else cloth.network.nodes,
            network=None if cloth is None else cloth.network,
            base=None if cloth is None else cloth.base,
            frames=len(self.lessons),
            freedom=config.freedom,
            as_seen=as_seen,
        )
        self.adam, self.rates = _optimizer(self.model, config)
        self.lpips_given = lpips is not None
        self.terms = {
            True: _chosen(PHOTO_FRAME_TERMS, config, lpips),
            False: _chosen(GENERATED_TERMS, config, lpips),
        }
        if checkpoint is not None:
            self.inputs = fingerprint(avatar, self.frames, config, self.seed)
            self.done, self.history = resume(checkpoint, self.model, self.adam, inputs=self.inputs)

    def step(self, step: int) -> dict[str, float]:
        """Learn from one frame; the step alone decides from which."""
        config, model = self.config, self.model
        row = draw_frame(self.shares, self.seeds, step)
        lesson = self.lessons[row]
        cloth = self.cloth
        due = cloth is not None and step % KNOWN_EVERY == 0
        known = cloth.error(self.seeds, step) if cloth is not None and due else None
        still = None if cloth is None else cloth.still
        refine = step % REFINED_EVERY == 0
        state = model.look(lesson, row, still, known, refine=refine, threads=self.threads)
        terms = self.terms[lesson.is_photo]
        loss, residuals = evaluate_terms(terms, state, step, frame=lesson.name)
        if config.face_patch and lesson.patch is not None and step % PATCH_EVERY == 0:
            near = model.look_at_patch(lesson.patch, row, threads=self.threads)
            asked = PATCH_TERMS if lesson.is_photo else GENERATED_PATCH_TERMS
            more, others = evaluate_terms(asked, near, step, frame=f"the face of {lesson.name}")
            loss, residuals = loss + PATCH_EVERY * more, {**residuals, **others}
        decay = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / config.steps)) / 2
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * decay
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        model.hold(lesson)
        model.check_gradients(lesson, step)
        self.adam.step()
        model.stay_within()
        if step % LOG_EVERY == 0 or step == config.steps - 1:
            self.history = (*self.history, {"step": float(step), **residuals})
        return residuals

    def save(self, step: int, checkpoint: Path | None) -> None:
        """Write a checkpoint where one is due."""
        due = (step + 1) % self.config.save_every == 0 or step == self.config.steps - 1
        if checkpoint is not None and due:
            save_checkpoint(
                checkpoint,
                self.model,
                self.adam,
                done=step + 1,
                inputs=self.inputs,
                history=self.history,
            )

    def avatar_by_now(self) -> Avatar:
        """Give the avatar as learned so far, its cloth as before."""
        canonical = self.model.canonical(undo_drift=self.config.undo_drift)
        return replace(self.avatar, canonical=canonical)

    def finish(self) -> JointlyTrained:
        """Freeze what was learned into an avatar, and check it."""
        avatar = self.avatar_by_now()
        if self.cloth is not None:
            avatar = replace(avatar, cloth=self.cloth.finish())
        check_avatar(avatar)
        trusted = [x for x in self.lessons if x.is_photo or x.picture.trust > 0]
        notes = (*self.filled, *missing_channels(trusted))
        if self.config.perceptual and not self.lpips_given:
            notes = (NO_LPIPS, *notes)
        return JointlyTrained(avatar=avatar, history=self.history, notes=notes)


def with_balls(avatar: Avatar) -> Avatar:
    """Make every Gaussian as thick as it is wide: the paper's."""
    flat = avatar.canonical
    wide = flat.log_scales[:, :2].mean(1, keepdim=True).expand(-1, 3).contiguous()
    return replace(avatar, canonical=replace(flat, log_scales=wide))


def _chosen(
    terms: tuple[Term[JointState], ...], config: JointConfig, lpips: Perceptual | None
) -> tuple[Term[JointState], ...]:
    """Leave away what was not asked for, and add what compares pictures as people do."""
    if not config.geometry:
        terms = tuple(term for term in terms if not set(term.needs) & set(CHANNELS))
    if not config.perceptual:
        return terms
    if lpips is None:
        return with_perception(terms, STAND_IN, scales_and_gradients)
    return with_perception(terms, "lpips_vgg", lpips)


def _optimizer(
    model: JointModel, config: JointConfig
) -> tuple[torch.optim.Adam, tuple[float, ...]]:
    """Give Adam with a group for each rate, and the rates."""
    # Each Gaussian that is seen has a gradient of about one over their number.
    faint = LEAK / model.avatar.count
    groups = [
        ([model.shift], config.mean_rate, TINY),
        ([model.growth], config.scale_rate, TINY),
        ([model.color], config.color_rate, TINY),
        ([model.aux], config.color_rate, faint),
    ]
    if config.freedom.fades:
        groups.append(([model.fade], config.fade_rate, TINY))
    if model.network is not None:
        weights = [p for p in model.network.parameters() if p.requires_grad]
        groups.append((weights, config.network_rate, TINY))
    if config.pose_rate > 0:
        groups.append(([model.turns], config.pose_rate, TINY))
    model.turns.requires_grad_(config.pose_rate > 0)
    adam = torch.optim.Adam(
        [{"params": parameters, "lr": rate, "eps": eps} for parameters, rate, eps in groups],
        fused=True,
    )
    return adam, tuple(rate for _, rate, _ in groups)
