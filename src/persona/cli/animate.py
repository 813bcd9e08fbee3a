"""Draw an avatar in motion, as a video or as pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from persona.core.errors import InputError
from persona.core.progress import current

if TYPE_CHECKING:
    from torch import Tensor

    from persona.animation.framing import View
    from persona.avatar.avatar import Avatar
    from persona.avatar.slopes import Moved
    from persona.geometry.cameras import Camera
    from persona.records.motion import Motion
    from persona.tracking.track import Track

DEFAULT_FPS = 30.0
"""Frames a second."""
START_SECONDS = 1.0
"""How long the photo's pose takes to become the motion [s]."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona animate` takes."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """The avatar, NAME.persona."""
    body: Path | None = None
    """Your own SMPL-X file, for an avatar that was made on one; left out, PERSONA_BODY names it."""
    out: Path
    """Where to: .mp4 (H.264), .webm (VP9) or .mov (ProRes 4444), both transparent if asked, or a
    folder for PNG pictures."""
    motion: str = "walk"
    """What the person does: idle, walk, run, turn, squat, lunge, kick, punch, reach, twist, bend,
    sit, wave or dance; or the path of a motion file: .npz, .bvh, .amc, .vrma, .pt, .pkl or a folder
    of JSON, about which `persona motion info` says more; or of a video of one person, who is
    tracked first, as `persona track` does it with the bones of this avatar."""
    person: int | None = None
    """Whom to follow in a video of several people, counted from the left from 1."""
    speed: float = 1.0
    """How many times faster than at ease; walk and run take longer strides, all else goes as far in
    less time. Every motion says how slow and how fast it can be."""
    camera: Literal["front", "side", "back", "turntable", "follow", "source"] = "follow"
    """Where it is seen from; turntable goes round once, follow is a little to the left of front,
    source is the camera of the video, or that the motion's file was filmed with, where it says."""
    size: int = 720
    """Height of the picture [px]."""
    width: int | None = None
    """Width of the picture [px]; left out, it is what the motion needs, or the film behind has."""
    fps: float = DEFAULT_FPS
    """Frames a second."""
    seconds: float | None = None
    """Length; motions repeat as often as needed. Left out, the motion is played once."""
    light: str = "photo"
    """What falls on the person: photo (as it was), none (albedo), the path of a panorama (.hdr), or
    where a lamp stands, as --light=0.5,1,0.3: right, up, towards you. It stays where it is."""
    background: str = "white"
    """A colour (white, '#rrggbb'), the path of a picture or of a film, which then runs behind the
    person, or transparent (.webm, .mov, PNG)."""
    plate: bool = False
    """Take the person out of the film in the background; its camera must stand still."""
    shadow: Literal["auto", "on", "off"] = "auto"
    """A soft shadow on the floor; auto leaves it away where the background is transparent."""
    cloth: Literal["learned", "baked", "stiff"] = "learned"
    """How clothes move: as the avatar has learned it, as the shapes baked for browsers and game
    engines give it, or stiffly with the skin; those of an avatar that has learned nothing are
    always stiff."""
    simulate: bool = False
    """Let the clothes be simulated instead; a minute of waiting more for ten seconds of film."""
    from_photo: bool = False
    """Begin in the pose of the photo."""
    crf: int = 17
    """Quality: lower is better and larger; 17 looks lossless, 23 is small."""


def run(args: Args) -> int:
    """Draw and write; return 0."""
    _check(args)
    from persona.animation.background import background_from
    from persona.animation.film import film_behind, plate_of
    from persona.animation.lighting import light_from, lit
    from persona.animation.player import baked_offsets, draw
    from persona.avatar.avatar import Avatar

    light = light_from(args.light)
    avatar = Avatar.load(args.avatar, body=args.body)
    track = _track(args, avatar)
    motion = _motion(args, avatar, track)
    cameras = _cameras(args, avatar, motion, track)
    width, height = cameras[0].width, cameras[0].height
    film: Iterable[Tensor] | None = None
    behind = Path(args.background)
    if _is_film(args.background):
        times = _film_times(args, motion.frame_count)
        if args.plate:
            from persona.pipeline.film_people import people_finder

            with people_finder() as people:
                film = repeat(plate_of(behind, width=width, height=height, people=people))
        else:
            film = film_behind(behind, times, width=width, height=height)
        background = None
    else:
        background = background_from(args.background, width=width, height=height)
    shadow = (
        film is not None or background is not None if args.shadow == "auto" else args.shadow == "on"
    )
    offsets: Iterable[Tensor | Moved | None] = repeat(None)
    if args.simulate:
        offsets = _clothes(args, avatar, motion)
    elif args.cloth == "baked":
        offsets = baked_offsets(avatar, motion)
    elif args.cloth == "stiff":
        avatar = replace(avatar, cloth=None)
    frames = draw(
        lit(avatar, light),
        motion,
        cameras,
        background=background,
        shadow=shadow,
        offsets=offsets,
        film=film,
    )
    count = _write(args, frames, motion)
    current().result(
        {"out": args.out, "frames": count, "fps": args.fps, "width": width, "height": height}
    )
    return 0


def _check(args: Args) -> None:
    """Refuse what cannot end well before anything heavy begins."""
    suffix = args.out.suffix.lower()
    if suffix not in (".mp4", ".webm", ".mov", ""):
        raise InputError(
            f"{args.out.name} cannot be written",
            why="animations are written as .mp4, .webm or .mov, or as a folder of PNG pictures",
            fix="let --out end in one of these, or in no ending for a folder",
        )
    if suffix == ".mp4" and args.background.strip().lower() == "transparent":
        raise InputError(
            "a transparent .mp4 was asked for",
            why="H.264 has no transparency",
            fix="let --out end in .webm, or give a folder name for PNG pictures",
        )
    if args.camera == "source" and (args.from_photo or args.width is not None):
        raise InputError(
            "the camera of the film was asked for, with --from-photo or --width",
            why="it has its own width, and shows the motion from its first frame on",
            fix="leave them away, or choose another --camera",
        )
    if args.camera == "source" and not Path(args.motion).exists():
        raise InputError(
            f"the camera of a film was asked for, and {args.motion} is no motion file",
            why="what is built in was never filmed",
            fix="choose another --camera, front for example",
        )
    if args.plate and not _is_film(args.background):
        raise InputError(
            f"--plate was given, and the background is {args.background}",
            why="it takes people out of a film",
            fix="give a film as --background, or leave --plate away",
        )
    check_numbers(args)


def check_numbers(args: Args) -> None:
    """Refuse a length or a rate without sense."""
    if args.seconds is not None and not 0 < args.seconds <= 3600:
        raise InputError(
            f"a length of {args.seconds:g} s was asked for",
            why="it must be above 0 and at most an hour",
            fix="leave --seconds away to play the motion once",
        )
    if not 0 < args.fps <= 240:
        raise InputError(
            f"{args.fps:g} frames a second were asked for",
            why="the rate must be above 0 and at most 240",
            fix="choose 24, 25, 30, 50 or 60",
        )


def _is_film(text: str) -> bool:
    from persona.images.clips import is_clip

    return is_clip(text)


def _clothes(args: Args, avatar: "Avatar", motion: "Motion") -> "Iterator[Tensor | Moved]":
    """Simulate as the film is drawn, so that a long one takes no more memory than a short one."""
    from persona.pipeline.create import outfit_of
    from persona.pipeline.simulated import simulate_clothes, turned

    return turned(avatar, simulate_clothes(avatar, outfit_of(args.avatar), motion))


def _cameras(
    args: Args, avatar: "Avatar", motion: "Motion", track: "Track | None"
) -> "Sequence[Camera]":
    """Give a camera for every frame: one of ours, or that of the file."""
    from persona.animation.exchange import open_motion
    from persona.animation.film import aspect_of
    from persona.animation.framing import frame_motion
    from persona.animation.source_cameras import cameras_for, filmed_by, read_cameras

    if args.camera != "source":
        view: View = args.camera
        # In front of a picture only a camera that stands still looks right.
        still = Path(args.background).exists()
        width = args.width
        if width is None and _is_film(args.background):
            width = round(args.size * aspect_of(Path(args.background)))
        return frame_motion(avatar, motion, view, height=args.size, width=width, still=still)
    if track is not None:
        source = track.motion
        filmed = filmed_by(track.size, track.focal_px, track.T_camera_world)
    else:
        filmed = read_cameras(Path(args.motion))
        source = open_motion(Path(args.motion)).motion
    return cameras_for(filmed, source, motion, avatar, height=args.size, speed=args.speed)


def _film_times(args: Args, count: int) -> list[float]:
    """Say what moment of the film each frame shows [s]; it stands while the photo's pose ends."""
    lead = START_SECONDS if args.from_photo else 0.0
    speed = args.speed if Path(args.motion).exists() else 1.0
    return [max(k / args.fps - lead, 0.0) * speed for k in range(count)]


def motion_for(args: Args, avatar: "Avatar") -> "Motion":
    """Find, track or compose what is asked for, as this person does it."""
    return _motion(args, avatar, _track(args, avatar))


def _motion(args: Args, avatar: "Avatar", track: "Track | None") -> "Motion":
    from persona.animation.performance import perform, photo_pose_on_floor
    from persona.animation.resampling import join, loop_for

    motion = perform(avatar, _found(args) if track is None else _resampled(args, track.motion))
    if args.seconds is not None:
        motion = loop_for(motion, seconds=args.seconds)
    if args.from_photo:
        motion = join(photo_pose_on_floor(avatar), motion, None, seconds=START_SECONDS)
    return motion


def _found(args: Args) -> "Motion":
    from persona.animation.choice import motion_from

    return motion_from(args.motion, speed=args.speed, fps=args.fps)


def _resampled(args: Args, motion: "Motion") -> "Motion":
    from persona.animation.resampling import resample

    return resample(replace(motion, fps=motion.fps * args.speed), fps=args.fps)


def _track(args: Args, avatar: "Avatar") -> "Track | None":
    """Track the person of a video; None where the motion is none."""
    from persona.images.clips import is_clip, open_clip

    if not is_clip(args.motion):
        return None
    from persona.animation.choice import check_file_speed
    from persona.tracking.track import track_frames

    path = Path(args.motion)
    check_file_speed(path, args.speed)
    frames = open_clip(path).frames()
    return track_frames(
        avatar.body, frames, name=path.name, person=args.person, identity=avatar.identity
    )


def _write(args: Args, frames, motion: "Motion") -> int:
    from persona.export.images import write_png_sequence
    from persona.export.video import VideoConfig, write_mov, write_mp4, write_webm

    count = motion.frame_count
    suffix = args.out.suffix.lower()
    if not suffix:
        return write_png_sequence(frames, args.out, frame_count=count)
    write = {".mp4": write_mp4, ".webm": write_webm, ".mov": write_mov}[suffix]
    config = VideoConfig(fps=args.fps, crf=args.crf)
    return write(frames, args.out, config=config, frame_count=count)
