"""Show where a frame and a step of drawing go on CUDA: launches, kernels, what a graph would save.

Run it where gsplat is compiled: ``python benchmarks/frame_profile.py 167000 1024``.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from persona.avatar.posing import puppet_pose
from persona.bench.scenes import (
    body_avatar,
    ellipsoid_camera,
    ellipsoid_surfels,
    swinging_params,
)
from persona.core.moving import moved
from persona.kernels import bend_puppet, project_gaussians, project_oriented, rasterize
from persona.rendering.camera_paths import fit_camera

ROUNDS = 50
CHANNELS = 16
"""Of a step of drawing."""


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


def tell(name: str, work: Callable[[], object]) -> None:
    """Write how long a part takes, and how long it takes to launch."""
    work()
    launched = median_ms(work, wait=False)
    sys.stdout.write(f"{name}: {median_ms(work):.3f} ms, launched in {launched:.3f} ms\n")


def tell_kernels(name: str, work: Callable[[], object]) -> None:
    """Write the kernels and the launches that cost most of ten calls."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        for _ in range(10):
            work()
        torch.cuda.synchronize()
    sys.stdout.write(f"\nten times: {name}\n")
    for order in ("self_cuda_time_total", "self_cpu_time_total"):
        table = seen.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=60)
        sys.stdout.write(f"{table}\n")


def show_frame(count: int, height: int) -> None:
    """Tell the parts of a frame, and what the parts before drawing take as a graph."""
    avatar, params = body_avatar(count), swinging_params(3)
    camera = fit_camera(avatar.pose(params).means, width=3 * height // 4, height=height, yaw=0.4)
    avatar, params = avatar.to("cuda"), moved(params, "cuda")
    look, puppet = avatar.canonical, avatar.puppet
    pose = puppet_pose(params, puppet.expression_dirs.shape[2])

    def before_drawing() -> tuple[torch.Tensor, ...]:
        cloud = avatar.pose(params)
        return project_gaussians(cloud.means, cloud.covariances, camera)

    def draw(means2d: torch.Tensor, conics: torch.Tensor, depths: torch.Tensor) -> object:
        size = {"width": camera.width, "height": camera.height}
        return rasterize(means2d, conics, look.opacities, look.colors, depths, **size)

    ellipses, cloud = before_drawing(), avatar.pose(params)
    tell("bend", lambda: bend_puppet(puppet, pose))
    tell("bend and pose", lambda: avatar.pose(params))
    tell("project", lambda: project_gaussians(cloud.means, cloud.covariances, camera))
    tell("bend, pose and project", before_drawing)
    tell("draw", lambda: draw(*ellipses))
    tell("frame", lambda: avatar.draw(params, camera))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        before_drawing()
    tell("bend, pose and project as a graph", graph.replay)
    tell_kernels("frame", lambda: avatar.draw(params, camera))


def show_step(count: int, size: int) -> None:
    """Tell the parts of projection and drawing, there and back."""
    leaves = [leaf.cuda().requires_grad_() for leaf in ellipsoid_surfels(count, CHANNELS)]
    camera, upstream = ellipsoid_camera(size), torch.randn(CHANNELS, size, size, device="cuda")

    def project() -> tuple[torch.Tensor, ...]:
        return project_oriented(*leaves[:3], camera)

    def draw(
        means2d: torch.Tensor, conics: torch.Tensor, depths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return rasterize(means2d, conics, *leaves[3:], depths.detach(), width=size, height=size)

    def step() -> None:
        image, alpha = draw(*project())
        torch.autograd.grad([image, alpha], leaves, [upstream, upstream[0]])

    with torch.no_grad():
        ellipses = project()
        tell("project", project)
        tell("draw", lambda: draw(*ellipses))
    tell("there", lambda: draw(*project()))
    tell("there and back", step)
    tell_kernels("there and back", step)


def main() -> None:
    """Show both."""
    count, size = (int(word) for word in sys.argv[1:3])
    with torch.no_grad():
        show_frame(count, size)
    show_step(count, size)


if __name__ == "__main__":
    main()
