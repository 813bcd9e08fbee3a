"""Measure cloth on the open body, and print what was found: one number a line, with its unit.

    python tools/cloth_evidence.py entering --clips walk squat kick   # who enters the body, stretch
    python tools/cloth_evidence.py speed                              # 300 frames, time and memory
    python tools/cloth_evidence.py laws                               # rest, slowness, threads

Inside and outside are told by winding numbers, which the solver does not use.
"""

import argparse
import resource
import sys
import time
from dataclasses import fields, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from persona.animation.clips import clip
from persona.body import SmplxBody, load_body
from persona.geometry.winding import winding_numbers
from persona.kernels import ClothMesh
from persona.kernels.cloth_reference import nearest_shares
from persona.records.body_params import rest_params
from persona.records.garment import Garment
from persona.synthesis.physics.collider import collider_of
from persona.synthesis.physics.drape import drape, skinned
from persona.synthesis.physics.patterns import cut_shirt, cut_skirt
from persona.synthesis.physics.settings import ClothSettings
from persona.synthesis.physics.solver import simulate
from persona.synthesis.physics.weave import weave

FPS = 30
NEAR = 0.09
"""Skin this near to a vertex inside is looked at for the way out [m]."""
ABOVE = 2e-4
"""A face is on the outside where the point so far above its middle is [m]."""
CANDIDATES = 60
"""Faces by the distance of their middles among which the nearest is."""
SETTINGS = ClothSettings()


def film(
    body: SmplxBody, name: str, *, frames: int | None = None, speed: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Give skin and bones of a clip's frames, from its start, around and around."""
    motion = clip(name, fps=FPS / speed)
    ids = torch.arange(frames or motion.frame_count) % motion.frame_count
    picked = {}
    for field in fields(motion.params):
        value = getattr(motion.params, field.name)
        picked[field.name] = value[ids] if len(value) == motion.frame_count else value
    skins, bones = [], []
    with torch.no_grad():
        for some in torch.arange(len(ids)).split(32):
            part = {k: v[some] if len(v) == len(ids) else v for k, v in picked.items()}
            pose = body.forward(replace(motion.params, **part))
            skins.append(pose.vertices)
            bones.append(pose.T_posed_rest)
    return torch.cat(skins), torch.cat(bones)


def depths(points: Tensor, skin: Tensor, faces: Tensor) -> Tensor:
    """Give the distances to the skin that is outside of all others (n) [m]."""
    corners = skin[faces]
    middles = corners.mean(1)
    away, _ = cKDTree(points.numpy()).query(middles.numpy(), distance_upper_bound=NEAR)
    ids = torch.from_numpy(np.flatnonzero(np.isfinite(away)))
    wide = torch.linalg.cross(*(corners[ids, k] - corners[ids, 0] for k in (1, 2)))
    above = middles[ids] + ABOVE * torch.nn.functional.normalize(wide, dim=1)
    outer = ids[winding_numbers(above, skin, faces) < 0.5]
    three = corners[outer].double().numpy()
    _, near = cKDTree(three.mean(1)).query(points.numpy(), min(CANDIDATES, len(outer)))
    best = np.full(len(points), np.inf)
    for k in range(near.shape[1]):
        shares = nearest_shares(
            points.double().numpy(), *(three[near[:, k], corner] for corner in range(3))
        )
        foot = np.einsum("nk,nkd->nd", shares, three[near[:, k]])
        best = np.minimum(best, np.linalg.norm(foot - points.double().numpy(), axis=1))
    return torch.from_numpy(best)


def loose_edges(mesh: ClothMesh) -> tuple[Tensor, Tensor]:
    """Give the edges with a free end and their lengths."""
    count = mesh.color_begin[mesh.edge_color_count]
    free = (mesh.inverse_masses[mesh.springs[:count]] > 0).any(1)
    return mesh.springs[:count][free], mesh.lengths[:count][free]


def entering(body: SmplxBody, clothes: tuple[Garment, ...], name: str, every: int) -> None:
    """Tell what share of each garment enters the body, how deep, and how far edges stretch."""
    skins, bones = film(body, name)
    films = simulate(clothes, skins, collider_of(body), bones, fps=FPS)
    for garment, places in zip(clothes, films, strict=True):
        edges, lengths = loose_edges(weave([garment], SETTINGS))
        stretch = (places[:, edges[:, 0]] - places[:, edges[:, 1]]).norm(dim=-1) / lengths
        p99 = stretch.numpy()
        tell(f"{name} {garment.name}: stretch p99 {np.quantile(p99, 0.99):.3f}")
        tell(
            f"{name} {garment.name}: in its worst frame {np.quantile(p99, 0.99, axis=1).max():.3f}"
        )
        shares, deepest = [], 0.0
        for frame in range(0, len(skins), every):
            inside = winding_numbers(places[frame], skins[frame], body.faces) > 0.5
            shares.append(float(inside.float().mean()))
            if inside.any():
                deep = depths(places[frame][inside], skins[frame], body.faces)
                deepest = max(deepest, float(deep.max()))
        tell(f"{name} {garment.name}: inside the body {100 * np.mean(shares):.3f} % on average")
        worst = 100 * max(shares)
        tell(f"{name} {garment.name}: {worst:.3f} % at worst, {1e3 * deepest:.1f} mm deep")


def speed(body: SmplxBody, rest: Tensor, frames: int) -> None:
    """Tell how long 300 frames take, and the most memory the process held."""
    skirt = cut_skirt(body, rest)
    for clothes in ((skirt,), (skirt, cut_shirt(body, rest, levels=1, layer=1))):
        skins, bones = film(body, "walk", frames=frames)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, work = time.perf_counter(), time.process_time()
        simulate(clothes, skins, collider_of(body), bones, fps=FPS)
        wall, work = time.perf_counter() - wall, time.process_time() - work
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count = sum(garment.vertex_count for garment in clothes)
        tell(f"{frames} frames, {count} vertices, draping included: {wall:.1f} s, {work:.1f} CPU s")
        tell(f"most memory of the process {most / 1024:.0f} MB, {before / 1024:.0f} MB before")


def laws(body: SmplxBody, skirt: Garment) -> None:
    """Tell how cloth calms down, nears stillness when slower, and repeats itself."""
    collider = collider_of(body)
    skins, bones = film(body, "idle", frames=1)
    mesh, still = weave([skirt], SETTINGS), skinned([skirt], bones[0])
    run = drape([skirt], mesh, collider, skins[0], bones[0], SETTINGS)
    masses = torch.where(mesh.inverse_masses > 0, 1 / mesh.inverse_masses.clamp_min(1e-9), 0.0)
    for second in range(4):
        moving = float((masses * run.velocities.square().sum(1)).sum()) / 2
        high = float((masses * 9.81 * run.positions[:, 1]).double().sum())
        tell(f"at rest after {second} s: moving {1e6 * moving:.1f} uJ, height {high:.5f} J")
        for _ in range(FPS):
            run.frame((skins[0], skins[0]), (still, still), 1 / FPS, rules=SETTINGS.rules)
    ends = {}
    for slower in (1, 2, 4, 8):
        skins, bones = film(body, "turn", frames=20 * slower + 1, speed=1 / slower)
        (places,) = simulate([skirt], skins, collider, bones, fps=FPS)
        ends[slower] = places[-1]
    for slower in (1, 2, 4):
        away = (ends[slower] - ends[8]).norm(dim=1).mean()
        tell(f"turn at 1/{slower} speed, same pose: {1e3 * float(away):.2f} mm from that at 1/8")
    skins, bones = film(body, "walk", frames=12)
    runs = [
        simulate([skirt], skins, collider, bones, fps=FPS, threads=threads)[0]
        for threads in (1, 2, 3, 2)
    ]
    tell(f"1, 2, 3 and again 2 threads give the same bits: {all(map(runs[0].equal, runs))}")


def tell(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what the words of the command line ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("entering", "speed", "laws"))
    parser.add_argument("--clips", nargs="+", default=["walk", "squat"])
    parser.add_argument("--every", type=int, default=6, help="frames between two tests")
    parser.add_argument("--frames", type=int, default=300, help="frames for the time")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    body = load_body()
    rest = body.forward(rest_params()).rest_vertices
    skirt = cut_skirt(body, rest, around=70, rows=30)
    if options.what == "entering":
        clothes = skirt, cut_shirt(body, rest, levels=0, layer=1)
        for name in options.clips:
            entering(body, clothes, name, options.every)
    elif options.what == "speed":
        speed(body, rest, options.frames)
    else:
        laws(body, skirt)


if __name__ == "__main__":
    main()
