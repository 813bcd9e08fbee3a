"""Show an avatar on a live page on this machine."""

import webbrowser
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from persona.core.errors import InputError
from persona.core.progress import current


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona serve` takes."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """The avatar, NAME.persona."""
    body: Path | None = None
    """Your own SMPL-X file, for an avatar that was made on one; left out, PERSONA_BODY names it."""
    port: int = 8765
    """Where the page is; 0 takes any free port. Only this machine can reach it."""
    no_browser: bool = False
    """Print the link and open nothing."""
    render: Literal["browser", "server"] = "browser"
    """Who draws: the browser (WebGL2), or the server, which sends pictures to weak machines."""
    photo: Path | None = None
    """The photo, to be shown beside the avatar."""
    vmc: int = 39539
    """UDP port of this machine on which VMC is heard; 0 hears none."""
    vmc_out: int | None = None
    """UDP port of this machine to which every live pose is sent as VMC."""
    source: str | None = None
    """What the server itself plays as live poses: the name of a built-in motion, the path of a
    motion file or of a video of one person, or the number of a camera."""


def run(args: Args) -> int:
    """Serve until Ctrl-C; return 0."""
    from persona.avatar.avatar import RECORD_NAME, Avatar
    from persona.records.notice import notice_of
    from persona.serving.app import Rooms
    from persona.serving.hub import Hub
    from persona.serving.server import PageServer
    from persona.serving.show import FIRST, Show
    from persona.serving.sources import play_source
    from persona.serving.stature import stature_of
    from persona.serving.studio import Studio
    from persona.serving.vmc import hear_vmc, vmc_ear, vmc_speaker
    from persona.serving.webcam import Webcam

    avatar = Avatar.load(args.avatar, body=args.body)
    notice = notice_of(args.avatar / RECORD_NAME)
    name = args.avatar.resolve().stem
    show = Show(avatar, name=name, notice=notice, photo=args.photo)
    hub = Hub()
    background = []
    stature = stature_of(avatar)
    vmc_port = args.vmc or None
    if vmc_port is not None:
        try:
            ear = vmc_ear(vmc_port)
            background.append(partial(hear_vmc, ear, stature, hub.publish))
        except InputError as error:
            # The page is of use without it, and says so.
            vmc_port = None
            current().warn(str(error))
            hub.notice = f"VMC is not heard: {error.what}: {error.why}. To mend it: {error.fix}."
    if args.vmc_out is not None:
        hub.also.append(vmc_speaker(args.vmc_out, stature))
    if args.source is not None:
        background.append(partial(play_source, args.source, avatar, hub))
    studio = None
    if args.render == "server":
        studio = Studio(avatar, FIRST)
        hub.also.append(studio.act.take)
        background.append(studio.run)
    rooms = Rooms(
        show=show,
        hub=hub,
        webcam=Webcam(avatar, hub),
        vmc_port=vmc_port,
        studio=studio,
        background=tuple(background),
    )
    server = PageServer(rooms, port=args.port)

    def ready() -> None:
        current().result({"link": server.link})
        current().say("Ctrl-C ends it. Only this machine can open the link.")
        if not args.no_browser:
            webbrowser.open(server.link)

    server.run(ready=ready)
    return 0
