"""Time projection and splatting of a body-like cloud, forward and backward, in milliseconds.

Run it on a quiet machine: ``python benchmarks/raster.py --threads 2``. The cloud is an ellipsoid as
high as a person, covered by surfels at 0.75 standard deviations per spacing, seen at full height.
"""

import argparse
import json
import math
import statistics
import sys
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from persona.geometry.cameras import Camera, look_at
from persona.kernels import project_oriented, rasterize
from persona.kernels.native_core import ISAS, isa_code

CASES = ((54_848, 512, 3), (54_848, 512, 8), (54_848, 512, 12), (219_368, 1024, 3))
"""Gaussians, side of the picture [px], channels."""
HALF_AXES = (0.25, 0.85, 0.15)
"""Of the ellipsoid [m]: a person's height, width and depth."""
SIGMA_PER_SPACING = 0.75
"""Overlap of neighbouring surfels."""
WARM_UP = 3
"""Rounds that are not counted."""


@dataclass(frozen=True)
class Row:
    """Medians over the rounds of one case."""

    gaussians: int
    size: int
    channels: int
    threads: int
    isa: str
    project_ms: float
    draw_ms: float
    forward_ms: float
    step_ms: float


def surfels(count: int, channels: int) -> list[Tensor]:
    """Cover the ellipsoid: means, quaternions, scales, opacities, features."""
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(count) + 0.5
    down = torch.acos(1 - 2 * place / count)
    around = math.pi * (1 + math.sqrt(5)) * place
    sphere = torch.stack(
        [torch.cos(around) * torch.sin(down), torch.cos(down), torch.sin(around) * torch.sin(down)],
        1,
    )
    axes = torch.tensor(HALF_AXES)
    normals = torch.nn.functional.normalize(sphere / axes, dim=1)
    area = (sphere / axes).norm(dim=1) * axes.prod() * 4 * math.pi / count
    across = SIGMA_PER_SPACING * area.sqrt()
    scales = torch.stack([across, across, 0.1 * across], 1)
    scales = scales * torch.exp(0.15 * torch.randn(count, 3, generator=generator))
    # The shortest turn from z to the normal.
    turn = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]).expand(count, 3), normals)
    quats = torch.cat([1 + normals[:, 2:], turn], 1) + 1e-6
    opacities = 0.5 + 0.5 * torch.rand(count, generator=generator)
    features = torch.rand(count, channels, generator=generator)
    return [sphere * axes, quats, scales, opacities, features]


def measure(count: int, size: int, channels: int, *, threads: int, rounds: int) -> Row:
    """Time one case."""
    leaves = [leaf.requires_grad_() for leaf in surfels(count, channels)]
    camera = Camera(
        width=size,
        height=size,
        focal_px=1.5 * size,
        center_px=(size / 2, size / 2),
        T_camera_world=look_at(torch.tensor([0.5, 0.1, 2.8]), torch.zeros(3)),
    )
    upstream = torch.randn(channels, size, size, generator=torch.Generator().manual_seed(1))
    seconds = []
    for _ in range(WARM_UP + rounds):
        start = time.perf_counter()
        means2d, conics, depths = project_oriented(*leaves[:3], camera, threads=threads)
        projected = time.perf_counter()
        image, alpha = rasterize(
            means2d,
            conics,
            leaves[3],
            leaves[4],
            depths.detach(),
            width=size,
            height=size,
            threads=threads,
        )
        drawn = time.perf_counter()
        torch.autograd.grad([image, alpha], leaves, [upstream, upstream[0]])
        end = time.perf_counter()
        seconds.append((projected - start, drawn - projected, drawn - start, end - start))
    medians = [1e3 * statistics.median(column) for column in zip(*seconds[WARM_UP:], strict=True)]
    return Row(count, size, channels, threads, ISAS[isa_code()], *(round(m, 2) for m in medians))


def main() -> None:
    """Print the table, or one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    line = "{:>9}  {:>5}  {:>8}  {:>7}  {:>8}  {:>7}  {:>7}  {:>7}  {:>16}\n"
    if not options.json:
        heads = ("gaussians", "size", "channels", "threads", "isa", "project", "draw", "forward")
        sys.stdout.write(line.format(*heads, "forward+backward"))
    for count, size, channels in CASES:
        row = measure(count, size, channels, threads=options.threads, rounds=options.rounds)
        values = asdict(row)
        sys.stdout.write(
            json.dumps(values) + "\n" if options.json else line.format(*values.values())
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
