"""Measure motions: what they cover of the body's range, and whether a person could do them."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from persona.core.progress import JsonProgress, current

if TYPE_CHECKING:
    from persona.records.motion import Motion


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona motion` takes."""

    task: Annotated[Literal["coverage", "check"], tyro.conf.Positional]
    """coverage: how far and how fast all motions together turn each joint, against what people can.
    check: of each motion, feet on the floor, joints, accelerations and balance on the mean body."""
    motions: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Names of built-in motions, or paths of npz files; left out, all that are built in."""
    speed: float = 1.0
    """How many times faster than at ease."""
    fps: float = 30.0
    """Frames a second."""


def run(args: Args) -> int:
    """Measure and print; return 0."""
    from persona.animation.choice import motion_from
    from persona.animation.clips import CLIPS

    names = args.motions or tuple(CLIPS)
    motions = [motion_from(name, speed=args.speed, fps=args.fps) for name in names]
    if args.task == "coverage":
        _print_coverage(motions)
    else:
        _table("motion", _checked(motions))
    return 0


def _print_coverage(motions: "list[Motion]") -> None:
    from persona.animation.coverage import SPEED_SHARES, cover

    found = cover(motions)
    _table(
        "axis",
        (
            {
                "joint": entry.axis.joint,
                "movement": f"{entry.axis.name}/{entry.axis.opposite}".rstrip("/"),
                "low_deg": round(entry.low),
                "high_deg": round(entry.high),
                "people_low_deg": round(entry.axis.least),
                "people_high_deg": round(entry.axis.most),
                "covered_percent": round(100 * entry.share),
                "beyond_deg": round(entry.beyond),
            }
            for entry in found.axes
        ),
    )
    _table(
        "speed",
        (
            {"joint": joint}
            | {f"p{100 * s:.0f}_deg_s": round(v) for s, v in zip(SPEED_SHARES, speeds, strict=True)}
            for joint, speeds in found.speeds.items()
        ),
    )
    current().result({"covered_percent": round(100 * found.share)})


def _checked(motions: "list[Motion]") -> "Iterable[dict[str, Any]]":
    """Give one row for each motion, as soon as it is known."""
    from persona.animation.grounding import ground_motion
    from persona.animation.soundness import examine, mean_person
    from persona.body import load_body

    body = load_body()
    person = mean_person(body)
    for motion in motions:
        found = examine(ground_motion(motion, body, person), body, person)
        yield {
            "motion": motion.name,
            "seconds": round(motion.duration, 2),
            "lowest_mm": round(1000 * found.lowest, 1),
            "floating_mm": round(1000 * found.floating, 1),
            "airborne_percent": round(100 * found.airborne),
            "slide_mm": round(1000 * found.slide, 1),
            "beyond_deg": round(found.beyond, 1),
            "acceleration_deg_s2": round(found.acceleration),
            "where": found.acceleration_where,
            "seam": round(found.seam, 2),
            "off_balance_cm": round(100 * found.off_balance, 1),
        }


def _table(event: str, rows: "Iterable[dict[str, Any]]") -> None:
    """Write rows for people as lines under a head, for programs as events."""
    voice = current()
    head: list[str] = []
    for row in rows:
        if isinstance(voice, JsonProgress):
            voice.emit(event, **row)
            continue
        if not head:
            head = [name.replace("_", " ") for name in row]
            _line(head, head)
        _line(head, row.values())
    if head:
        sys.stdout.write("\n")


def _line(head: "Sequence[str]", values: "Iterable[object]") -> None:
    cells = (f"{value!s:<{_width(name)}}" for name, value in zip(head, values, strict=True))
    sys.stdout.write("  ".join(cells).rstrip() + "\n")
    sys.stdout.flush()


def _width(name: str) -> int:
    """Give the columns a value may need under this name."""
    return max(len(name), {"movement": 22, "joint": 8, "where": 14}.get(name, 0))
