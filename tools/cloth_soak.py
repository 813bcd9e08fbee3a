"""Move clothes over thousands of frames of random smooth poses, and tell whether they survive.

Not part of the tests: ten thousand frames take about ten minutes. The same seed makes the same
motion and, to the bit, the same cloth. Run it whole, or in pieces with --first and --frames: a
piece drapes anew on its first pose.

    python tools/cloth_soak.py --frames 10000 --seed 0
"""

import argparse
import sys
import time

import torch
from torch import Tensor

from persona.body import SmplxBody, load_body
from persona.body.skeleton import BODY_JOINTS, JOINT_IDS, joint_limits
from persona.body.smplx import BodyPose
from persona.records.body_params import BodyParams, rest_params
from persona.synthesis.physics.collider import collider_of
from persona.synthesis.physics.drape import drape, skinned
from persona.synthesis.physics.patterns import cut_shirt, cut_skirt
from persona.synthesis.physics.settings import ClothSettings
from persona.synthesis.physics.weave import weave

FPS = 30
KEY_FRAMES = 30
"""Frames from one random pose to the next: a second for a whole change of posture."""
RANGE = 0.6
"""Share of the joints' comfortable range that is used."""
TURN = 1.0
"""Most that the whole body turns between two poses [rad]."""
BATCH = 32
"""Frames posed at once."""
TELL_EVERY = 10.0
"""Seconds between two lines of progress."""


def random_poses(count: int, seed: int) -> Tensor:
    """Give poses (count,55,3) [rad] within the joints' range; arms mostly hang."""
    g = torch.Generator().manual_seed(seed)
    low, high = joint_limits()
    poses = torch.zeros(count, 55, 3)
    body = list(BODY_JOINTS)[1:]
    share = RANGE * torch.rand(count, len(body), 3, generator=g)
    up = torch.rand(count, len(body), 3, generator=g) < 0.5
    poses[:, body] = share * torch.where(up, high[body], low[body])
    for side, sign in (("left", -1.0), ("right", 1.0)):
        poses[:, JOINT_IDS[f"{side}_shoulder"], 2] += 0.6 * sign
        for bent in ("knee", "elbow"):  # one way only
            joint = JOINT_IDS[f"{side}_{bent}"]
            axis = 0 if bent == "knee" else 1
            poses[:, joint, axis] = poses[:, joint, axis].abs() * (1.0 if bent == "knee" else sign)
    poses[:, 0, 1] = (TURN * (2 * torch.rand(count, generator=g) - 1)).cumsum(0)
    return poses


def between(poses: Tensor, frames: Tensor) -> Tensor:
    """Go from pose to pose smoothly, at rest in each."""
    place = frames.double() / KEY_FRAMES
    first = place.floor().long()
    part = (place - first).float()[:, None, None]
    eased = part * part * (3 - 2 * part)
    return poses[first] * (1 - eased) + poses[first + 1] * eased


def posed(body: SmplxBody, poses: Tensor, frames: Tensor) -> BodyPose:
    """Bend the body for some frames."""
    params: BodyParams = rest_params(len(frames))
    with torch.no_grad():
        return body.forward(params.with_full_pose(between(poses, frames)))


def main() -> int:
    """Run, and give the exit code: 0 when nothing broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    body = load_body()
    rest = body.forward(rest_params()).rest_vertices
    garments = (
        cut_skirt(body, rest, around=60, rows=26),
        cut_shirt(body, rest, levels=0, layer=1),
    )
    settings = ClothSettings()
    mesh, collider = weave(garments, settings), collider_of(body)
    poses = random_poses((options.first + options.frames) // KEY_FRAMES + 2, options.seed)
    ids = options.first + torch.arange(options.frames)
    tell(f"{len(mesh.rest)} vertices, {len(mesh.springs)} springs, {options.frames} frames")
    start = posed(body, poses, ids[:1])
    run = drape(
        garments,
        mesh,
        collider,
        start.vertices[0],
        start.T_posed_rest[0],
        settings,
        threads=options.threads,
    )
    edges = mesh.springs[: mesh.color_begin[mesh.edge_color_count]]
    edges = edges[(mesh.inverse_masses[edges] > 0).any(1)]
    cut = (mesh.rest[edges[:, 0]] - mesh.rest[edges[:, 1]]).norm(dim=1)
    skin, targets = start.vertices[0], skinned(garments, start.T_posed_rest[0])
    worst = {"speed": 0.0, "away": 0.0, "stretch_p99": 0.0, "stretch_max": 0.0}
    stretches, began, told = [], time.monotonic(), time.monotonic()
    for batch in ids[1:].split(BATCH):
        bodies = posed(body, poses, batch)
        for k, frame in enumerate(batch.tolist()):
            after = skinned(garments, bodies.T_posed_rest[k])
            run.frame((skin, bodies.vertices[k]), (targets, after), 1 / FPS, rules=settings.rules)
            skin, targets = bodies.vertices[k], after
            x = run.positions
            if not torch.isfinite(x).all():
                tell(f"frame {frame}: not finite")
                return 1
            stretch = (x[edges[:, 0]] - x[edges[:, 1]]).norm(dim=1) / cut
            p99 = float(stretch.quantile(0.99))
            stretches.append(p99)
            now = {
                "speed": float(run.velocities.norm(dim=1).max()),
                "away": float((x - skin.mean(0)).norm(dim=1).max()),
                "stretch_p99": p99,
                "stretch_max": float(stretch.max()),
            }
            worst = {name: max(worst[name], value) for name, value in now.items()}
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                done = frame - options.first
                left = (told - began) / done * (options.frames - done)
                tell(f"{done}/{options.frames}, about {left:.0f} s left, {text(now)}")
    tell(f"finished in {time.monotonic() - began:.0f} s; worst {text(worst)}")
    tell(f"median over frames of stretch p99: {float(torch.tensor(stretches).median()):.3f}")
    return 0 if worst["away"] < 2.0 else 1


def text(values: dict[str, float]) -> str:
    """Write names and numbers."""
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def tell(line: str) -> None:
    """Write a line of news."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
