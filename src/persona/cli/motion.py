"""Convert motions between formats, say what a file holds, and measure motions."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tyro

from persona.core.errors import InputError
from persona.core.progress import JsonProgress, current

if TYPE_CHECKING:
    from persona.animation.formats.reading import MotionFile
    from persona.records.motion import Motion


DEFAULT_FPS: Final = 30.0
"""Rate at which motions are measured [1/s]."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona motion` takes."""

    task: Annotated[Literal["convert", "info", "coverage", "check"], tyro.conf.Positional]
    """convert IN OUT: read a motion of any known format, write it in another; of several IN, each
    flows into the next (--blend).
    info IN: what a file holds, and what was detected or assumed about it.
    coverage: how far and how fast all motions together turn each joint, against what people can.
    check: of each motion, feet on the floor, joints, accelerations and balance on the mean body."""
    motions: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Names of built-in motions, or paths: .npz of AMASS or our own, .bvh, .amc, .vrma, GVHMR's
    .pt, WHAM's .pkl, folders of JSON; for coverage and check, left out, all that are built in."""
    speed: float = 1.0
    """How many times faster than at ease."""
    fps: float | None = None
    """Frames a second; left out, convert keeps the file's and the others take 30."""
    format: Literal["persona", "amass", "json", "bvh"] | None = None
    """What convert writes; left out, the ending of OUT decides: .npz is our own. amass opens in
    Blender with the SMPL-X add-on."""
    source_fps: float | None = None
    """Rate of the file, where it does not say or is wrong."""
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None
    """Upward axis of the file; left out, it is detected and stated."""
    feet: Literal["auto", "lock", "keep"] = "auto"
    """Whether standing feet are held where they stand; auto does so for other skeletons."""
    joint_map: Path | None = None
    """TOML file that says which joints of a strange skeleton are which of SMPL-X's: [joints], then
    lines such as left_hip = "Bone.012"."""
    person: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Which person in a file of WHAM, counted from 1; left out, who is there longest."""
    blend: float = 0.4
    """How long one motion takes to become the next, where convert is given several [s]."""
    start: float = 0.0
    """Where convert begins [s]."""
    end: float | None = None
    """Where convert ends [s]; left out, with the motion."""


def run(args: Args) -> int:
    """Convert, or measure and print; return 0."""
    if args.task in ("convert", "info"):
        return _exchange(args)
    from persona.animation.choice import motion_from
    from persona.animation.clips import CLIPS

    names = args.motions or tuple(CLIPS)
    fps = DEFAULT_FPS if args.fps is None else args.fps
    motions = [motion_from(name, speed=args.speed, fps=fps) for name in names]
    if args.task == "coverage":
        _print_coverage(motions)
    else:
        _table("motion", _checked(motions))
    return 0


def _exchange(args: Args) -> int:
    """Read one file, say what was found, and write it where asked."""
    several = args.task == "convert"
    if len(args.motions) < 2 if several else len(args.motions) != 1:
        raise InputError(
            f"persona motion {args.task} was given {len(args.motions)} files",
            why="it takes IN and OUT" if several else "it takes one",
            fix=f"persona motion {args.task} walk.bvh" + (" walk.npz" if several else ""),
        )
    from persona.animation.blending import blend
    from persona.animation.exchange import save_motion
    from persona.animation.resampling import resample, trim

    found = _opened(args, args.motions[0])
    motion = found.motion
    for name in args.motions[1:-1]:
        motion = blend(motion, _opened(args, name).motion, seconds=args.blend)
    said = {"format": found.format, **found.facts}
    said |= {"frames": motion.frame_count, "seconds": round(motion.duration, 3)}
    if args.task == "convert":
        motion = trim(motion, start=args.start, end=args.end)
        if args.fps is not None:
            motion = resample(motion, fps=args.fps)
        out = Path(args.motions[-1])
        kind = save_motion(motion, out, kind=args.format)
        said |= {"out": out, "written": f"{kind}, {motion.frame_count} frames at {motion.fps:g}"}
    current().result(said)
    return 0


def _opened(args: Args, name: str) -> "MotionFile":
    """Read the file, or compose the built-in motion, that is to be converted."""
    from persona.animation.choice import motion_from
    from persona.animation.clips import CLIPS
    from persona.animation.exchange import open_motion
    from persona.animation.formats.joint_map import read_joint_map
    from persona.animation.formats.reading import MotionFile

    if name in CLIPS:
        motion = motion_from(name, speed=args.speed, fps=args.fps or DEFAULT_FPS)
        return MotionFile(motion=motion, format="built in", facts={"fps": f"{motion.fps:g}"})
    return open_motion(
        Path(name),
        fps=args.source_fps,
        up=args.up,
        feet=args.feet,
        joint_map=None if args.joint_map is None else read_joint_map(args.joint_map),
        person=args.person,
    )


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
