"""Draw one picture of an avatar, or of a file of splats."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from persona.core.errors import InputError
from persona.core.progress import current

if TYPE_CHECKING:
    from persona.avatar.avatar import Avatar
    from persona.geometry.cameras import Camera
    from persona.records.gaussians import Gaussians

DEFAULT_SIZE = 1024
"""Height of pictures that are not taken by the photo's camera [px]."""
TURNTABLE_VIEWS = 8
"""Pictures beside each other in a turntable."""


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona render` takes."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """The avatar, NAME.persona; or a file of splats, exported or of another program: .ply, .spz,
    .splat, .ksplat, .glb or .gltf, which is drawn as it stands."""
    body: Path | None = None
    """Your own SMPL-X file, for an avatar that was made on one; left out, PERSONA_BODY names it."""
    out: Path
    """The picture to write, .png."""
    pose: str = "photo"
    """photo, canonical (arms out, legs apart), rest (a T), or an npz with full_pose (55 x 3
    axis-angles)."""
    camera: Literal["photo", "front", "side", "back", "turntable"] = "photo"
    """Where it is seen from; photo lies exactly over the photo, turntable is eight views."""
    channel: Literal["rgb", "alpha", "depth", "normal"] = "rgb"
    """What is drawn; depth in 16-bit millimetres, normals as red right, green up, blue to you."""
    size: int | None = None
    """Height [px]; left out, the photo's for its camera and 1024 for the others."""
    light: str = "photo"
    """What falls on the person: photo (as it was), none (albedo), the path of a panorama (.hdr), or
    where a lamp stands, as --light=0.5,1,0.3: right, up, towards you."""
    background: str = "transparent"
    """For rgb: transparent, a colour (white, '#rrggbb'), or the path of a picture."""


def run(args: Args) -> int:
    """Draw and write; return 0."""
    _check(args)
    import torch

    from persona.animation.choice import pose_from
    from persona.animation.lighting import light_from, lit
    from persona.avatar.avatar import Avatar
    from persona.rendering import render

    light = light_from(args.light)
    with torch.no_grad():
        if args.avatar.is_file():
            gaussians, cameras, said = _stranger(args)
        else:
            avatar = Avatar.load(args.avatar, body=args.body)
            gaussians = lit(avatar, light).pose(pose_from(args.pose, avatar))
            cameras, said = _cameras(args, avatar, gaussians), {}
        drawn = [render(gaussians, camera) for camera in cameras]
    maps = {
        name: torch.cat([getattr(picture, name) for picture in drawn], 1)
        for name in ("color", "alpha", "depth", "normal")
    }
    _write(args, maps)
    height, width = maps["alpha"].shape
    current().result({"out": args.out, "width": width, "height": height, **said})
    return 0


def _check(args: Args) -> None:
    if args.out.suffix.lower() != ".png":
        raise InputError(
            f"{args.out.name} cannot be written",
            why="pictures are written as PNG, which keeps transparency and 16-bit depth",
            fix="let --out end in .png",
        )


def _stranger(args: Args) -> "tuple[Gaussians, list[Camera], dict[str, str]]":
    """Read a file of splats, which has neither a photo, nor a light, nor bones we know."""
    from persona.export.reading.opening import read_splats

    if args.camera == "photo" or args.pose != "photo" or args.light != "photo":
        raise InputError(
            f"{args.avatar.name} was asked for in a pose, a light or from the photo's camera",
            why="a file of splats knows none of them, it is drawn as it stands",
            fix="give --camera front, side, back or turntable, and no --pose and no --light",
        )
    found = read_splats(args.avatar)
    said = {"format": found.format, **found.facts}
    return found.gaussians, _around(args, found.gaussians), said


def _cameras(args: Args, avatar: "Avatar", gaussians: "Gaussians") -> list["Camera"]:
    if args.camera == "photo":
        camera = avatar.photo_camera
        return [camera if args.size is None else camera.scaled(args.size / camera.height)]
    return _around(args, gaussians)


def _around(args: Args, gaussians: "Gaussians") -> list["Camera"]:
    """Give the cameras that stand around whatever there is."""
    from persona.animation.framing import needed_width
    from persona.rendering.camera_paths import YAWS, fit_camera, turntable

    height = DEFAULT_SIZE if args.size is None else args.size
    points = gaussians.means
    if args.camera == "turntable":
        width = needed_width(points, height, yaw=None)
        return turntable(points, TURNTABLE_VIEWS, width=width, height=height)
    yaw = YAWS[args.camera]
    width = needed_width(points, height, yaw=yaw)
    return [fit_camera(points, width=width, height=height, yaw=yaw)]


def _write(args: Args, maps: dict) -> None:
    from persona.animation.background import background_from
    from persona.export.images import normals_as_color, write_depth_png
    from persona.images.files import write_png
    from persona.rendering.compositing import over, straight_rgba

    color, alpha = maps["color"], maps["alpha"]
    if args.channel == "depth":
        write_depth_png(args.out, maps["depth"])
    elif args.channel == "alpha":
        write_png(args.out, alpha[..., None].expand(-1, -1, 3))
    elif args.channel == "normal":
        rgb, coverage = normals_as_color(maps["normal"], alpha)
        write_png(args.out, rgb, alpha=coverage)
    else:
        height, width = alpha.shape
        background = background_from(args.background, width=width, height=height)
        if background is None:
            rgba = straight_rgba(color, alpha)
            write_png(args.out, rgba[..., :3], alpha=rgba[..., 3])
        else:
            write_png(args.out, over(color, alpha, background))
