"""Measure how fast this machine draws, trains and animates, and notice when it became slower."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import tyro

from persona.core.errors import InputError
from persona.core.progress import JsonProgress, current

if TYPE_CHECKING:
    from persona.bench.cases import BenchConfig
    from persona.bench.gate import Slower
    from persona.bench.rows import Row

EXIT_SLOWER: Final = 5
"""With --gate: a ratio is worse than the baseline allows."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona bench` takes."""

    workload: Annotated[Literal["raster", "train", "animate"], tyro.conf.Positional]
    """raster: projection and splatting, there and back. train: a whole iteration of training.
    animate: a whole frame, from pose parameters to pixels."""
    gaussians: tuple[int, ...] = ()
    """Numbers of Gaussians; without any option of this kind a list of cases is measured."""
    size: tuple[int, ...] = ()
    """Heights of the picture, for train of the person in it [px]."""
    channels: tuple[int, ...] = ()
    """Numbers of feature channels."""
    sigma: tuple[float, ...] = ()
    """Standard deviations over the spacing of neighbours."""
    avatar: Path | None = None
    """A trained avatar, NAME.persona, for train and animate."""
    devices: Literal["all", "cpu", "cuda"] = "all"
    """Where to run; all takes CUDA too where gsplat is ready."""
    isas: Literal["best", "all"] = "best"
    """Whether the native core shows its other instruction sets as well."""
    rounds: int = 25
    """Times that count; the median is shown."""
    threads: int | None = None
    """CPU threads; left out, as many as torch takes."""
    gate: bool = False
    """Compare ratios of times with the baseline and leave with code 5 when one is worse."""
    baseline: Path = Path("benchmarks/baseline.json")
    """The ratios to compare with."""
    save_baseline: bool = False
    """Write the ratios of this run into the baseline."""


def run(args: Args) -> int:
    """Measure, and compare if asked; return 0, or `EXIT_SLOWER`."""
    _check(args)
    import torch

    from persona.bench.gate import find_slower, load_baseline, ratios_of, save_baseline

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    threads = torch.get_num_threads()
    baseline = load_baseline(args.baseline, threads=threads) if args.gate else None
    rows = list(_show(_timer(args)(_config(args, threads))))
    ratios = ratios_of(rows)
    if args.save_baseline:
        save_baseline(args.baseline, ratios, threads=threads)
    slower = find_slower(ratios, baseline) if baseline is not None else []
    _conclude(ratios, slower, compared=baseline is not None)
    return EXIT_SLOWER if slower else 0


def _check(args: Args) -> None:
    if args.workload == "raster" and args.avatar is not None:
        raise InputError(
            "raster was to measure a trained avatar",
            why="it draws an ellipsoid, so that its numbers can be compared everywhere",
            fix="use `persona bench animate --avatar ...` or train",
        )
    numbers = (args.rounds, args.threads or 1, *args.gaussians, *args.size, *args.channels)
    if min(numbers) < 1 or min(args.sigma, default=1.0) <= 0:
        raise InputError(
            "a number that is not positive was given",
            why="rounds, threads, sizes and counts are at least 1, sigma is above 0",
            fix="leave the option out to get its default",
        )


def _timer(args: Args) -> "Callable[[BenchConfig], Iterator[Row]]":
    if args.workload == "raster":
        from persona.bench.raster import time_raster

        return time_raster
    if args.workload == "train":
        from persona.bench.train import time_training

        return time_training
    from persona.bench.animate import time_animation

    return time_animation


def _config(args: Args, threads: int) -> "BenchConfig":
    from persona.bench import cases
    from persona.bench.contestants import contestants_here

    gated = args.gate or args.save_baseline
    listed = {
        "raster": cases.RASTER_CASES,
        "train": cases.TRAIN_CASES,
        "animate": cases.ANIMATE_CASES,
    }[args.workload]
    if gated:
        listed = cases.gate_cases(listed)
    chosen = (args.gaussians, args.size, args.channels, args.sigma)
    return cases.BenchConfig(
        cases=cases.cases_of(*chosen) if any(chosen) or args.avatar else listed,
        contestants=contestants_here(args.devices, isas="all" if gated else args.isas),
        rounds=args.rounds,
        avatar=args.avatar,
        threads=threads,
    )


def _show(rows: "Iterator[Row]") -> "Iterator[Row]":
    """Write each row as soon as it is known."""
    from persona.bench.rows import table_head, table_line

    voice = current()
    if not isinstance(voice, JsonProgress):
        sys.stdout.write(table_head())
    for row in rows:
        if isinstance(voice, JsonProgress):
            voice.emit("row", **row.plain())
        else:
            sys.stdout.write(table_line(row))
            sys.stdout.flush()
        yield row


def _conclude(ratios: dict[str, float], slower: "list[Slower]", *, compared: bool) -> None:
    voice = current()
    if isinstance(voice, JsonProgress):
        voice.result({"ratios": ratios, "slower": [vars(entry) for entry in slower]})
        return
    if compared:
        lines = [f"slower: {entry}" for entry in slower] or ["no ratio is worse than it may be"]
        sys.stdout.write("\n".join(("", *lines, "")))
