"""What each technique is worth: the cloth learned anew without it, judged by the same motion."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from persona.avatar import Avatar
from persona.evaluation.cloth_metrics import measure_cloth
from persona.optimization.offsets import OffsetsConfig, learn_offsets
from persona.records.frame_set import FrameSet

FULL: Final = "everything"
"""The variant all others are compared with."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One technique left away."""

    name: str
    """What the table calls it."""
    because: str
    """What the technique is for."""
    config: Callable[[OffsetsConfig], OffsetsConfig] = lambda config: config
    """Changes the settings."""
    frames: Callable[[FrameSet], FrameSet] = lambda frames: frames
    """Changes what is learned from."""


def _without_motion(config: OffsetsConfig) -> OffsetsConfig:
    return replace(config, network=replace(config.network, feels_motion=False))


def _without_noise(frames: FrameSet) -> FrameSet:
    return replace(frames, clips=tuple(replace(clip, noise=None) for clip in frames.clips))


VARIANTS: Final = (
    Variant(name=FULL, because="the default"),
    Variant(
        name="without motion",
        because="velocity, acceleration and swing as inputs: cloth that lags and flies",
        config=_without_motion,
    ),
    Variant(
        name="without the linear base",
        because="a linear answer where nothing like it was taught",
        config=lambda config: replace(config, base_rank=0),
    ),
    Variant(
        name="without the network",
        because="what is not linear in pose and motion",
        config=lambda config: replace(config, steps=1, rate=0.0),
    ),
    Variant(
        name="without noise weights",
        because="what is chance is not learned",
        frames=_without_noise,
    ),
)
"""Every technique of learned cloth, one left away at a time."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a variant came to."""

    name: str
    """The variant."""
    because: str
    """What the technique left away is for."""
    numbers: dict[str, float]
    """See `cloth_metrics.measure_cloth`."""


def ablate_cloth(
    avatar: Avatar,
    frames: FrameSet,
    config: OffsetsConfig,
    *,
    seed: int = 0,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Row]:
    """Learn the cloth once for each of `VARIANTS`.

    Args:
        avatar: Whose clothes.
        frames: What they learn from and are judged by.
        config: Settings of the full variant.
        seed: Same seed, same table.
        tick: Called with the number of variants done.
    """
    rows = []
    for done, variant in enumerate(VARIANTS, start=1):
        seen = variant.frames(frames)
        learned = learn_offsets(seen, avatar.photo_params, variant.config(config), seed=seed)
        numbers = measure_cloth(learned.cloth, seen)
        rows.append(Row(name=variant.name, because=variant.because, numbers=numbers))
        tick(done)
    return rows


def table_of(rows: list[Row]) -> str:
    """Write rows as a Markdown table: millimetres from the simulation, and what they are over."""
    lines = [
        "| variant | error [mm] | over stiff | over everything | shapes keep | what for |",
        "|---|---|---|---|---|---|",
    ]
    full = next(row.numbers["cloth_error_mm"] for row in rows if row.name == FULL)
    stiff = rows[0].numbers["cloth_moves_mm"]
    for row in rows:
        error = row.numbers["cloth_error_mm"]
        lines.append(
            f"| {row.name} | {error:.2f} | {row.numbers['cloth_ratio']:.3f} | {error / full:.2f} | "
            f"{row.numbers['cloth_baked_variance']:.3f} | {row.because} |"
        )
    lines.append(f"| stiff | {stiff:.2f} | 1.000 | {stiff / full:.2f} | | nothing learned |")
    return "\n".join(lines) + "\n"
