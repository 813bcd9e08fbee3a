"""Time joint training with its full objective, from the first look at the frames to the avatar.

    python benchmarks/joint_training.py --gaussians 167000 --size 1024 --steps 9070 --device cuda

The person is a body with noise for colours, seen in pictures of a walk from four sides; pictures
come with all their maps and without known offsets, so that every term is at work. Needs neither
MediaPipe nor cv2.
"""

import argparse
import json
import math
import resource
import sys
import time
from dataclasses import replace

import torch

from persona.animation.wander import wander
from persona.avatar import Avatar
from persona.avatar.rates import at_rest, joint_rates
from persona.bench.scenes import body_avatar
from persona.core.moving import moved
from persona.optimization.joint import JointConfig, train_jointly
from persona.optimization.offsets import one_frame
from persona.records.frame_set import PHOTO, Clip, FrameSet, Picture
from persona.records.motion import Motion
from persona.records.observation import Part
from persona.rendering.camera_paths import fit_camera
from persona.synthesis.physics.pictures import take_picture

PICTURES = 16
"""Generated pictures; more change nothing but memory."""
FACE_PX = 256
"""Side of the face's patch."""


def person(count: int) -> Avatar:
    """Dress a body in an upper and a lower garment of noise; head and hands are bare."""
    bare = body_avatar(count)
    height = bare.canonical.means[:, 1]
    parts = torch.where(height > height.median(), int(Part.UPPER), int(Part.LOWER))
    joints = bare.binding.bone_ids[:, 0]
    skin = (joints == 15) | (joints >= 20)
    return replace(bare, parts=torch.where(skin, int(Part.SKIN), parts))


def seen(avatar: Avatar, motion: Motion, frame: int, size: int, *, face: bool = False) -> Picture:
    """Draw what a generator would have made of a frame."""
    params = moved(motion.params.frame(frame), avatar.canonical.means.device)
    posed = avatar.pose(params)
    head = avatar.binding.bone_ids[:, 0] == 15
    camera = fit_camera(
        (posed.means[head] if face else posed.means).cpu(),
        width=FACE_PX if face else round(0.75 * size),
        height=FACE_PX if face else size,
        yaw=(frame % 4) * math.pi / 2,
    )
    return take_picture(posed, avatar.parts, camera, frame=frame)


def frames_of(avatar: Avatar, size: int) -> FrameSet:
    """Give the photo with its face's patch, and pictures of a walk."""
    standing = Motion(params=one_frame(avatar.photo_params), fps=1.0)
    photo = Clip(
        source=PHOTO,
        motion=standing,
        rates=at_rest(),
        pictures=(
            seen(avatar, standing, 0, size),
            seen(avatar, standing, 0, size, face=True),
        ),
    )
    walk = wander(PICTURES / 4, fps=4, seed=0)
    pictures = tuple(seen(avatar, walk, frame, size) for frame in range(walk.frame_count))
    clip = Clip(source="walk", motion=walk, rates=joint_rates(walk), pictures=pictures)
    return FrameSet(clips=(photo, clip))


def main() -> None:
    """Train, and print what it took as JSON."""
    parser = argparse.ArgumentParser()
    for name, default in (("gaussians", 54_848), ("size", 580), ("steps", 120), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    with torch.no_grad():
        avatar = person(args.gaussians).to(args.device)
        frames = frames_of(avatar, args.size)
    marks: list[float] = []
    start = time.perf_counter()
    trained = train_jointly(
        avatar,
        frames,
        JointConfig(steps=args.steps),
        threads=args.threads,
        tick=lambda _: marks.append(time.perf_counter()),
    )
    done = time.perf_counter()
    on_cuda = args.device == "cuda"
    told = {
        **vars(args),
        "device": torch.cuda.get_device_name() if on_cuda else "cpu",
        "iterations_per_s": round((len(marks) - 1) / (marks[-1] - marks[0]), 2),
        "first_look_s": round(marks[0] - start, 2),
        "whole_s": round(done - start, 2),
        "peak_gib": round(
            torch.cuda.max_memory_allocated() / 2**30
            if on_cuda
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            2,
        ),
        "terms": sorted({name for entry in trained.history for name in entry} - {"step"}),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
