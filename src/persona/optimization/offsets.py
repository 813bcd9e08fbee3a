"""Teach a network how cloth moves from offsets that are known, without drawing anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.cloth import Cloth, predict_clip
from persona.avatar.correctives import Correctives
from persona.avatar.rates import at_rest, joint_rates
from persona.core.errors import InputError, OptimizationError
from persona.core.moving import moved
from persona.core.seeds import Seeds
from persona.optimization.deformer import Deformer, DeformerConfig
from persona.optimization.linear_offsets import fit_correctives
from persona.records.body_params import BodyParams
from persona.records.frame_set import Clip, FrameSet
from persona.records.motion import Motion

CM = 100.0
"""Centimetres in a metre: errors near one are steps of about one."""
LEAST_MOVEMENT_M = 0.001
"""Movement below which nobody cares whether it repeats [m]."""
LOG_EVERY = 50
"""Steps between two entries of the history."""


@dataclass(frozen=True, kw_only=True)
class OffsetsConfig:
    """How long and how hard to learn known offsets."""

    network: DeformerConfig = field(default_factory=DeformerConfig)
    """The network."""
    base_rank: int = 96
    """Shapes that explain what is linear before the network begins; 0 leaves it all to the network,
    which then learns the taught clips as well and unseen motions worse."""
    baked_rank: int = 64
    """Shapes that the finished network is distilled into."""
    steps: int = 600
    """Iterations of the network."""
    frames: int = 16
    """Frames of one iteration."""
    nodes: int = 512
    """Nodes of one iteration."""
    rate: float = 2e-3
    """Step of Adam; it falls to nothing along a cosine."""
    huber_cm: float = 1.0
    """Errors beyond this count by their size, not by its square [cm]."""
    decay: float = 1e-2
    """Weight decay: what is not needed fades."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came of it."""

    cloth: Cloth
    """The network, and the shapes it was distilled into."""
    history: tuple[dict[str, float], ...]
    """Step and loss every `LOG_EVERY` steps."""


def learn_offsets(
    frames: FrameSet,
    photo: BodyParams,
    config: OffsetsConfig,
    *,
    further: Sequence[Motion] = (),
    seed: int = 0,
    tick: Callable[[int], None] = lambda _: None,
) -> Learned:
    """Learn the offsets of all clips that know them and are not held out.

    What a second run does not repeat counts less: the weight of an offset is the share of its
    movement that is more than noise.

    Args:
        frames: Clips with offsets.
        photo: The pose in which all offsets are zero.
        config: How long and how hard.
        further: Motions that nobody simulated. The network says what cloth does in them, so that
            the shapes are distilled from more poses than were taught.
        seed: Same seed, same bits.
        tick: Called with the number of steps done.

    Raises:
        InputError: No clip knows offsets.
        OptimizationError: The loss is no longer a number.
    """
    clips = [clip for clip in frames.taught if clip.offsets is not None]
    if not clips or frames.nodes is None:
        raise InputError(
            f"none of {len(frames.taught)} clips knows where its nodes are",
            why="offsets are learned from offsets",
            fix="generate frames by physics, or train on pictures",
        )
    network = Deformer(frames.nodes, config.network, seed).to(frames.nodes.points.device)
    known, base = know_offsets(network, clips, photo, base_rank=config.base_rank)
    generator = Seeds(seed).torch("offsets")
    adam = torch.optim.AdamW(
        network.parameters(), lr=config.rate, weight_decay=config.decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.steps)
    history = []
    for step in range(config.steps):
        loss = known.error(network, config, generator)
        if not bool(loss.isfinite()):
            raise OptimizationError(
                f"the term offsets became {float(loss)} at step {step}",
                why="the next step would spread it to every node",
                fix="report it; another --seed may do",
            )
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        if step % LOG_EVERY == 0 or step == config.steps - 1:
            history.append({"step": float(step), "offsets": float(loss.detach())})
        tick(step + 1)
    cloth = finish_cloth(
        network, base, clips, known.still, baked_rank=config.baked_rank, further=further
    )
    return Learned(cloth=cloth, history=tuple(history))


@dataclass(frozen=True, kw_only=True)
class KnownOffsets:
    """What a network is taught where offsets are known; rows are frames."""

    features: Float[Tensor, "t f"]
    """What the network hears of each."""
    still: Float[Tensor, "1 f"]
    """The same of the photo's pose at rest, where all offsets are zero."""
    targets: Float[Tensor, "t k 3"]
    """What is left for it to say there [m]."""
    belief: Float[Tensor, "t k"]
    """How much of that is worth learning, in (0, 1]."""

    def error(
        self, network: Deformer, config: OffsetsConfig, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Compare what the network says at some nodes in some frames; Huber's error [cm]."""
        rows = torch.randint(len(self.targets), (config.frames,), generator=generator)
        ids = torch.randperm(network.nodes.count, generator=generator)[: config.nodes]
        said = network(ids, torch.cat([self.features[rows], self.still]))
        error = (said[:-1] - said[-1:] - self.targets[rows][:, ids]) * CM
        return (self.belief[rows][:, ids] * _huber(error.norm(dim=-1), config.huber_cm)).mean()


def know_offsets(
    network: Deformer,
    clips: Sequence[Clip],
    photo: BodyParams,
    *,
    base_rank: int,
    base: Correctives | None = None,
) -> tuple[KnownOffsets, Correctives | None]:
    """Gather the offsets of clips, and take away what is linear in the features.

    Args:
        network: Whose features describe the poses.
        clips: Clips whose offsets are known.
        photo: The pose in which all offsets are zero.
        base_rank: Shapes of the linear part; 0 leaves it all to the network.
        base: A linear part that is there already; then none is fitted.

    Returns:
        What is left to learn, and the linear part.
    """
    with torch.no_grad():
        still = still_features(network, photo)
        features = torch.cat([network.features(c.motion.params, c.rates) for c in clips])
    targets = torch.cat([clip.offsets for clip in clips if clip.offsets is not None])
    if base is None and base_rank > 0:
        base = fit_correctives(features, targets, network.nodes.joints, still, rank=base_rank)
    if base is not None:
        targets = targets - torch.cat([predict_clip(base, clip) for clip in clips])
    belief = torch.cat([offset_belief(clip) for clip in clips])
    known = KnownOffsets(features=features, still=still, targets=targets, belief=belief)
    return known, base


def still_features(network: Deformer, photo: BodyParams) -> Float[Tensor, "1 f"]:
    """Describe the photo's pose at rest to a network."""
    return network.features(one_frame(photo), moved(at_rest(), photo.transl.device))


def finish_cloth(
    network: Deformer,
    base: Correctives | None,
    clips: Sequence[Clip],
    still: Float[Tensor, "1 f"],
    *,
    baked_rank: int,
    further: Sequence[Motion] = (),
) -> Cloth:
    """Freeze a network, and distil it into shapes over what it was taught and further motions."""
    deformation = network.bake(still, base)
    told = [Clip(source="network", motion=m, rates=joint_rates(m)) for m in further]
    every = [*clips, *told]
    with torch.no_grad():
        features = torch.cat([network.features(c.motion.params, c.rates) for c in every])
    said = torch.cat([predict_clip(deformation, clip) for clip in every])
    baked = fit_correctives(features, said, network.nodes.joints, still, rank=baked_rank)
    return Cloth(nodes=network.nodes, deformation=deformation, correctives=baked)


def offset_belief(clip: Clip) -> Float[Tensor, "t k"]:
    """Say how much of each offset is worth learning, in (0, 1]: movement over itself and noise."""
    assert clip.offsets is not None
    if clip.noise is None:
        return torch.ones(clip.offsets.shape[:2], device=clip.offsets.device)
    moves = (clip.offsets - clip.offsets.mean(0)).square().sum(-1).mean(0)
    moves = moves + LEAST_MOVEMENT_M**2
    return moves / (moves + clip.noise.square())


def _huber(distance: Tensor, knee: float) -> Tensor:
    small = distance.clamp(max=knee)
    return small * (distance - small / 2)


def one_frame(params: BodyParams) -> BodyParams:
    """Give a pose the axis of time."""
    return replace(params, **{f.name: getattr(params, f.name)[None] for f in fields(params)})
