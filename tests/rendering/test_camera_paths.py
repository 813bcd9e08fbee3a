"""Cameras that see a whole person: everything in the picture, as large as it may be."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import InputError
from persona.rendering.camera_paths import MARGIN, YAWS, fit_camera, turntable


def figure(seed=0, count=60):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=g) * torch.tensor([0.4, 0.9, 0.2]) + torch.tensor(
        [1.0, 0.8, -3.0]
    )


@given(
    seed=st.integers(0, 1000),
    yaw=st.floats(-7, 7),
    pitch=st.floats(-1.2, 1.2),
    width=st.integers(16, 800),
    height=st.integers(16, 800),
)
@settings(max_examples=40, deadline=None)
def test_every_point_is_in_the_picture_and_one_touches_its_margin(seed, yaw, pitch, width, height):
    points = figure(seed)
    camera = fit_camera(points, width=width, height=height, yaw=yaw, pitch=pitch)
    pixels, depth = camera.project(points)
    assert (depth > 0).all()
    share = pixels / torch.tensor([width, height])
    assert float(share.min()) >= MARGIN - 1e-3
    assert float(share.max()) <= 1 - MARGIN + 1e-3
    reached = torch.maximum(MARGIN - share, share - (1 - MARGIN)).max()
    assert float(reached) > -1e-3


def test_named_views_stand_where_their_names_say():
    points = figure()
    middle = 0.5 * (points.amin(0) + points.amax(0))
    towards = {}
    for name, yaw in YAWS.items():
        camera = fit_camera(points, width=300, height=500, yaw=yaw)
        towards[name] = torch.nn.functional.normalize(camera.position - middle, dim=0)
    torch.testing.assert_close(towards["front"], torch.tensor([0.0, 0.0, 1.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(towards["side"], torch.tensor([1.0, 0.0, 0.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(towards["back"], torch.tensor([0.0, 0.0, -1.0]), atol=1e-5, rtol=0)


def test_a_turntable_goes_round_at_one_distance_with_up_upwards():
    points = figure()
    middle = 0.5 * (points.amin(0) + points.amax(0))
    cameras = turntable(points, 12, width=300, height=500, pitch=0.2)
    distances = torch.stack([(camera.position - middle).norm() for camera in cameras])
    torch.testing.assert_close(distances, distances[:1].expand(12))
    for camera in cameras:
        pixels, _ = camera.project(torch.cat([points, middle[None], middle[None] + 0.1]))
        assert (pixels[:-2] > 0).all()
        assert (pixels[:-2] < torch.tensor([300.0, 500.0])).all()
        torch.testing.assert_close(pixels[-2], torch.tensor([150.0, 250.0]), atol=1e-2, rtol=0)
        assert pixels[-1, 1] < 250


def test_what_cannot_be_seen_is_refused():
    with pytest.raises(InputError, match="at least one point"):
        fit_camera(torch.zeros(0, 3), width=10, height=10)
    with pytest.raises(InputError, match="points holds 1 entries"):
        fit_camera(torch.tensor([[0.0, math.nan, 0.0]]), width=10, height=10)
    with pytest.raises(InputError, match=r"pitch is 1\.6"):
        fit_camera(figure(), width=10, height=10, pitch=1.6)
    with pytest.raises(InputError, match="turntable of 0"):
        turntable(figure(), 0, width=10, height=10)
