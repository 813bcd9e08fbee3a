"""Triton's kernels: reasons anywhere; on a GPU agreement with the reference."""

from dataclasses import replace

import pytest
import torch

from persona.bench.scenes import body_avatar, swinging_params
from persona.core.errors import BackendError
from persona.core.moving import moved
from persona.geometry.rotations import quaternion_to_matrix
from persona.kernels import (
    Backend,
    bend_puppet,
    draw_posed,
    pose_gaussians,
    project_gaussians,
    project_oriented,
    tile_boxes_reference,
    triton_core,
)
from persona.kernels.dispatch import CANDIDATES, implementation
from tests.kernels.test_posed_drawing import CAMERA, exact, puppet_and_pose
from tests.kernels.test_posing import changed, rig_and_pose
from tests.kernels.test_posing import moved as rows_moved

CUDA, COUNT = torch.device("cuda"), 1500


@pytest.fixture
def pretend(monkeypatch):
    """A machine with a CUDA device, with Triton or without."""

    def machine(*, device=True, version="3.6.0"):
        monkeypatch.setattr(triton_core, "_usable", set())
        monkeypatch.setattr(torch.cuda, "is_available", lambda: device)
        monkeypatch.setattr(triton_core, "is_available", lambda _: version is not None)
        monkeypatch.setattr(triton_core, "triton_version", lambda: version)

    return machine


def test_every_no_has_its_reason(pretend):
    pretend(device=False)
    assert "needs a CUDA device" in triton_core.why_not_triton()
    pretend(version=None)
    assert "the package triton is not installed; it comes with" in triton_core.why_not_triton()
    pretend(version="3.2.0")
    assert "triton 3.2.0 is older than 3.3" in triton_core.why_not_triton()
    for version in ("3.3.0", "3.6.0+git1", "4.0"):
        pretend(version=version)
        assert triton_core.why_not_triton() is None


def test_posing_on_cuda_without_triton_is_refused_rather_than_slow(pretend):
    pretend(version=None)
    with pytest.raises(BackendError, match="no backend for pose_gaussians on cuda") as caught:
        implementation("pose_gaussians", CUDA)
    assert "the package triton is not installed" in caught.value.why
    # The reference is there for who asks for it, and for what Triton does not compute in.
    asked = implementation("pose_gaussians", CUDA, backend=Backend.REFERENCE)
    assert asked is implementation("pose_gaussians", CUDA, torch.float64)


def test_triton_is_refused_on_the_cpu_and_in_double():
    entries = [c for ops in CANDIDATES.values() for c in ops if c.backend is Backend.TRITON]
    assert len(entries) == 5
    for entry in entries:
        assert entry.why_not(torch.device("cpu"), torch.float32) == "triton does not run on cpu"
        assert "float64" in entry.why_not(CUDA, torch.float64)


def test_the_environment_binds_only_what_triton_implements(monkeypatch, pretend):
    monkeypatch.setenv("PERSONA_BACKEND", "triton")
    assert "native" in implementation("rasterize", torch.device("cpu")).__module__
    with pytest.raises(BackendError, match="asked for triton"):
        implementation("project_gaussians", torch.device("cpu"))


# --- on a GPU ---------------------------------------------------------------------------------


def assert_same_direction(value, expected):
    assert value.shape == expected.shape
    assert torch.isfinite(value).all()
    cosine = torch.nn.functional.cosine_similarity(value.flatten(), expected.flatten(), dim=0)
    assert float(cosine) >= 0.9999
    assert float(value.norm() / expected.norm()) == pytest.approx(1, abs=1e-2)


def projection_call(scene, entry, device, dtype):
    """Give the leaves of a projection, rounded to float32 for both backends, and the call."""
    leaves = [leaf.to(device, dtype) for leaf in scene.leaves[:3]]
    call = project_oriented
    if entry == "covariances":
        axes = quaternion_to_matrix(scene.quats_wxyz.double()) * scene.scales.double()[:, None]
        full = (axes @ axes.mT).float().to(device, dtype)
        leaves = [leaves[0], full[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]].contiguous()]
        call = project_gaussians
    return [leaf.requires_grad_() for leaf in leaves], call


@pytest.mark.gpu
class TestProjection:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("entry", ["oriented", "covariances"])
    @pytest.mark.parametrize("wanted", [(0, 1, 2), (0, 1), (2,)], ids=str)
    def test_values_and_gradients(self, gpu, seed, entry, wanted, make_scene):
        scene = make_scene(seed, count=COUNT)
        g = torch.Generator().manual_seed(seed)
        upstream = [torch.randn(COUNT, k, generator=g).squeeze(1) for k in (2, 3, 1)]
        results = []
        for dtype, device, backend in (
            (torch.float32, gpu, Backend.TRITON),
            (torch.float64, torch.device("cpu"), Backend.REFERENCE),
        ):
            leaves, call = projection_call(scene, entry, device, dtype)
            outputs = call(*leaves, scene.camera, backend=backend)
            loss = sum((outputs[k] * upstream[k].to(outputs[k])).sum() for k in wanted)
            gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
            results.append([v.detach().double().cpu() for v in (*outputs, *gradients)])
        for value, expected in zip(*[result[:3] for result in results], strict=True):
            torch.testing.assert_close(value, expected, rtol=3e-5, atol=1e-5)
        for value, expected in zip(*[result[3:] for result in results], strict=True):
            if wanted == (2,) and not expected.any():
                assert not value.any()
                continue
            # Row by row: Gaussians close to the camera have a million times the gradient.
            error = (value - expected).norm(dim=1) / (expected.norm(dim=1) + 1e-2)
            assert float(error.quantile(0.999)) < 1e-3
            assert_same_direction(value, expected)

    @pytest.mark.parametrize("count", [0, 1, 127, 129])
    def test_any_count_and_scattered_memory(self, gpu, count, make_scene):
        scene = make_scene(0, count=count)
        leaves = [leaf.to(gpu) for leaf in scene.leaves[:3]]
        scattered = [torch.stack([leaf, leaf], -1)[..., 0] for leaf in leaves]
        got = project_oriented(*scattered, scene.camera)
        wanted = project_oriented(*scene.double().leaves[:3], scene.camera)
        for value, expected in zip(got, wanted, strict=True):
            torch.testing.assert_close(value.cpu().double(), expected, rtol=3e-5, atol=1e-5)

    def test_cameras_on_the_gpu(self, gpu, make_scene):
        scene = make_scene(1)
        leaves = [leaf.to(gpu) for leaf in scene.leaves[:3]]
        there = replace(scene.camera, T_camera_world=scene.camera.T_camera_world.to(gpu))
        for a, b in zip(
            project_oriented(*leaves, there), project_oriented(*leaves, scene.camera), strict=True
        ):
            assert torch.equal(a, b)


@pytest.mark.gpu
@pytest.mark.parametrize("seed", range(4))
def test_tile_boxes(gpu, seed, make_scene):
    from persona.kernels.tile_boxes_triton import tile_boxes

    scene = make_scene(seed, count=COUNT)
    if seed == 3:
        scene = replace(scene, scales=torch.tensor([0.5, 1e-4, 1e-6]).expand(COUNT, 3))
    means2d, conics, depths = project_oriented(*scene.leaves[:3], scene.camera)
    conics[:4] = torch.tensor([[0.0, 0, 0], [1, 2, 1], [-1, 0, -1], [1e-30, 0, 1]])
    depths = depths - depths.mean()
    depths[:4] = torch.tensor([-0.0, 0.0, -1e-40, 1e-40])
    inputs = (means2d, conics, scene.opacities, depths)
    wanted = tile_boxes_reference.tile_boxes(*inputs, -20, 11)
    got = [value.cpu() for value in tile_boxes(*(value.to(gpu) for value in inputs), -20, 11)]
    assert torch.equal(got[0], wanted[0])
    # A side that is a whole number may be rounded up to the next.
    assert int((got[1] - wanted[1]).abs().max()) <= 1
    assert float((got[1] != wanted[1]).float().mean()) < 1e-3
    assert torch.equal(got[2].view(torch.int32), wanted[2].view(torch.int32))


@pytest.mark.gpu
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [0, 1, 128, 1000])
def test_posing(gpu, seed, count):
    rig, flesh, bones = rig_and_pose(seed, count=count)
    exactly = [value.double() for value in (flesh, bones)]
    wanted = pose_gaussians(changed(rig, torch.Tensor.double), *exactly)
    got = pose_gaussians(moved(rig, gpu), flesh.to(gpu), bones.to(gpu), backend=Backend.TRITON)
    for value, expected, bound in zip(got, wanted, (1e-5, 1e-7, 1e-5), strict=True):
        assert value.shape == expected.shape
        torch.testing.assert_close(value.cpu().double(), expected, rtol=1e-5, atol=bound)


@pytest.mark.gpu
@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("count", [1, 1025])
def test_the_way_back_of_posing_is_the_reference_s(gpu, count, given):
    rig, flesh, bones = rig_and_pose(count, count=count)
    towards = [torch.randn(count, width) for width in (3, 6, 3)]

    def gradients(rig, flesh, bones, backend):
        rows = [
            value.to(flesh).requires_grad_() if wanted else None
            for value, wanted in zip(rows_moved(count), given, strict=True)
        ]
        got = pose_gaussians(
            rig, flesh, bones, offsets=rows[0], scales=rows[1], max_stretch=1.5, backend=backend
        )
        sum((v * t.to(v)).sum() for v, t in zip(got, towards, strict=True)).backward()
        return [row.grad.cpu().double() for row in rows if row is not None]

    exactly = changed(rig, torch.Tensor.double), flesh.double(), bones.double()
    wanted = gradients(*exactly, Backend.REFERENCE)
    got = gradients(moved(rig, gpu), flesh.to(gpu), bones.to(gpu), Backend.TRITON)
    for gradient, slope in zip(got, wanted, strict=True):
        # A surface folded edge on has a normal that turns at a touch.
        apart = (gradient - slope).norm(dim=1) / (slope.norm(dim=1) + 1e-3)
        assert apart.quantile(0.98) < 1e-3


@pytest.mark.gpu
def test_wanting_a_gradient_of_posing_chooses_the_reference(gpu):
    rig, flesh, bones = (moved(value, gpu) for value in rig_and_pose(0))
    assert pose_gaussians(rig, flesh, bones.clone().requires_grad_())[0].requires_grad
    with pytest.raises(BackendError, match="gradient of triton posing"):
        pose_gaussians(rig, flesh, bones.requires_grad_(), backend=Backend.TRITON)


@pytest.mark.gpu
@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("seed", range(4))
class TestPuppets:
    def test_bending(self, gpu, seed, offsets):
        puppet, pose = puppet_and_pose(seed, offsets=offsets)
        got = bend_puppet(moved(puppet, gpu), moved(pose, gpu), backend=Backend.TRITON)
        wanted = bend_puppet(*exact(puppet, pose), backend=Backend.REFERENCE)
        for value, expected in zip(got, wanted, strict=True):
            torch.testing.assert_close(value.cpu().double(), expected, rtol=1e-5, atol=1e-6)

    def test_drawing(self, gpu, seed, offsets):
        puppet, pose = puppet_and_pose(seed, count=400, offsets=offsets)
        got = draw_posed(moved(puppet, gpu), moved(pose, gpu), CAMERA)
        wanted = draw_posed(*exact(puppet, pose), CAMERA)
        torch.testing.assert_close(got.means.cpu().double(), wanted.means, rtol=0, atol=1e-5)
        # Rounding swaps neighbours in depth and tips single pixels over a cut-off.
        assert float(((got.image.cpu() - wanted.image).abs() > 1e-4).float().mean()) < 0.01
        assert float(((got.alpha.cpu() - wanted.alpha).abs() > 1e-4).float().mean()) < 0.01


@pytest.fixture(scope="module")
def avatar():
    return body_avatar(4000)


@pytest.fixture(scope="module")
def params():
    """A pose in which every joint turns, with an expression."""
    params, g = swinging_params(3), torch.Generator().manual_seed(0)
    turned = params.full_pose + 0.2 * torch.randn(55, 3, generator=g)
    return replace(params.with_full_pose(turned), expression=torch.randn(10, generator=g))


@pytest.mark.gpu
class TestAvatars:
    def test_posing_is_the_same_as_on_the_cpu(self, gpu, avatar, params):
        expected, got = avatar.pose(params), avatar.to(gpu).pose(moved(params, gpu))
        torch.testing.assert_close(got.means.cpu(), expected.means, rtol=0, atol=1e-5)
        size = expected.covariances.abs().amax(1, keepdim=True)
        assert float(((got.covariances.cpu() - expected.covariances) / size).abs().max()) < 1e-3
        torch.testing.assert_close(got.normals.cpu(), expected.normals, rtol=0, atol=1e-4)

    def test_drawing_is_the_same_as_on_the_cpu(self, gpu, avatar, params):
        camera = avatar.photo_camera
        params = replace(params, transl=torch.tensor([0.0, 0.0, -4.0]))
        expected = avatar.draw(params, camera)
        got = avatar.to(gpu).draw(moved(params, gpu), camera)
        assert expected.alpha.max() > 0.9
        assert float(((got.image.cpu() - expected.image).abs() > 1e-3).float().mean()) < 0.01
        assert float(((got.alpha.cpu() - expected.alpha).abs() > 1e-3).float().mean()) < 0.01

    def test_films_can_be_drawn(self, gpu, avatar, params):
        from persona.animation.player import draw
        from persona.records.body_params import BodyParams
        from persona.records.motion import Motion

        still = BodyParams(**{name: value[None] for name, value in vars(params).items()})
        motion = Motion(params=moved(still, gpu), fps=30.0)
        cameras = [avatar.photo_camera]
        (frame,) = draw(avatar.to(gpu), motion, cameras, background=torch.ones(3))
        assert frame.device.type == "cuda"

    def test_a_gradient_goes_through_the_pose(self, gpu, avatar, params):
        there = moved(params, gpu)
        leaf = there.body_pose.clone().requires_grad_()
        cloud = avatar.to(gpu).pose(replace(there, body_pose=leaf))
        (gradient,) = torch.autograd.grad(cloud.means.square().sum(), leaf)
        assert float(gradient.norm()) > 0

    def test_frames_wait_for_nothing_before_drawing(self, gpu, avatar, params):
        avatar, params, camera = avatar.to(gpu), moved(params, gpu), avatar.photo_camera
        # The first frame makes what is kept.
        cloud = avatar.pose(params)
        project_gaussians(cloud.means, cloud.covariances, camera)
        torch.cuda.set_sync_debug_mode("error")
        try:
            cloud = avatar.pose(params)
            project_gaussians(cloud.means, cloud.covariances, camera)
        finally:
            torch.cuda.set_sync_debug_mode("default")
