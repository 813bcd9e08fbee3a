"""Let an avatar do every built-in motion, and write one video of each.

persona create photo.jpg --out ada.persona
python examples/01_animate.py ada.persona --out videos
"""

import argparse
import logging
from pathlib import Path

import torch

from persona import Avatar
from persona.animation.clips import CLIPS, clip
from persona.animation.framing import frame_motion
from persona.animation.performance import perform
from persona.animation.player import draw
from persona.core.progress import choose_voice, speaking
from persona.export.video import VideoConfig, write_mp4

log = logging.getLogger("animate")

WHITE = torch.ones(3)


def animate(avatar: Avatar, name: str, out: Path, *, height: int, fps: float) -> None:
    """Play one clip and write it as ``NAME.mp4``."""
    # The clip is composed for the mean body; `perform` puts it on this person's legs and floor.
    motion = perform(avatar, clip(name, fps=fps))
    cameras = frame_motion(avatar, motion, "follow", height=height)
    frames = draw(avatar, motion, cameras, background=WHITE)
    path = out / f"{name}.mp4"
    write_mp4(frames, path, config=VideoConfig(fps=fps), frame_count=motion.frame_count)
    log.info("%s", path)


def main() -> None:
    """Parse the words of the command line and draw."""
    parser = argparse.ArgumentParser(description="Let an avatar do every built-in motion.")
    parser.add_argument("avatar", type=Path, help="NAME.persona")
    parser.add_argument("--out", type=Path, default=Path("videos"), help="folder to write to")
    parser.add_argument("--motions", nargs="+", choices=list(CLIPS), default=list(CLIPS))
    parser.add_argument("--height", type=int, default=512, help="rows [px]")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    avatar = Avatar.load(args.avatar)
    with speaking(choose_voice()):
        for name in args.motions:
            animate(avatar, name, args.out, height=args.height, fps=args.fps)


if __name__ == "__main__":
    main()
