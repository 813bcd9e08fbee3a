"""Turn and play an avatar in viser, for developers who want to put things of their own beside it.

pip install 'persona-avatar[viser]'
python examples/03_viser.py ada.persona --motion walk

People without a Python of their own are better off with `persona serve`. Only this machine can open
the page: viser asks nobody who they are.
"""

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from persona import Avatar
from persona.animation.clips import CLIPS, clip
from persona.animation.performance import perform
from persona.kernels.projection_reference import covariance_matrices
from persona.records.body_params import BodyParams

if TYPE_CHECKING:
    import viser

log = logging.getLogger("viser")


def show(server: "viser.ViserServer", avatar: Avatar, params: BodyParams) -> None:
    """Put the avatar into the scene as it stands in a pose, in place of the one before."""
    with torch.no_grad():
        cloud = avatar.pose(params)
    server.scene.add_gaussian_splats(
        "/avatar",
        centers=cloud.means.numpy(),
        covariances=covariance_matrices(cloud.covariances).numpy(),
        rgbs=cloud.colors.clamp(0, 1).numpy(),
        opacities=cloud.opacities.reshape(-1, 1).numpy(),
    )


def main() -> None:
    """Parse the words of the command line and serve until Ctrl-C."""
    import viser

    parser = argparse.ArgumentParser(description="Turn and play an avatar in viser.")
    parser.add_argument("avatar", type=Path, help="NAME.persona")
    parser.add_argument("--motion", choices=list(CLIPS), default="walk")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so many")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    avatar = Avatar.load(args.avatar)
    motion = perform(avatar, clip(args.motion, fps=10.0))
    server = viser.ViserServer(host="127.0.0.1", port=args.port)
    server.scene.set_up_direction("+y")
    playing = server.gui.add_checkbox("play", initial_value=False)
    frame = server.gui.add_slider("frame", 0, motion.frame_count - 1, 1, 0)
    log.info("http://127.0.0.1:%d", server.get_port())
    shown, end = -1, time.monotonic() + args.seconds
    while time.monotonic() < end:
        if playing.value:
            frame.value = (frame.value + 1) % motion.frame_count
        if frame.value != shown:
            shown = frame.value
            show(server, avatar, motion.params.frame(shown))
        time.sleep(0.1)


if __name__ == "__main__":
    main()
