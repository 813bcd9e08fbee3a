"""Time one iteration of training: project, draw, compare with L1 and SSIM, go back, take a step."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from persona.avatar import Avatar
from persona.bench.cases import BenchConfig, Case
from persona.bench.clock import Marks, instruction_set, lap_times
from persona.bench.contestants import Contestant
from persona.bench.rows import Row, there_and_back
from persona.bench.scenes import body_avatar, quats_from_normals, swinging_params
from persona.geometry.cameras import Camera
from persona.images.similarity import person_box
from persona.kernels import Backend, project_oriented, rasterize, ssim_planes
from persona.rendering.camera_paths import MARGIN, fit_camera

COLORS = 3
"""The first channels; SSIM looks at these, L1 at all."""
SSIM_SHARE = 0.2
"""Weight of 1 - SSIM against that of L1, as in 3D Gaussian splatting."""
RATES = (1e-5, 1e-4, 1e-3, 1e-3, 1e-3)
"""Steps of means, quaternions, log scales, logits and features: too small to change the picture."""


def time_training(config: BenchConfig) -> Iterator[Row]:
    """Yield a row ``train`` for each case and contestant; its frames a second are iterations.

    Forward is projection and drawing alone, as it is in the row ``raster``.
    """
    for case in config.cases:
        avatar = Avatar.load(config.avatar) if config.avatar else None
        avatar = avatar or body_avatar(case.gaussians, sigma=case.sigma)
        contestants = [
            contestant
            for contestant in config.contestants
            if contestant.backend is not Backend.REFERENCE or case.twin_ends_in_seconds
        ]
        iterations = {c: _Iteration(avatar, case, c, config.threads) for c in contestants}
        laps = lap_times(
            {c.label: partial(_timed, iteration, c) for c, iteration in iterations.items()},
            rounds=config.rounds,
        )
        for contestant in contestants:
            yield Row(
                name="train",
                backend=contestant.backend.value,
                isa=contestant.isa,
                gaussians=avatar.count,
                size=case.size,
                channels=case.channels,
                sigma=0.0 if config.avatar else case.sigma,
                threads=config.threads,
                times=there_and_back(laps[contestant.label]),
            )


def dissimilarity(drawn: Tensor, target: Tensor) -> Tensor:
    """Compare two pictures (c, h, w): L1 of all channels and SSIM of the colours."""
    absolute = (drawn - target).abs().mean()
    alike = structural_similarity(drawn[:COLORS], target[:COLORS])
    return (1 - SSIM_SHARE) * absolute + SSIM_SHARE * (1 - alike)


def structural_similarity(drawn: Tensor, target: Tensor) -> Tensor:
    """Give the SSIM of two pictures (c, h, w)."""
    return ssim_planes(drawn, target)


def _timed(iteration: "_Iteration", contestant: Contestant, mark: Marks) -> None:
    with instruction_set(contestant.isa):
        iteration.run(mark)


class _Iteration:
    """Parameters that start a little off what the target was drawn from, and their optimiser."""

    def __init__(self, avatar: Avatar, case: Case, contestant: Contestant, threads: int) -> None:
        self.backend, self.projector = contestant.backend, contestant.beside_drawing
        self.threads = threads
        device = contestant.device
        cloud = avatar.pose(swinging_params(0))
        generator = torch.Generator().manual_seed(0)
        values = (
            cloud.means,
            quats_from_normals(cloud.normals),
            avatar.canonical.log_scales,
            torch.logit(cloud.opacities, eps=1e-3),
            torch.rand(avatar.count, case.channels, generator=generator),
        )
        self.parameters = [value.to(device, copy=True).requires_grad_() for value in values]
        self.camera = _whole_person(cloud.means, case.size)
        with torch.no_grad():
            image, alpha = self.draw()
            rows, columns = person_box(alpha)
            self.camera = self.camera.cropped(
                columns.start,
                rows.start,
                columns.stop - columns.start,
                rows.stop - rows.start,
            )
            self.target = image[:, rows, columns].clone()
            self.parameters[4].mul_(0.9)
        groups = [{"params": [p], "lr": r} for p, r in zip(self.parameters, RATES, strict=True)]
        self.adam = torch.optim.Adam(groups, eps=1e-15, fused=True)

    def draw(self) -> tuple[Tensor, Tensor]:
        means, quats, log_scales, logits, features = self.parameters
        means2d, conics, depths = project_oriented(
            means,
            quats,
            log_scales.exp(),
            self.camera,
            backend=self.projector,
            threads=self.threads,
        )
        return rasterize(
            means2d,
            conics,
            torch.sigmoid(logits),
            features,
            depths.detach(),
            width=self.camera.width,
            height=self.camera.height,
            backend=self.backend,
            threads=self.threads,
        )

    def run(self, mark: Marks) -> None:
        drawn, _ = self.draw()
        mark()
        self.adam.zero_grad()
        dissimilarity(drawn, self.target).backward()
        self.adam.step()
        mark()


def _whole_person(means: Tensor, size: int) -> Camera:
    """Give a camera in whose picture the person is ``size`` pixels high."""
    height = round(size / (1 - 2 * MARGIN))
    return fit_camera(means, width=height, height=height)
