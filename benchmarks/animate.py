"""Time a walking avatar, from SMPL-X parameters to pixels: posing, projection and drawing.

Run it on a quiet machine: ``python benchmarks/animate.py --threads 2``. Without ``--avatar`` the
open body walks, covered with Gaussians all over. Posing and projection are timed in plain torch
too, in the same rounds; drawing is not: its plain twin would take minutes a frame.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch

from persona.animation.clips import clip
from persona.animation.player import draw
from persona.avatar import Avatar
from persona.avatar.binding import bind_to_triangles
from persona.avatar.initialize import sample_surface, surfel_axes
from persona.avatar.posing import CanonicalGaussians
from persona.body import load_body
from persona.geometry.cameras import Camera
from persona.geometry.meshes import vertex_normals
from persona.kernels import Backend, pose_gaussians, project_gaussians, rasterize
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion
from persona.rendering.camera_paths import fit_camera

CASES = ((54_848, 512), (219_368, 1024))
"""Gaussians and height of the picture [px]: a standard and a studio avatar."""
STEPS = ("pose", "project", "draw", "steps", "frame", "player", "torch_pose", "torch_project")
"""What is timed: ``steps`` is the sum of the three before it, ``frame`` the same in one native
call, ``player`` a frame of a film over a colour with its shadow, the last two the plain twins."""
WARM_UP = 3
"""Rounds that are not counted."""


@dataclass(frozen=True)
class Row:
    """Milliseconds of one case; the machine may be shared, so the best round is told as well."""

    gaussians: int
    height: int
    threads: int
    median_ms: dict[str, float]
    best_ms: dict[str, float]
    frames_per_second: float
    """Of the median ``frame``."""
    best_frames_per_second: float
    times_faster_than_torch: dict[str, float]
    """Plain torch over native, medians of posing and projection."""


def open_body_avatar(count: int) -> Avatar:
    """Cover the mean person with Gaussians."""
    body = load_body()
    identity = Identity(
        betas=torch.zeros(10),
        joint_offsets=torch.zeros(55, 3),
        vertex_offsets=torch.zeros(body.vertex_count, 3),
        body_digest=body.digest,
    )
    rest = body.v_template
    samples = sample_surface(rest, body.faces, torch.ones(len(body.faces)), count, seed=0)
    corners = body.faces[samples.face_ids]
    points = (rest[corners] * samples.barycentric[..., None]).sum(1)
    normals = (vertex_normals(rest, body.faces)[corners] * samples.barycentric[..., None]).sum(1)
    quats, log_scales = surfel_axes(points, torch.nn.functional.normalize(normals, dim=1))
    return Avatar(
        identity=identity,
        canonical=CanonicalGaussians(
            means=points,
            quats_wxyz=quats,
            log_scales=log_scales,
            opacities=torch.full((count,), 0.95),
            colors=torch.rand(count, 3, generator=torch.Generator().manual_seed(0)),
        ),
        binding=bind_to_triangles(
            samples.face_ids,
            samples.barycentric,
            faces=body.faces,
            rest_vertices=rest,
            vertex_weights=body.weights,
        ),
        seen=torch.ones(count, dtype=torch.bool),
        parts=torch.ones(count, dtype=torch.int64),
        photo_params=rest_params(),
        photo_focal_px=1000.0,
        photo_size=(384, 512),
    )


def time_frame(avatar: Avatar, params: BodyParams, camera: Camera) -> list[float]:
    """Measure every one of `STEPS` once [s]."""
    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    cloud = avatar.pose(params)
    mark()
    means2d, conics, depths = project_gaussians(cloud.means, cloud.covariances, camera)
    mark()
    rasterize(
        means2d,
        conics,
        cloud.opacities,
        cloud.colors,
        depths,
        width=camera.width,
        height=camera.height,
    )
    mark()
    avatar.draw(params, camera)
    mark()
    next(draw(avatar, motion_of(params), [camera], background=torch.ones(3)))
    mark()
    bent = avatar.body.articulate(params, joint_offsets=avatar.identity.joint_offsets)
    pose_gaussians(avatar.rig, bent.flesh, bent.T_posed_rest, backend=Backend.REFERENCE)
    mark()
    project_gaussians(cloud.means, cloud.covariances, camera, backend=Backend.REFERENCE)
    mark()
    steps = [end - start for start, end in itertools.pairwise(marks)]
    return [*steps[:3], sum(steps[:3]), *steps[3:]]


def motion_of(params: BodyParams) -> Motion:
    """Make a film of one frame."""
    still = {f.name: getattr(params, f.name)[None] for f in fields(params)}
    return Motion(params=BodyParams(**still), fps=30.0)


def measure(avatar: Avatar, height: int, *, rounds: int) -> Row:
    """Time frames of a walk on the spot, the person as high as the picture."""
    walk = clip("walk", fps=30).params
    walk = replace(walk, transl=torch.zeros_like(walk.transl))
    means = avatar.pose(walk.frame(0)).means
    camera = fit_camera(means, width=3 * height // 4, height=height, yaw=0.4)
    with torch.no_grad():
        frames = [
            time_frame(avatar, walk.frame(index % len(walk.transl)), camera)
            for index in range(WARM_UP + rounds)
        ][WARM_UP:]
    columns = dict(zip(STEPS, zip(*frames, strict=True), strict=True))
    median = {step: round(1e3 * statistics.median(column), 2) for step, column in columns.items()}
    best = {step: round(1e3 * min(column), 2) for step, column in columns.items()}
    return Row(
        gaussians=avatar.count,
        height=height,
        threads=torch.get_num_threads(),
        median_ms=median,
        best_ms=best,
        frames_per_second=round(1e3 / median["frame"], 1),
        best_frames_per_second=round(1e3 / best["frame"], 1),
        times_faster_than_torch={
            step: round(median[f"torch_{step}"] / median[step], 1) for step in ("pose", "project")
        },
    )


def describe(row: Row) -> str:
    """Put one case into a small table."""
    ratio = {f"torch_{step}": f"{times:g}x" for step, times in row.times_faster_than_torch.items()}
    lines = [f"{row.gaussians} Gaussians, {row.height} px high, {row.threads} threads"]
    lines += [f"  {'step':<14} {'median ms':>10} {'best ms':>10} {'ratio':>8}"]
    lines += [
        f"  {step:<14} {row.median_ms[step]:>10.2f} {row.best_ms[step]:>10.2f} "
        f"{ratio.get(step, ''):>8}".rstrip()
        for step in STEPS
    ]
    lines += [f"  frames/s {row.frames_per_second:.1f}, best {row.best_frames_per_second:.1f}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print a table for each case, or one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--avatar", type=Path, help="a NAME.persona, drawn 512 px high")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.avatar:
        cases = ((Avatar.load(options.avatar), 512),)
    else:
        cases = ((open_body_avatar(count), height) for count, height in CASES)
    for avatar, height in cases:
        row = measure(avatar, height, rounds=options.rounds)
        sys.stdout.write(json.dumps(asdict(row)) + "\n" if options.json else describe(row))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
