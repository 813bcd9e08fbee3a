"""Time a moving avatar, from SMPL-X parameters to pixels: posing, projection and drawing."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial

import torch
from torch import Tensor

from persona.animation.player import draw
from persona.avatar import Avatar
from persona.avatar.rates import RateTracker
from persona.bench.cases import BenchConfig
from persona.bench.clock import Marks, instruction_set, lap_times
from persona.bench.contestants import Contestant
from persona.bench.dressed import with_cloth
from persona.bench.rows import Row, one_way
from persona.bench.scenes import SWING_FRAMES, body_avatar, swinging_params
from persona.core.moving import moved
from persona.geometry.cameras import Camera
from persona.kernels import Backend, pose_gaussians, project_gaussians, rasterize
from persona.records.body_params import BodyParams
from persona.records.motion import Motion
from persona.rendering.camera_paths import fit_camera

YAW = 0.4
"""Where the camera stands, a little to the left of front [rad]."""
FPS = 30.0
"""Frames a second of the film."""
COLORS = 3
"""Channels of a frame."""
PARTS = ("pose", "project", "draw")
"""Parts of a frame."""
WHOLE = (
    ("animate", "whole"),
    ("animate.player", "player"),
    ("animate.learned", "learned"),
    ("animate.baked", "baked"),
)
"""Rows of whole frames, and what is called for them."""


def time_animation(config: BenchConfig) -> Iterator[Row]:
    """Yield a row ``animate`` for each case and contestant, and one for each of its parts.

    Frames of a film come over a colour and with the person's shadow (``animate.player``). Clothes
    follow the skin, but for ``animate.learned``, where their network moves them, and
    ``animate.baked``, where the shapes distilled from it do. The plain-torch twin poses and
    projects; drawing would take minutes.
    """
    for case in config.cases:
        avatar = Avatar.load(config.avatar) if config.avatar else None
        dressed = with_cloth(avatar or body_avatar(case.gaussians, sigma=case.sigma))
        avatar = replace(dressed, cloth=None)
        camera = fit_camera(
            avatar.pose(swinging_params(0)).means,
            width=3 * case.size // 4,
            height=case.size,
            yaw=YAW,
        )
        calls = {}
        for contestant in config.contestants:
            film = _Film(avatar, dressed, camera, contestant, config.threads)
            calls[f"parts {contestant.label}"] = partial(_timed, film.frame, contestant)
            if contestant.backend is not Backend.REFERENCE:
                calls[f"whole {contestant.label}"] = partial(_timed, film.whole, contestant)
                calls[f"player {contestant.label}"] = partial(_timed, film.play, contestant)
                calls[f"learned {contestant.label}"] = partial(_timed, film.learned, contestant)
                calls[f"baked {contestant.label}"] = partial(_timed, film.baked, contestant)
        with torch.no_grad():
            laps = lap_times(calls, rounds=config.rounds)
        row = partial(
            Row,
            gaussians=avatar.count,
            size=case.size,
            channels=COLORS,
            sigma=0.0 if config.avatar else case.sigma,
            threads=config.threads,
        )
        for contestant in config.contestants:
            who = {"backend": contestant.backend.value, "isa": contestant.isa}
            found = {
                f"animate.{part}": [[t] for t in lap]
                for part, lap in _by_part(laps[f"parts {contestant.label}"])
            }
            for name, call in WHOLE:
                if f"{call} {contestant.label}" in laps:
                    found[name] = laps[f"{call} {contestant.label}"]
            for name in sorted(found):
                yield row(name=name, times=one_way(found[name]), **who)


def _by_part(laps: list[list[float]]) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield each part that was timed with its times; the twin has one less."""
    yield from zip(PARTS, zip(*laps, strict=True), strict=False)


def _timed(work: Callable[[Marks], None], contestant: Contestant, mark: Marks) -> None:
    with instruction_set(contestant.isa):
        work(mark)


class _Film:
    """An avatar on its device, and the frames it goes through."""

    def __init__(
        self,
        avatar: Avatar,
        dressed: Avatar,
        camera: Camera,
        contestant: Contestant,
        threads: int,
    ) -> None:
        device = contestant.device
        self.avatar = avatar if device.type == "cpu" else avatar.to(device)
        self.dressed = dressed if device.type == "cpu" else dressed.to(device)
        self.camera, self.backend, self.threads = camera, contestant.backend, threads
        self.poser = contestant.beside_drawing
        frames = (swinging_params(index) for index in range(SWING_FRAMES))
        betas = avatar.identity.betas
        self.frames: list[BodyParams] = [
            moved(replace(params, betas=betas), device) for params in frames
        ]
        self.next = 0
        tracker = RateTracker()
        self.rates = [tracker.step(params, 1 / FPS) for params in self.frames]

    def frame(self, mark: Marks) -> None:
        """Draw one frame in its parts; the plain twin stops before drawing."""
        avatar = self.avatar
        means, covariances = self._posed(self._following())
        mark()
        means2d, conics, depths = project_gaussians(
            means, covariances, self.camera, backend=self.poser, threads=self.threads
        )
        mark()
        if self.backend is Backend.REFERENCE:
            return
        rasterize(
            means2d,
            conics,
            avatar.canonical.opacities,
            avatar.canonical.colors,
            depths,
            width=self.camera.width,
            height=self.camera.height,
            backend=self.backend,
            threads=self.threads,
        )
        mark()

    def _posed(self, params: BodyParams) -> tuple[Tensor, Tensor]:
        """Give means and covariances; on the CPU each backend's own, on CUDA the fastest."""
        avatar = self.avatar
        if self.poser is None:
            cloud = avatar.pose(params)
            return cloud.means, cloud.covariances
        bent = avatar.body.articulate(params, joint_offsets=avatar.identity.joint_offsets)
        means, covariances, _ = pose_gaussians(
            avatar.rig, bent.flesh, bent.T_posed_rest, backend=self.poser, threads=self.threads
        )
        return means, covariances

    def whole(self, mark: Marks) -> None:
        """Draw one frame at once: natively in one call, on a GPU without waiting in between."""
        self.avatar.draw(self._following(), self.camera, threads=self.threads)
        mark()

    def learned(self, mark: Marks) -> None:
        """The same with clothes that a network moves."""
        params = self._following()
        rates = self.rates[self.next]
        self.dressed.draw(params, self.camera, rates=rates, threads=self.threads)
        mark()

    def baked(self, mark: Marks) -> None:
        """The same with clothes that shapes move, distilled from the network."""
        params = self._following()
        assert self.dressed.cloth is not None
        moved_to = self.dressed.cloth.offsets(params, self.rates[self.next], baked=True)
        self.dressed.draw(params, self.camera, gaussian_offsets=moved_to, threads=self.threads)
        mark()

    def play(self, mark: Marks) -> None:
        """Draw one frame of a film."""
        params = self._following()
        still = {f.name: getattr(params, f.name)[None] for f in fields(params)}
        motion = Motion(params=BodyParams(**still), fps=FPS)
        next(draw(self.avatar, motion, [self.camera], background=torch.ones(3)))
        mark()

    def _following(self) -> BodyParams:
        self.next = (self.next + 1) % SWING_FRAMES
        return self.frames[self.next]
