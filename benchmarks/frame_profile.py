"""Show where a frame on CUDA goes: launches, kernels, and what a captured graph would save.

Run it where gsplat is compiled: ``python benchmarks/frame_profile.py 167000 1024``.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile

from persona.bench.scenes import body_avatar, swinging_params
from persona.core.moving import moved
from persona.kernels import project_gaussians, rasterize
from persona.kernels.dispatch import implementation
from persona.kernels.projection import EPS2D, NEAR
from persona.rendering.camera_paths import fit_camera

ROUNDS = 50


def median_ms(work: Callable[[], object], *, wait: bool = True) -> float:
    """Time a call; without ``wait`` only until everything is launched."""
    times = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if wait:
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    """Print times of the parts, then the kernels and the launches that cost most."""
    count, height = (int(word) for word in sys.argv[1:3])
    avatar, params = body_avatar(count), swinging_params(3)
    camera = fit_camera(avatar.pose(params).means, width=3 * height // 4, height=height, yaw=0.4)
    avatar, params = avatar.to("cuda"), moved(params, "cuda")
    look = avatar.canonical

    def before_drawing() -> tuple[torch.Tensor, ...]:
        cloud = avatar.pose(params)
        return project_gaussians(cloud.means, cloud.covariances, camera)

    def draw(means2d: torch.Tensor, conics: torch.Tensor, depths: torch.Tensor) -> object:
        size = {"width": camera.width, "height": camera.height}
        return rasterize(means2d, conics, look.opacities, look.colors, depths, **size)

    def frame() -> object:
        return draw(*before_drawing())

    lines = []
    with torch.no_grad():
        frame()
        ellipses = before_drawing()
        parts = {
            "articulate": lambda: avatar.body.articulate(params),
            "pose, articulation included": lambda: avatar.pose(params),
            "pose and project": before_drawing,
            "draw": lambda: draw(*ellipses),
            "frame": frame,
        }
        for name, work in parts.items():
            lines.append(f"{name}: {median_ms(work):.3f} ms, launched in ")
            lines[-1] += f"{median_ms(work, wait=False):.3f} ms"
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            for _ in range(10):
                frame()
            torch.cuda.synchronize()
        # A graph copies nothing from the CPU, and looks at nothing.
        there = replace(camera, T_camera_world=camera.T_camera_world.cuda())
        project = implementation("project_gaussians", look.means.device)
        project(look.means, avatar.pose(params).covariances, there, eps2d=EPS2D, near=NEAR)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            cloud = avatar.pose(params)
            project(cloud.means, cloud.covariances, there, eps2d=EPS2D, near=NEAR)
        lines.append(f"pose and project, captured: {median_ms(graph.replay):.3f} ms")
    sys.stdout.write("\n".join(lines) + "\n\n")
    for order in ("self_cuda_time_total", "self_cpu_time_total"):
        table = seen.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=60)
        sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
