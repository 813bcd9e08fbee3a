"""Projection: known answers, laws, gradients, and agreement of the backends."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import BackendError, InputError
from persona.geometry.cameras import Camera
from persona.geometry.rotations import quaternion_to_matrix
from persona.kernels import Backend, project_gaussians, project_oriented
from persona.kernels.projection import EPS2D

ON_CPU = (Backend.REFERENCE, Backend.NATIVE)
TRIANGLE = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)


def covariances_of(scene):
    axes = quaternion_to_matrix(scene.quats_wxyz) * scene.scales[:, None]
    full = axes @ axes.mT
    return full[:, TRIANGLE[0], TRIANGLE[1]]


def straight_camera(width=64, height=48):
    return Camera(
        width=width,
        height=height,
        focal_px=50.0,
        center_px=(30.0, 20.0),
        T_camera_world=torch.eye(4),
    )


@pytest.mark.parametrize("backend", ON_CPU)
def test_a_ball_on_the_axis_becomes_a_disc_of_the_known_size(backend):
    means = torch.tensor([[0.0, 0.0, 4.0]])
    covariances = torch.tensor([[0.04, 0.0, 0.0, 0.04, 0.0, 0.04]])
    means2d, conics, depths = project_gaussians(
        means, covariances, straight_camera(), backend=backend
    )
    variance = (50 * 0.2 / 4) ** 2 + EPS2D
    torch.testing.assert_close(means2d, torch.tensor([[30.0, 20.0]]))
    torch.testing.assert_close(conics, torch.tensor([[1 / variance, 0.0, 1 / variance]]))
    assert depths.tolist() == [4.0]


@pytest.mark.parametrize("backend", ON_CPU)
@pytest.mark.parametrize("z", [-1.0, 0.0, 0.005])
def test_behind_the_camera_nothing_is_drawn_and_nothing_moves(backend, z):
    means = torch.tensor([[0.1, 0.0, z], [0.1, 0.0, 1.0]], requires_grad=True)
    covariances = torch.tensor([[0.04, 0.0, 0.0, 0.04, 0.0, 0.04]] * 2, requires_grad=True)
    means2d, conics, depths = project_gaussians(
        means, covariances, straight_camera(), backend=backend
    )
    assert conics[0].tolist() == [0, 0, 0]
    assert means2d[0].tolist() == [0, 0]
    (means2d.sum() + conics.sum()).backward()
    assert means.grad[0].tolist() == [0, 0, 0]
    assert covariances.grad[0].abs().sum() == 0
    assert torch.isfinite(means.grad).all()
    assert means.grad[1].abs().sum() > 0
    assert depths[0].item() == pytest.approx(z)


def gradients(scene, backend, upstream, entry):
    leaves = [leaf.detach().clone().requires_grad_() for leaf in scene.leaves[:3]]
    if entry == "oriented":
        outputs = project_oriented(*leaves, scene.camera, backend=backend)
    else:
        # Rounded to float32 for both, so that both see the same numbers.
        covariances = covariances_of(scene.double()).float().to(scene.means).requires_grad_()
        leaves = [leaves[0], covariances]
        outputs = project_gaussians(*leaves, scene.camera, backend=backend)
    loss = sum((o * u.to(o)).sum() for o, u in zip(outputs, upstream, strict=True))
    return [o.detach() for o in outputs], torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("entry", ["oriented", "covariances"])
@pytest.mark.parametrize("seed", range(4))
def test_native_agrees_with_the_reference_in_value_and_gradient(isa, entry, seed, make_scene):
    scene = make_scene(seed, count=1500)
    g = torch.Generator().manual_seed(seed)
    upstream = [torch.randn(1500, k, generator=g).squeeze(1) for k in (2, 3, 1)]
    got, got_gradients = gradients(scene, Backend.NATIVE, upstream, entry)
    expected, expected_gradients = gradients(scene.double(), Backend.REFERENCE, upstream, entry)
    for value, wanted in zip(got, expected, strict=True):
        torch.testing.assert_close(value.double(), wanted, rtol=1e-5, atol=1e-6)
    for value, wanted in zip(got_gradients, expected_gradients, strict=True):
        # Relative to each row: Gaussians close to the camera have a million times the gradient.
        error = (value.double() - wanted).norm(dim=1) / (wanted.norm(dim=1) + 1e-3)
        assert float(error.max()) < 1e-4


def test_the_reference_passes_gradcheck(make_scene):
    scene = make_scene(3, count=12).double()
    leaves = [leaf.requires_grad_() for leaf in scene.leaves[:3]]

    def call(means, quats, scales):
        return project_oriented(means, quats, scales, scene.camera, backend=Backend.REFERENCE)

    torch.autograd.gradcheck(call, leaves)
    covariances = covariances_of(scene).detach().requires_grad_()
    torch.autograd.gradcheck(
        lambda m, c: project_gaussians(m, c, scene.camera, backend=Backend.REFERENCE),
        (leaves[0], covariances),
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_quaternion_its_negative_and_its_double_are_one_rotation(seed, make_scene):
    scene = make_scene(seed, count=40)
    results = [
        project_oriented(scene.means, factor * scene.quats_wxyz, scene.scales, scene.camera)
        for factor in (1.0, -1.0, 2.0)
    ]
    for other in results[1:]:
        for value, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_moving_scene_and_camera_together_changes_nothing(seed, make_scene):
    scene = make_scene(seed, count=40).double()
    g = torch.Generator().manual_seed(seed)
    R = quaternion_to_matrix(torch.randn(4, generator=g, dtype=torch.float64))
    shift = torch.randn(3, generator=g, dtype=torch.float64)
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3], T[:3, 3] = R, shift
    moved = replace(
        scene.camera, T_camera_world=scene.camera.T_camera_world.double() @ torch.linalg.inv(T)
    )
    axes = quaternion_to_matrix(scene.quats_wxyz) * scene.scales[:, None]
    turned = R @ axes
    before = project_gaussians(scene.means, (axes @ axes.mT)[:, *TRIANGLE], scene.camera)
    after = project_gaussians(scene.means @ R.T + shift, (turned @ turned.mT)[:, *TRIANGLE], moved)
    for value, expected in zip(after, before, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)


def test_a_cropped_camera_only_shifts_what_is_in_the_picture(make_scene):
    scene = make_scene(1)
    crop = scene.camera.cropped(10, 5, 30, 25)
    whole = project_oriented(*scene.leaves[:3], scene.camera)
    part = project_oriented(*scene.leaves[:3], crop)
    inside = ((part[0] > 0) & (part[0] < torch.tensor([30.0, 25.0]))).all(1) & (part[2] > 0.01)
    assert inside.any()
    shifted = part[0][inside] + torch.tensor([10.0, 5.0])
    torch.testing.assert_close(shifted, whole[0][inside], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(part[1][inside], whole[1][inside])


@pytest.mark.parametrize("backend", ON_CPU)
def test_far_off_axis_the_affine_map_is_held_at_the_edge(backend):
    camera = straight_camera()
    ball = torch.tensor([[0.04, 0.0, 0.0, 0.04, 0.0, 0.04]])
    variances = []
    for tangent in (0.7, 0.88, 5.0, 50.0):
        means = torch.tensor([[4.0 * tangent, 0.0, 4.0]])
        _, conics, _ = project_gaussians(means, ball, camera, backend=backend)
        variances.append(1 / conics[0, 0].item())
    # The limit is (64 - 30 + 0.15 * 64) / 50 = 0.872.
    limit = (50 * 0.2 / 4) ** 2 * (1 + 0.872**2) + EPS2D
    assert variances[0] < limit - 0.1
    assert variances[1:] == pytest.approx([limit] * 3, rel=1e-4)


def test_any_thread_count_gives_the_same_bits(make_scene):
    scene = make_scene(0, count=5000)
    upstream = [torch.ones(5000, 2), torch.ones(5000, 3), torch.ones(5000)]
    results = []
    for threads in (1, 2, 5):
        leaves = [leaf.clone().requires_grad_() for leaf in scene.leaves[:3]]
        outputs = project_oriented(*leaves, scene.camera, threads=threads)
        results.append([*outputs, *torch.autograd.grad(outputs, leaves, upstream)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.parametrize("backend", ON_CPU)
def test_no_gaussians_are_no_trouble(backend):
    means = torch.zeros(0, 3, requires_grad=True)
    outputs = project_gaussians(means, torch.zeros(0, 6), straight_camera(), backend=backend)
    assert [tuple(o.shape) for o in outputs] == [(0, 2), (0, 3), (0,)]
    sum(o.sum() for o in outputs).backward()
    assert means.grad.shape == (0, 3)


def test_scattered_memory_is_read_right(make_scene):
    scene = make_scene(2)
    strided = [torch.stack([leaf, leaf], -1)[..., 0] for leaf in scene.leaves[:3]]
    assert not strided[0].is_contiguous()
    for got, expected in zip(
        project_oriented(*strided, scene.camera),
        project_oriented(*scene.leaves[:3], scene.camera),
        strict=True,
    ):
        assert torch.equal(got, expected)


def test_what_does_not_fit_is_refused_before_native_code(make_scene):
    scene = make_scene(0, count=8)
    means, camera = scene.means, scene.camera
    covariances = covariances_of(scene)
    with pytest.raises(InputError, match=r"covariances is torch\.float64"):
        project_gaussians(means, covariances.double(), camera)
    with pytest.raises(InputError, match=r"covariances is .* on meta"):
        project_gaussians(means, covariances.to("meta"), camera)
    bad = means.clone()
    bad[3, 1] = math.nan
    with pytest.raises(InputError, match="means holds 1 entries that are not finite"):
        project_gaussians(bad, covariances, camera)
    with pytest.raises(InputError, match="eps2d is -1"):
        project_gaussians(means, covariances, camera, eps2d=-1.0)
    with pytest.raises(InputError, match="0 threads"):
        project_gaussians(means, covariances, camera, threads=0)


def test_the_camera_is_differentiated_by_the_reference_and_refused_by_the_core(make_scene):
    scene = make_scene(0, count=8)
    T = scene.camera.T_camera_world.clone().requires_grad_()
    camera = replace(scene.camera, T_camera_world=T)
    outputs = project_oriented(*scene.leaves[:3], camera, backend=Backend.REFERENCE)
    outputs[0].sum().backward()
    assert T.grad.abs().sum() > 0
    with pytest.raises(BackendError, match="gradient with respect to the camera"):
        project_oriented(*scene.leaves[:3], camera, backend=Backend.NATIVE)
