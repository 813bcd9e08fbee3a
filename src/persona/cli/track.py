"""Follow a person through a video, and write their motion."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from persona.core.errors import InputError
from persona.core.progress import current

if TYPE_CHECKING:
    from persona.body import SmplxBody
    from persona.images.clips import Frame
    from persona.records.body_fit import Identity
    from persona.tracking.track import Track

MOST_SECONDS = 3600.0
"""Longest recording of a camera [s]."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona track` takes."""

    source: Annotated[str, tyro.conf.Positional]
    """A video (mp4, mov, webm, gif, ...), a folder of pictures, or the number of a camera: 0."""
    out: Path | None = None
    """Where to write the motion: .npz, which persona animate --motion plays; left out with --live,
    poses are only printed."""
    overlay: Path | None = None
    """Draw the found body over the film, as .mp4, to see how well it fits."""
    person: int | None = None
    """Whom to follow where several people are, counted from the left from 1 where somebody is
    first seen."""
    avatar: Path | None = None
    """Use the bones of this avatar, NAME.persona, so that its feet stand where the person's do."""
    fps: float | None = None
    """Frames a second, where the file is wrong about it; left out, its time stamps are believed."""
    focal: float | None = None
    """Focal length in pixels; left out, as long as the picture's longer side."""
    live: bool = False
    """Give poses while the film runs, one JSON line each; nothing is smoothed over the future."""
    seconds: float = 60.0
    """How long a camera is recorded [s]."""


def run(args: Args) -> int:
    """Track and write; return 0."""
    _check(args)
    from persona.tracking.files import write_track
    from persona.tracking.track import track_frames

    body, identity = _whose(args)
    if args.live:
        return _live(args, body, identity)
    assert args.out is not None
    track = track_frames(
        body,
        _frames(args),
        name=Path(args.source).name,
        person=args.person,
        identity=identity,
        focal_px=args.focal,
    )
    write_track(track, args.out)
    said: dict[str, object] = {"out": args.out, "frames": track.motion.frame_count, **track.facts}
    if args.overlay is not None:
        _draw(args, body, track)
        said["overlay"] = args.overlay
    current().result(said)
    return 0


def _check(args: Args) -> None:
    """Refuse what cannot end well before anything heavy begins."""
    if args.out is None and not args.live:
        raise InputError(
            "persona track was not told where to write",
            why="the motion goes into a file",
            fix="add --out motion.npz, or --live to print poses only",
        )
    if args.out is not None and args.out.suffix.lower() != ".npz":
        raise InputError(
            f"{args.out.name} cannot be written",
            why="motions are written as .npz",
            fix="let --out end in .npz; persona motion convert makes other formats of it",
        )
    if args.overlay is not None and args.overlay.suffix.lower() != ".mp4":
        raise InputError(
            f"{args.overlay.name} cannot be written",
            why="overlays are written as .mp4",
            fix="let --overlay end in .mp4",
        )
    if args.overlay is not None and (args.source.isdigit() or args.live):
        raise InputError(
            "an overlay of a live picture was asked for",
            why="the film is read a second time for it, and a camera shows nothing twice",
            fix="record a video first, and track it",
        )
    if args.person is not None and args.person < 1:
        raise InputError(
            f"person {args.person} was asked for",
            why="people are counted from the left, starting at 1",
            fix="leave --person away where only one person is in the film",
        )
    if args.person is not None and args.live:
        raise InputError(
            f"person {args.person} was asked for with --live",
            why="live, whoever is largest in the picture is followed",
            fix="leave --person away, and let the others step out of the picture",
        )
    if args.focal is not None and not 50 <= args.focal <= 1e5:
        raise InputError(
            f"a focal length of {args.focal:g} pixels was given",
            why="it is about as long as the longer side of the picture",
            fix="leave --focal away where it is not known",
        )
    if not 0 < args.seconds <= MOST_SECONDS:
        raise InputError(
            f"{args.seconds:g} seconds of a camera were asked for",
            why=f"recordings last up to {MOST_SECONDS:g} s",
            fix="choose a number between",
        )


def _whose(args: Args) -> "tuple[SmplxBody, Identity | None]":
    """Give the body to fit, and whose bones it has: an avatar stands on a body of its own."""
    if args.avatar is None:
        from persona.body import load_body

        return load_body(), None
    from persona.avatar.avatar import Avatar

    avatar = Avatar.load(args.avatar)
    return avatar.body, avatar.identity


def _frames(args: Args) -> "Iterator[Frame]":
    """Open the source: a camera for a while, or a clip."""
    from persona.images.clips import camera_frames, open_clip

    if not args.source.isdigit():
        return open_clip(Path(args.source), fps=args.fps).frames()
    return _until(camera_frames(int(args.source)), args.seconds)


def _until(frames: "Iterator[Frame]", seconds: float) -> "Iterator[Frame]":
    for frame in frames:
        if frame.time > seconds:
            return
        yield frame


def _draw(args: Args, body: "SmplxBody", track: "Track") -> None:
    from persona.export.video import VideoConfig, write_mp4
    from persona.tracking.overlay import draw_overlay

    assert args.overlay is not None
    frames = draw_overlay(body, track, _frames(args))
    config = VideoConfig(fps=min(track.motion.fps, 240.0), crf=23, preset="veryfast")
    write_mp4(frames, args.overlay, config=config)


def _live(args: Args, body: "SmplxBody", identity: "Identity | None") -> int:
    from persona.tracking.live import LivePose, live_poses, paced, write_live

    frames = _frames(args)
    if not args.source.isdigit():
        frames = paced(frames)
    kept: list[LivePose] = []
    for pose in live_poses(frames, body=body, identity=identity, focal_px=args.focal):
        sys.stdout.write(pose.line() + "\n")
        sys.stdout.flush()
        if args.out is not None:
            kept.append(pose)
    if args.out is not None:
        write_live(kept, args.out, body=body, name=Path(args.source).name)
    return 0
