"""Avatar, Outfit, motions -> FrameSet: frames whose cloth is simulated, every offset known."""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, fields, replace
from threading import Event, Lock
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.nodes import place_nodes
from persona.avatar.rates import joint_rates
from persona.core.device import core_count
from persona.core.threads import one_thread
from persona.records.frame_set import Clip, FrameSet
from persona.records.motion import Motion
from persona.records.nodes import Nodes
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.synthesis.physics.pictures import PictureConfig, draw_pictures
from persona.synthesis.physics.worn_motion import CLOTH, settle_worn, simulate_worn

SOURCE: Final = "physics"
"""Name of this generator."""
STIR_M: Final = 1e-5
"""How far the second run starts from the first [m]: a hair's breadth."""
MOVABLE: Final = (*CLOTH, Part.HAIR)
"""Parts that nodes are placed on; skin and shoes stay with the body."""


@dataclass(frozen=True, kw_only=True)
class PhysicsConfig:
    """How frames are made by physics."""

    nodes: int = 4_096
    """Places whose offsets are kept."""
    repeated: float = 0.2
    """Share of the frames of each taught motion, from the first on, that are simulated again,
    stirred, to tell what can be predicted; a node's noise in the others is taken to be its mean in
    these."""
    pictures: PictureConfig = field(default_factory=PictureConfig)
    """What is drawn."""


@dataclass(frozen=True)
class GeneratePhysics:
    """Avatar, Outfit, motions -> FrameSet; needs no weights, and knows every offset exactly."""

    config: PhysicsConfig = field(default_factory=PhysicsConfig)

    def __call__(
        self,
        avatar: Avatar,
        outfit: Outfit,
        taught: Sequence[Motion],
        held_out: Motion,
        *,
        tick: Callable[[], None] = lambda: None,
    ) -> FrameSet:
        """Simulate motions in what the person wears, all beginning in the photo's pose.

        They do not wait for each other: each runs on a core of its own, whose result is the same to
        the bit for any number of cores.

        Args:
            avatar: The person, as the photo alone made them.
            outfit: What they wear.
            taught: What is learned from.
            held_out: What the learned cloth is judged by.
            tick: Called after every simulated frame, by one thread at a time; see `frame_count`.

        Raises:
            InputError: The outfit holds no garment.
        """
        moves = torch.isin(avatar.parts, torch.tensor(MOVABLE))
        means = avatar.canonical.means
        nodes = place_nodes(means, avatar.binding, moves, count=self.config.nodes)
        again = [_begin(motion, count) for motion in taught if (count := self._repeated(motion))]
        takes = [*((motion, 0.0) for motion in (*taught, held_out)), *((m, STIR_M) for m in again)]
        offsets = _simulate_all(avatar, outfit, takes, nodes, tick)
        second = iter(offsets[len(taught) + 1 :])
        clips = []
        for motion, first in zip(taught, offsets[: len(taught)], strict=True):
            known, noise = _told_apart(first, next(second) if self._repeated(motion) else None)
            clips.append(_clip(avatar, nodes, motion, known, self.config.pictures, noise=noise))
        judged = offsets[len(taught)]
        clips.append(_clip(avatar, nodes, held_out, judged, self.config.pictures, held_out=True))
        return FrameSet(clips=tuple(clips), nodes=nodes)

    def frame_count(self, taught: Sequence[Motion], held_out: Motion) -> int:
        """Say how many frames will be simulated."""
        frames = sum(motion.frame_count + self._repeated(motion) for motion in taught)
        return frames + held_out.frame_count

    def _repeated(self, taught: Motion) -> int:
        return min(round(self.config.repeated * taught.frame_count), taught.frame_count)


def _begin(motion: Motion, count: int) -> Motion:
    """Give the first frames of a motion."""
    params = motion.params
    rows = {f.name: getattr(params, f.name)[:count] for f in fields(params)}
    return replace(motion, params=replace(params, **rows), loops=False)


def _told_apart(
    first: Float[Tensor, "t k 3"], again: Float[Tensor, "s k 3"] | None
) -> tuple[Float[Tensor, "t k 3"], Float[Tensor, "t k"] | None]:
    """Give the mean of two runs, the second shorter, and the noise of each node and frame [m]."""
    if again is None:
        return first, None
    count = len(again)
    apart = (again - first[:count]).norm(dim=-1) / 2
    usual = apart.square().mean(0).sqrt().expand(len(first) - count, -1)
    known = torch.cat([(first[:count] + again) / 2, first[count:]])
    return known, torch.cat([apart, usual])


def _simulate_all(
    avatar: Avatar,
    outfit: Outfit,
    takes: Sequence[tuple[Motion, float]],
    nodes: Nodes,
    tick: Callable[[], None],
) -> list[Float[Tensor, "t k 3"]]:
    """Simulate motions side by side, the longest first, each with its start stirred by so much [m].

    One solver on two threads takes a sixth more processor time than two solvers on one thread each,
    and waits for its slower half at every step.
    """
    settled = settle_worn(avatar, outfit)
    lock, stop = Lock(), Event()

    def one_more() -> None:
        if stop.is_set():
            raise CancelledError
        with lock:
            tick()

    def run(take: tuple[Motion, float]) -> Float[Tensor, "t k 3"]:
        motion, stir_m = take
        start = {"settled": settled, "stir_m": stir_m}
        worn = simulate_worn(avatar, outfit, motion, **start, tick=one_more, threads=1)
        return torch.stack([nodes.gather(offsets) for offsets in worn])

    order = sorted(range(len(takes)), key=lambda k: -takes[k][0].frame_count)
    with one_thread(), ThreadPoolExecutor(min(len(takes), core_count())) as pool:
        done = {k: pool.submit(run, takes[k]) for k in order}
        try:
            for future in as_completed(done.values()):
                future.result()
        except BaseException:
            # Nobody waits for what else is under way.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[k].result() for k in range(len(takes))]


def _clip(
    avatar: Avatar,
    nodes: Nodes,
    motion: Motion,
    offsets: Float[Tensor, "t k 3"],
    config: PictureConfig,
    *,
    noise: Float[Tensor, "t k"] | None = None,
    held_out: bool = False,
) -> Clip:
    return Clip(
        source=SOURCE,
        motion=motion,
        rates=joint_rates(motion),
        pictures=draw_pictures(avatar, motion, nodes, offsets, config),
        offsets=offsets,
        noise=noise,
        held_out=held_out,
    )
