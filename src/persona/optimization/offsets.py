"""Teach a network how cloth moves from offsets that are known, without drawing anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.cloth import Cloth, predict_clip
from persona.avatar.rates import at_rest, joint_rates
from persona.core.errors import InputError, OptimizationError
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
    nodes, network = frames.nodes, Deformer(frames.nodes, config.network, seed)
    with torch.no_grad():
        still = network.features(_one(photo), at_rest())
        features = torch.cat([network.features(c.motion.params, c.rates) for c in clips])
    targets = torch.cat([clip.offsets for clip in clips if clip.offsets is not None])
    belief = torch.cat([offset_belief(clip) for clip in clips])
    base = None
    if config.base_rank > 0:
        base = fit_correctives(features, targets, nodes.joints, still, rank=config.base_rank)
        targets = targets - torch.cat([predict_clip(base, clip) for clip in clips])
    generator = Seeds(seed).torch("offsets")
    adam = torch.optim.AdamW(
        network.parameters(), lr=config.rate, weight_decay=config.decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.steps)
    history = []
    for step in range(config.steps):
        rows = torch.randint(len(targets), (config.frames,), generator=generator)
        ids = torch.randperm(nodes.count, generator=generator)[: config.nodes]
        said = network(ids, torch.cat([features[rows], still]))
        error = (said[:-1] - said[-1:] - targets[rows][:, ids]) * CM
        loss = (belief[rows][:, ids] * _huber(error.norm(dim=-1), config.huber_cm)).mean()
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
    deformation = network.bake(still, base)
    told = [Clip(source="network", motion=m, rates=joint_rates(m)) for m in further]
    every = [*clips, *told]
    with torch.no_grad():
        heard = torch.cat([network.features(c.motion.params, c.rates) for c in every])
    said = torch.cat([predict_clip(deformation, clip) for clip in every])
    baked = fit_correctives(heard, said, nodes.joints, still, rank=config.baked_rank)
    cloth = Cloth(nodes=nodes, deformation=deformation, correctives=baked)
    return Learned(cloth=cloth, history=tuple(history))


def offset_belief(clip: Clip) -> Float[Tensor, "t k"]:
    """Say how much of each offset is worth learning, in (0, 1]: movement over itself and noise."""
    assert clip.offsets is not None
    if clip.noise is None:
        return torch.ones(clip.offsets.shape[:2])
    moves = (clip.offsets - clip.offsets.mean(0)).square().sum(-1).mean(0)
    moves = moves + LEAST_MOVEMENT_M**2
    return moves / (moves + clip.noise.square())


def _huber(distance: Tensor, knee: float) -> Tensor:
    small = distance.clamp(max=knee)
    return small * (distance - small / 2)


def _one(params: BodyParams) -> BodyParams:
    return replace(params, **{f.name: getattr(params, f.name)[None] for f in fields(params)})
