"""Measure tracking on films of one person: misses, jitter, sliding feet, speed, and two cameras.

    python tools/tracking_evidence.py ../shared/data/videos --overlays out/overlays

For every film: the miss of body joints in heights of the person, the accelerations of joints
against those of a fit without memory, the slide of standing soles, and frames a second. The films
called v04 and v16 show one take: their joints are compared.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from persona.body import SmplxBody, load_body
from persona.core.threads import one_thread
from persona.export.video import VideoConfig, write_mp4
from persona.images.clips import open_clip
from persona.tracking.clip_fit import ClipBody, fit_clip, solve_windows
from persona.tracking.first_guess import guess_poses
from persona.tracking.overlay import draw_overlay
from persona.tracking.rig import LANDMARKS, SOLES, Pose, pose_rig
from persona.tracking.smoothness import Smoothness
from persona.tracking.track import track_from
from persona.tracking.watching import watch

JUDGED = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Shoulders, elbows, wrists, hips, knees, ankles."""
VISIBLE = 0.5
"""Landmarks that the detector itself takes for hidden are no measure."""
CAMERAS = ("v04", "v16")
"""Two films of one take."""


@dataclass(frozen=True)
class Measured:
    """What one film showed."""

    fit: ClipBody
    line: str


def main() -> None:
    """Measure all films of a folder whose names begin with v."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="beginnings of names; all that begin with v")
    parser.add_argument("--overlays", type=Path, help="folder for overlay films")
    args = parser.parse_args()
    body = load_body()
    found = sorted(path for path in args.folder.iterdir() if path.name.startswith("v"))
    chosen = [p for p in found if not args.names or p.name.startswith(tuple(args.names))]
    fits = {}
    for path in chosen:
        measured = measure(body, path, args.overlays)
        fits[path.name[:3]] = measured.fit
        say(measured.line)
    if set(CAMERAS) <= set(fits):
        say(compare(*(fits[name] for name in CAMERAS)))


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def measure(body: SmplxBody, path: Path, overlays: Path | None) -> Measured:
    """Track one film and say how well."""
    begun, spent = time.monotonic(), time.process_time()
    sightings, camera = watch(open_clip(path).frames(), person=None, name=path.name)
    looked = time.monotonic()
    with one_thread():
        fit = fit_clip(body, sightings)
        track = track_from(body, fit, camera, name=path.stem)
    ended, cost = time.monotonic(), time.process_time() - spent
    frames = len(sightings.times)
    if overlays is not None:
        config = VideoConfig(fps=track.motion.fps, crf=23, preset="veryfast")
        drawn = draw_overlay(body, track, open_clip(path).frames())
        write_mp4(drawn, overlays / f"{path.stem}.mp4", config=config)
    with one_thread():
        raw = memoryless(body, fit)
    misses = reprojection(fit)
    own, alone = jitter(fit, fit.pose), jitter(fit, raw)
    slide = sliding(fit)
    line = (
        f"{path.stem}: {frames} frames, {sightings.size[0]}x{sightings.size[1]}; "
        f"miss median {np.median(misses):.2f} %, 95th {np.percentile(misses, 95):.2f} %; "
        f"jitter {own:.2f} mm against {alone:.2f}, ratio {own / alone:.2f}; "
        f"slide {slide:.1f} mm a frame; {frames / (ended - begun):.1f} frames a second "
        f"(look {1000 * (looked - begun) / frames:.0f}, fit {1000 * (ended - looked) / frames:.0f} "
        f"ms of time; {1000 * cost / frames:.0f} ms of one core); camera {camera.said}"
    )
    return Measured(fit, line)


def memoryless(body: SmplxBody, fit: ClipBody) -> Pose:
    """Fit every frame alone, with the same bones."""
    alone = Smoothness.of(fit.evidence.times, fit.evidence.shots, strength=0.0)
    return solve_windows(fit.rig, fit.evidence, guess_poses(body, fit.rig, fit.evidence), alone)


def reprojection(fit: ClipBody) -> np.ndarray:
    """Give the misses of visible body joints [% of the person's height]."""
    pixels = fit.evidence.scene.pixels(fit.posed().points[:, LANDMARKS])
    miss = (pixels - fit.evidence.body).norm(dim=-1) / fit.evidence.height_px[:, None]
    visible = (fit.sightings.visibility > VISIBLE) & fit.sightings.seen[:, None]
    judged = list(JUDGED)
    return 100 * miss[:, judged][visible[:, judged]].numpy()


def jitter(fit: ClipBody, pose: Pose) -> float:
    """Give the median second difference of joints while a foot stands [mm a frame^2]."""
    joints = pose_rig(fit.rig, pose).centers
    second = (joints[2:] - 2 * joints[1:-1] + joints[:-2]).norm(dim=-1)
    stands = fit.ground.standing.flatten(1).any(1)
    both = stands[2:] & stands[1:-1] & stands[:-2]
    return 1000 * float(second[both].median()) if bool(both.any()) else float("nan")


def sliding(fit: ClipBody) -> float:
    """Give the median slide of standing sole points [mm a frame]."""
    soles, stands = fit.posed().points[:, SOLES], fit.ground.standing.flatten(1)
    both = stands[1:] & stands[:-1]
    slide = (soles[1:] - soles[:-1]).norm(dim=-1)[both]
    return 1000 * float(slide.median()) if len(slide) else float("nan")


def compare(one: ClipBody, other: ClipBody) -> str:
    """Compare the joints of two cameras' tracks of one take, pelvis on pelvis."""
    here, there = (fit.posed().centers.numpy() for fit in (one, other))
    here, there = here - here[:, :1], there - there[:, :1]
    whole = np.linalg.norm(here @ rotation(here, there).T - there, axis=-1)
    each = [
        np.linalg.norm(a @ rotation(a, b).T - b, axis=-1) for a, b in zip(here, there, strict=True)
    ]
    return (
        f"two cameras, one rotation for the clip: median {1000 * np.median(whole):.0f} mm, "
        f"90th {1000 * np.percentile(whole, 90):.0f} mm; "
        f"one rotation a frame: median {1000 * np.median(each):.0f} mm"
    )


def rotation(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Find the rotation that takes one set of points nearest to another."""
    left, _, right = np.linalg.svd(here.reshape(-1, 3).T @ there.reshape(-1, 3))
    sign = np.sign(np.linalg.det(right.T @ left.T))
    return right.T @ np.diag([1, 1, sign]) @ left.T


if __name__ == "__main__":
    with torch.no_grad():
        main()
