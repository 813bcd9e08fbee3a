"""Write an avatar, one of its poses or its motions, as files that other programs open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tyro

from persona.cli import animate
from persona.core.errors import InputError
from persona.core.progress import current

if TYPE_CHECKING:
    from persona.avatar.avatar import Avatar
    from persona.records.motion import Motion
    from persona.records.notice import Notice

Kind = Literal["ply", "glb", "mesh", "html", "bvh", "npz", "frames", "webm", "mov"]
"""What can be written."""
ENDINGS: Final[dict[str, str]] = {
    "ply": ".ply",
    "glb": ".glb",
    "mesh": ".glb",
    "html": ".html",
    "bvh": ".bvh",
    "npz": ".npz",
    "frames": "",
    "webm": ".webm",
    "mov": ".mov",
}
"""How the names of the files end; nothing is a folder."""
FILMS: Final = ("frames", "webm", "mov")
"""What `persona animate` writes."""
MOTIONS: Final = {"html": ("idle", "walk", "wave", "dance")}
"""What the person does when nothing is said; elsewhere they walk."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona export` takes."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """The avatar, NAME.persona."""
    to: Kind
    """ply: one pose as a cloud for splat viewers. glb: a cloud with skeleton, skin, expressions and
    motions (KHR_gaussian_splatting). mesh: the same as textured triangles, for engines without
    splats. html: one page with the player in it that opens anywhere, offline.
    bvh, npz: a motion on the avatar's own skeleton.
    frames (PNG), webm (VP9), mov (ProRes 4444): a motion as transparent pictures."""
    out: Path | None = None
    """Where to; left out, NAME with the ending of the format, in this folder."""
    body: Path | None = None
    """Your own SMPL-X file, for an avatar that was made on one; left out, PERSONA_BODY names it."""
    pose: str = "rest"
    """For ply: rest (a T), canonical (legs apart), photo, or an npz with full_pose (55 x 3
    axis-angles)."""
    motion: tuple[str, ...] = ()
    """What the person does: as for `persona animate`, a name, a motion file or a video; for glb,
    mesh and html any number of them. Left out, they walk; in html also idle, wave and dance."""
    speed: float = 1.0
    """How many times faster than at ease."""
    fps: float = animate.DEFAULT_FPS
    """Frames a second."""
    seconds: float | None = None
    """Length; left out, the motion is played once."""
    camera: Literal["front", "side", "back", "turntable", "follow"] = "follow"
    """For films: where it is seen from."""
    size: int = 720
    """For films: height of the picture [px]."""
    background: str = "transparent"
    """For films: transparent, a colour, a picture or a film."""


def run(args: Args) -> int:
    """Write what was asked for; return 0."""
    args = replace(args, motion=args.motion or MOTIONS.get(args.to, ("walk",)))
    out = _target(args)
    films = [_film(args, name, out) for name in args.motion]
    for film in films:
        animate.check_numbers(film)
    if args.to in FILMS:
        return animate.run(_only(args, films))
    from persona.avatar.avatar import RECORD_NAME, Avatar
    from persona.records.notice import notice_of

    notice = notice_of(args.avatar / RECORD_NAME)
    avatar = Avatar.load(args.avatar, body=args.body)
    said = WRITERS[args.to](args, avatar, notice, out)
    current().result({"out": out, "bytes": out.stat().st_size, **said})
    return 0


def _target(args: Args) -> Path:
    """Say where to write, and refuse a name that promises another format."""
    ending = ENDINGS[args.to]
    out = Path(args.avatar.resolve().stem + ending) if args.out is None else args.out
    if out.suffix.lower() != ending:
        raise InputError(
            f"--out is {out.name} and --to is {args.to}",
            why=f"names of {args.to} end in {ending}" if ending else "frames go into a folder",
            fix=f"give {out.stem + ending} as --out, or leave it away",
        )
    return out


def _only(args: Args, films: Sequence[animate.Args]) -> animate.Args:
    """Give the one motion there must be."""
    if len(films) != 1:
        raise InputError(
            f"{len(films)} motions were asked for as {args.to}",
            why="it holds one",
            fix="give one name after --motion; persona motion convert joins several",
        )
    return films[0]


def _film(args: Args, motion: str, out: Path) -> animate.Args:
    """Say it as `persona animate` takes it."""
    return animate.Args(
        avatar=args.avatar,
        body=args.body,
        out=out,
        motion=motion,
        speed=args.speed,
        fps=args.fps,
        seconds=args.seconds,
        camera=args.camera,
        size=args.size,
        background=args.background,
    )


def _motion(args: Args, avatar: "Avatar", out: Path) -> "Motion":
    film = _only(args, [_film(args, name, out) for name in args.motion])
    return animate.motion_for(film, avatar)


def _motions(args: Args, avatar: "Avatar", out: Path) -> "list[Motion]":
    return [animate.motion_for(_film(args, name, out), avatar) for name in args.motion]


def _closed_motions(args: Args, avatar: "Avatar", out: Path) -> "list[Motion]":
    from persona.animation.resampling import close_loop

    return [close_loop(motion) for motion in _motions(args, avatar, out)]


def _write_ply(args: Args, avatar: "Avatar", notice: "Notice", out: Path) -> dict[str, Any]:
    import torch

    from persona.animation.choice import pose_from
    from persona.export.ply import write_ply

    with torch.no_grad():
        cloud = avatar.pose(pose_from(args.pose, avatar))
    write_ply(cloud, out, notes=notice.lines())
    return {"gaussians": cloud.count}


def _write_glb(args: Args, avatar: "Avatar", notice: "Notice", out: Path) -> dict[str, Any]:
    from persona.export.gltf.splats import write_splat_glb

    motions = _closed_motions(args, avatar, out)
    write_splat_glb(avatar, motions, out, notice)
    return {"gaussians": avatar.count, "animations": [motion.name for motion in motions]}


def _write_mesh(args: Args, avatar: "Avatar", notice: "Notice", out: Path) -> dict[str, Any]:
    from persona.export.gltf.mesh import write_mesh_glb

    motions = _closed_motions(args, avatar, out)
    surface = write_mesh_glb(avatar, motions, out, notice)
    triangles = len(avatar.body.faces) + len(surface.shells.faces)
    return {"triangles": triangles, "animations": [motion.name for motion in motions]}


def _write_html(args: Args, avatar: "Avatar", notice: "Notice", out: Path) -> dict[str, Any]:
    from persona.export.player import write_player

    motions = _motions(args, avatar, out)
    write_player(out, avatar, motions, name=args.avatar.resolve().stem, notice=notice)
    return {"gaussians": avatar.count, "animations": [motion.name for motion in motions]}


def _write_bvh(args: Args, avatar: "Avatar", notice: "Notice", out: Path) -> dict[str, Any]:
    from persona.animation.formats.bvh_writing import write_bvh
    from persona.core.atomic import write_text

    motion = _motion(args, avatar, out)
    write_bvh(motion, out, rest_joints=avatar.rest_joints)
    # BVH has no comments; a file of this name is where tools look for the terms of another.
    write_text(out.with_name(f"{out.name}.license"), "\n".join(notice.lines()) + "\n")
    return {"frames": motion.frame_count, "fps": motion.fps}


def _write_npz(args: Args, avatar: "Avatar", notice: "Notice", out: Path) -> dict[str, Any]:
    import numpy as np

    from persona.animation.motion_files import write_motion
    from persona.body.skeleton import JOINT_NAMES, PARENTS

    motion = _motion(args, avatar, out)
    more = {
        "rest_joints": avatar.rest_joints.numpy(),
        "joint_names": np.array(JOINT_NAMES),
        "parents": np.array(PARENTS),
        "betas": avatar.identity.betas.numpy(),
        "notice": np.array(notice.lines()),
    }
    write_motion(motion, out, more=more)
    return {"frames": motion.frame_count, "fps": motion.fps}


Writer = Callable[[Args, "Avatar", "Notice", Path], dict[str, Any]]
"""Writes one file, and says what is in it."""
WRITERS: Final[dict[str, Writer]] = {
    "ply": _write_ply,
    "glb": _write_glb,
    "mesh": _write_mesh,
    "html": _write_html,
    "bvh": _write_bvh,
    "npz": _write_npz,
}
"""What each kind that is no film is written with."""
