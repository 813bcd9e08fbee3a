"""Random scenes for the kernels, and which of their pixels rounding cannot tip over a cut-off."""

from dataclasses import dataclass, replace

import pytest
import torch

from persona.geometry.cameras import Camera, look_at
from persona.kernels.gsplat_core import why_not_gsplat
from persona.kernels.native_core import ISAS, isas_here
from persona.kernels.rasterize_reference import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP
from persona.kernels.triton_core import why_not_triton


@dataclass(frozen=True)
class Scene:
    means: torch.Tensor
    quats_wxyz: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    features: torch.Tensor
    camera: Camera

    @property
    def leaves(self):
        return (self.means, self.quats_wxyz, self.scales, self.opacities, self.features)

    def double(self):
        return self.with_leaves([leaf.double() for leaf in self.leaves])

    def with_leaves(self, leaves):
        names = ("means", "quats_wxyz", "scales", "opacities", "features")
        return replace(self, **dict(zip(names, leaves, strict=True)))


def scene_of(seed, *, count=150, channels=5, width=53, height=37, size=0.08, spread=0.5):
    """Gaussians of all shapes around the origin, some behind and beside the camera."""
    g = torch.Generator().manual_seed(seed)
    means = spread * torch.randn(count, 3, generator=g)
    means[::17] *= 6  # off the picture, and some behind the camera
    scales = size * torch.rand(count, 3, generator=g) ** 2 + 1e-4
    scales[::5, 2] *= 0.01  # surfels
    scales[::13, 1:] *= 0.02  # needles
    opacities = torch.rand(count, generator=g)
    opacities[::11], opacities[1::11] = 0.0, 1.0
    return Scene(
        means=means,
        quats_wxyz=torch.randn(count, 4, generator=g),
        scales=scales,
        opacities=opacities,
        features=torch.randn(count, channels, generator=g),
        camera=Camera(
            width=width,
            height=height,
            focal_px=1.3 * height,
            center_px=(0.47 * width, 0.55 * height),
            T_camera_world=look_at(torch.tensor([0.3, 0.2, 2.0]), torch.zeros(3)),
        ),
    )


KINDS = (
    *("nobody", "one", "behind", "points", "needles", "extremes", "crowd", "ordinary"),
    *("faint", "close"),
)
"""Kinds of scenes: the corners, and what lies between them."""


def corner_scene(seed):
    """A small scene of each kind in turn, in a picture of any size."""
    g = torch.Generator().manual_seed(seed)
    kind = KINDS[seed % len(KINDS)]
    width, height = (int(torch.randint(1, 46, (1,), generator=g)) for _ in range(2))
    count = {"nobody": 0, "one": 1, "crowd": 120}.get(kind, 30)
    scene = scene_of(seed, count=count, channels=4, width=width, height=height, size=0.15)
    means, scales, opacities = (leaf.clone() for leaf in (scene.means, *scene.leaves[2:4]))
    if kind == "behind":
        means += torch.tensor([1.2, 0.8, 8.0])  # the camera looks away from there
    elif kind == "points":
        scales.zero_()
    elif kind == "needles":
        scales[:] = torch.tensor([0.5, 1e-4, 1e-6])
    elif kind == "extremes":
        opacities = (torch.rand(count, generator=g) < 0.5).float()
    elif kind == "faint":
        opacities = 2.0 / 255 * torch.rand(count, generator=g)
    elif kind == "close":
        means = 0.2 * means + torch.tensor([0.27, 0.18, 1.7])
    return scene.with_leaves([means, scene.quats_wxyz, scales, opacities, scene.features])


def decided_pixels(means2d, conics, opacities, depths, window, *, margin=1e-3):
    """Tell the pixels where every cut-off is missed by a relative ``margin`` (float64 inputs)."""
    left, top, width, height = window
    order = torch.argsort(depths, stable=True)
    means2d, conics, opacities = means2d[order], conics[order], opacities[order]
    x = torch.arange(width, dtype=torch.float64) + left + 0.5
    y = torch.arange(height, dtype=torch.float64) + top + 0.5
    dx = x[None, None, :] - means2d[:, 0, None, None]
    dy = y[None, :, None] - means2d[:, 1, None, None]
    a, b, c = conics[:, :, None, None].unbind(1)
    raw = opacities[:, None, None] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
    raw = torch.where((a > 0) & (a * c - b * b > 0), raw, torch.zeros_like(raw))
    alpha = torch.where(raw >= ALPHA_MIN, raw.clamp_max(ALPHA_MAX), torch.zeros_like(raw))
    after = torch.cumprod(1 - alpha, 0)
    near_cut = (raw / ALPHA_MIN - 1).abs() < margin
    near_stop = (after / TRANSMITTANCE_STOP - 1).abs() < margin
    near_clamp = (raw / ALPHA_MAX - 1).abs() < margin
    return ~(near_cut | near_stop | near_clamp).any(0)


@pytest.fixture(scope="session")
def make_scene():
    return scene_of


@pytest.fixture(scope="session")
def decided():
    return decided_pixels


@pytest.fixture(scope="session")
def make_corner():
    return corner_scene


@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    """Each instruction set in turn; those this processor lacks are skipped."""
    if request.param not in isas_here():
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setenv("PERSONA_ISA", request.param)
    return request.param


@pytest.fixture
def gpu():
    """A device with gsplat compiled for it, and Triton."""
    reason = why_not_gsplat() or why_not_triton()
    if reason is not None:
        pytest.skip(reason)
    return torch.device("cuda", 0)
