"""The loop: photo and generated frames teach one avatar, and neither spoils the other."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.avatar.correctives import Correctives
from persona.avatar.integrity import check_avatar
from persona.avatar.nodes import place_nodes
from persona.core.errors import InputError
from persona.core.fingerprint import fingerprint
from persona.core.seeds import Seeds
from persona.core.threads import one_thread
from persona.optimization.checkpoint import resume, save_checkpoint
from persona.optimization.deformer import Deformer
from persona.optimization.joint_frames import Frame, gather_frames, missing_channels
from persona.optimization.joint_model import JointModel, Limits, photo_owns
from persona.optimization.joint_objective import GENERATED_TERMS, PHOTO_FRAME_TERMS
from persona.optimization.objective import evaluate_terms
from persona.optimization.offsets import (
    KnownOffsets,
    OffsetsConfig,
    finish_cloth,
    know_offsets,
    still_features,
)
from persona.optimization.sampler import draw_frame, sampling_shares
from persona.records.frame_set import PHOTO, Clip, FrameSet
from persona.records.nodes import Nodes
from persona.records.observation import Part

LOG_EVERY: Final = 25
"""Steps between two entries of the history."""
STEADY: Final = 0.75
"""Share of the steps after which rates fall to a tenth; METHOD.md D."""
MOVES: Final = (Part.UPPER, Part.LOWER, Part.SHOES)
"""What pose offsets may move where no nodes were given: never hands, eyes and face."""
NO_LPIPS: Final = "No LPIPS weights were given: colours were compared by L1 and SSIM alone."
"""Said of every training so far."""


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """How long and how hard to learn from photo and frames together."""

    steps: int = 600
    """Iterations, one frame each."""
    photo_share: float | None = 0.5
    """Share of the steps that the photo gets; None treats it as one frame among the others."""
    seams: bool = True
    """Whether the photo is not believed beside self-occlusions, where frames know better."""
    generated_recolor: bool = False
    """Whether frames also recolour what the photo shows, as the paper does."""
    undo_drift: bool = True
    """Whether what only frames show is brought to the photo's hue, part by part."""
    offsets: bool = True
    """Whether pose offsets are learned."""
    mean_rate: float = 5e-5
    """Step of a centre [m]."""
    scale_rate: float = 1e-2
    """Step of a log scale [-]."""
    color_rate: float = 1e-2
    """Step of a colour [sRGB]."""
    network_rate: float = 2e-3
    """Step of the network's weights [-]."""
    pose_rate: float = 0.0
    """Step of a frame's rotations [rad], a tenth for hands; 0 believes the poses, as those of
    physics may be. METHOD.md D has 1e-3, for generators whose people miss the pose they were asked
    for; where poses are exact it takes moved cloth for moved limbs. Hands are then not compared."""
    limits: Limits = field(default_factory=Limits)
    """How far the photo's avatar may be changed."""
    network: OffsetsConfig = field(default_factory=OffsetsConfig)
    """The network, and how known offsets are taught; its own steps and rate are not used."""
    save_every: int = 200
    """Steps between two checkpoints."""


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
    tick: Callable[[int], None] = lambda _: None,
) -> JointlyTrained:
    """Refine an avatar with the photo it was made of and with generated pictures of it.

    Args:
        avatar: As the photo alone made it, perhaps with cloth learned from known offsets.
        frames: The photo's clip, see `joint_frames.photo_clip`, and clips of generators. Clips
            without pictures teach by their offsets alone.
        config: How long and how hard.
        seed: Same seed, same bits on the CPU.
        threads: Threads of the native kernels.
        checkpoint: Folder to save to and to go on from; None keeps nothing.
        tick: Called with the number of steps done.

    Raises:
        InputError: The photo is not in the set, or the nodes are of another avatar.
        OptimizationError: A term is no longer a number; it and the frame are named.
        FileFormatError: The checkpoint is damaged, or belongs to other inputs.
    """
    with one_thread():
        return _train(avatar, frames, config, seed, threads, checkpoint, tick)


def _train(
    avatar: Avatar,
    frames: FrameSet,
    config: JointConfig,
    seed: int,
    threads: int,
    checkpoint: Path | None,
    tick: Callable[[int], None],
) -> JointlyTrained:
    lessons = gather_frames(avatar, frames, with_seams=config.seams, threads=threads)
    is_photo = torch.tensor([lesson.is_photo for lesson in lessons], dtype=torch.bool)
    trust = torch.tensor([lesson.picture.trust for lesson in lessons])
    shares = sampling_shares(is_photo, trust, photo_share=config.photo_share)
    photo = lessons[int(is_photo.nonzero()[0])]
    cloth = _cloth_lessons(avatar, frames, config, seed)
    model = JointModel(
        avatar,
        photo_owns(avatar, photo, threads=threads),
        None if cloth is None else cloth.network,
        None if cloth is None else cloth.base,
        frames=len(lessons),
        generated_recolor=config.generated_recolor,
        limits=config.limits,
    )
    adam, rates = _optimizer(model, config)
    inputs = fingerprint(avatar, frames, config, seed) if checkpoint else ""
    done, history = resume(checkpoint, model, adam, inputs=inputs) if checkpoint else (0, ())
    seeds = Seeds(seed).child("joint")
    for step in range(done, config.steps):
        row = draw_frame(shares, seeds, step)
        lesson = lessons[row]
        known = None if cloth is None else cloth.error(config, seeds, step)
        still = None if cloth is None else cloth.still
        state = model.look(lesson, row, still, known, threads=threads)
        terms = PHOTO_FRAME_TERMS if lesson.is_photo else GENERATED_TERMS
        loss, residuals = evaluate_terms(terms, state, step, frame=lesson.name)
        decay = 0.1 if step >= STEADY * config.steps else 1.0
        for group, rate in zip(adam.param_groups, rates, strict=True):
            group["lr"] = rate * decay
        adam.zero_grad(set_to_none=True)
        loss.backward()
        model.hold(lesson, step)
        adam.step()
        model.stay_within()
        if step % LOG_EVERY == 0 or step == config.steps - 1:
            history = (*history, {"step": float(step), **residuals})
        if checkpoint and ((step + 1) % config.save_every == 0 or step == config.steps - 1):
            save_checkpoint(checkpoint, model, adam, done=step + 1, inputs=inputs, history=history)
        tick(step + 1)
    notes = (NO_LPIPS, *missing_channels(_trusted(lessons)))
    return JointlyTrained(avatar=_finished(model, cloth, config), history=history, notes=notes)


@dataclass(frozen=True, kw_only=True)
class _ClothLessons:
    """The network, and what it is taught by beside pictures."""

    network: Deformer
    base: Correctives | None
    still: Tensor
    known: KnownOffsets | None
    clips: tuple[Clip, ...]

    def error(self, config: JointConfig, seeds: Seeds, step: int) -> Tensor | None:
        """Compare with offsets that are known, if any are."""
        if self.known is None:
            return None
        return self.known.error(self.network, config.network, seeds.torch(f"offsets {step}"))


def _cloth_lessons(
    avatar: Avatar, frames: FrameSet, config: JointConfig, seed: int
) -> _ClothLessons | None:
    """Set up the network; None where nothing could teach it."""
    clips = tuple(clip for clip in frames.taught if clip.source != PHOTO)
    if not config.offsets or not clips:
        return None
    nodes = _nodes(avatar, frames, config)
    network = Deformer(nodes, config.network.network, Seeds(seed).integer("network"))
    exact = [clip for clip in clips if clip.offsets is not None]
    base = None if avatar.cloth is None else avatar.cloth.correctives
    photo, known = avatar.photo_params, None
    with torch.no_grad():
        still = still_features(network, photo)
    if exact:
        rank = config.network.base_rank
        known, base = know_offsets(network, exact, photo, base_rank=rank, base=base)
    return _ClothLessons(network=network, base=base, still=still, known=known, clips=clips)


def _nodes(avatar: Avatar, frames: FrameSet, config: JointConfig) -> Nodes:
    """Take the set's nodes, the avatar's, or spread new ones over what is worn."""
    nodes = frames.nodes or (None if avatar.cloth is None else avatar.cloth.nodes)
    if nodes is None:
        worn = torch.isin(avatar.parts, torch.tensor([int(part) for part in MOVES]))
        count = config.network.network.nodes
        return place_nodes(avatar.canonical.means, avatar.binding, worn, count=count)
    of_avatar = avatar.cloth is None or avatar.cloth.nodes.count == nodes.count
    if len(nodes.shares) != avatar.count or not of_avatar:
        raise InputError(
            f"the nodes of the frames carry {len(nodes.shares)} Gaussians, the avatar has "
            f"{avatar.count}",
            why="frames and avatar speak of the same nodes and Gaussians",
            fix="generate the frames from this avatar",
        )
    return nodes


def _optimizer(
    model: JointModel, config: JointConfig
) -> tuple[torch.optim.Adam, tuple[float, ...]]:
    """Give Adam with a group for each rate, and the rates."""
    groups = [
        ([model.shift], config.mean_rate),
        ([model.growth], config.scale_rate),
        ([model.color, model.aux], config.color_rate),
    ]
    if model.network is not None:
        groups.append((list(model.network.parameters()), config.network_rate))
    if config.pose_rate > 0:
        groups.append(([model.turns], config.pose_rate))
    model.turns.requires_grad_(config.pose_rate > 0)
    adam = torch.optim.Adam(
        [{"params": parameters, "lr": rate} for parameters, rate in groups], eps=1e-15
    )
    return adam, tuple(rate for _, rate in groups)


def _trusted(lessons: tuple[Frame, ...]) -> list[Frame]:
    return [lesson for lesson in lessons if lesson.is_photo or lesson.picture.trust > 0]


def _finished(model: JointModel, cloth: _ClothLessons | None, config: JointConfig) -> Avatar:
    """Freeze what was learned into an avatar, and check it."""
    avatar = replace(model.avatar, canonical=model.canonical(undo_drift=config.undo_drift))
    if cloth is not None:
        rank = config.network.baked_rank
        made = finish_cloth(cloth.network, cloth.base, cloth.clips, cloth.still, baked_rank=rank)
        avatar = replace(avatar, cloth=made)
    check_avatar(avatar)
    return avatar
