"""Time projection and splatting of a body-like cloud, forward and backward."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from persona.bench.cases import BenchConfig, Case
from persona.bench.clock import Marks, instruction_set, lap_times
from persona.bench.contestants import Contestant
from persona.bench.rows import Row, there_and_back
from persona.bench.scenes import ellipsoid_camera, ellipsoid_surfels
from persona.geometry.cameras import Camera
from persona.kernels import Backend, project_oriented, rasterize


def time_raster(config: BenchConfig) -> Iterator[Row]:
    """Yield a row ``raster`` and a row ``project`` for each case and contestant.

    The plain-torch twin projects everything, and draws where that ends within seconds.
    """
    projected: set[tuple[int, int, float]] = set()
    for case in config.cases:
        calls, order = {}, []
        # Projection knows nothing of channels.
        alike = (case.gaussians, case.size, case.sigma)
        is_new = alike not in projected
        projected.add(alike)
        for contestant in config.contestants:
            scene = _Scene(case, contestant, config.threads)
            twin = contestant.backend is Backend.REFERENCE
            if not twin or case.twin_ends_in_seconds:
                calls[f"raster {contestant.label}"] = partial(_timed, scene.draw, contestant)
                order.append(("raster", contestant))
            if is_new:
                calls[f"project {contestant.label}"] = partial(_timed, scene.project, contestant)
                order.append(("project", contestant))
        laps = lap_times(calls, rounds=config.rounds)
        for name, contestant in order:
            yield Row(
                name=name,
                backend=contestant.backend.value,
                isa=contestant.isa,
                gaussians=case.gaussians,
                size=case.size,
                channels=case.channels if name == "raster" else 0,
                sigma=case.sigma,
                threads=config.threads,
                times=there_and_back(laps[f"{name} {contestant.label}"]),
            )


def _timed(work: Callable[[Marks], None], contestant: Contestant, mark: Marks) -> None:
    with instruction_set(contestant.isa):
        work(mark)


class _Scene:
    """The cloud on its device, with leaves that want gradients and something to send back."""

    def __init__(self, case: Case, contestant: Contestant, threads: int) -> None:
        device = contestant.device
        surfels = ellipsoid_surfels(case.gaussians, case.channels, sigma=case.sigma)
        self.leaves = [leaf.to(device).requires_grad_() for leaf in surfels]
        self.camera: Camera = ellipsoid_camera(case.size)
        self.backend, self.projector = contestant.backend, contestant.beside_drawing
        self.threads = threads
        generator = torch.Generator().manual_seed(1)
        picture = (case.channels, case.size, case.size)
        self.to_image = torch.randn(picture, generator=generator).to(device)
        self.to_means2d = torch.randn(case.gaussians, 2, generator=generator).to(device)
        self.to_conics = torch.randn(case.gaussians, 3, generator=generator).to(device)

    def ellipses(self) -> tuple[Tensor, Tensor, Tensor]:
        means, quats, scales, *_ = self.leaves
        return project_oriented(
            means, quats, scales, self.camera, backend=self.projector, threads=self.threads
        )

    def draw(self, mark: Marks) -> None:
        means2d, conics, depths = self.ellipses()
        *_, opacities, features = self.leaves
        image, alpha = rasterize(
            means2d,
            conics,
            opacities,
            features,
            depths.detach(),
            width=self.camera.width,
            height=self.camera.height,
            backend=self.backend,
            threads=self.threads,
        )
        mark()
        torch.autograd.grad([image, alpha], self.leaves, [self.to_image, self.to_image[0]])
        mark()

    def project(self, mark: Marks) -> None:
        means2d, conics, _ = self.ellipses()
        mark()
        torch.autograd.grad([means2d, conics], self.leaves[:3], [self.to_means2d, self.to_conics])
        mark()
