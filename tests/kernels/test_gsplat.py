"""gsplat: reasons and sources anywhere; on a GPU its drawing agrees with the reference."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from persona.core.errors import BackendError, MissingPartError
from persona.kernels import (
    Backend,
    gsplat_build,
    gsplat_core,
    project_oriented,
    rasterize,
    triton_core,
)
from persona.kernels.dispatch import CANDIDATES, implementation
from persona.kernels.tile_boxes_reference import FAR, order_keys, radii

CUDA = torch.device("cuda")
COLOR_TOLERANCE = 1e-4
COSINE = 0.9999


# --- anywhere ---------------------------------------------------------------------------------


@pytest.fixture
def pretend(monkeypatch, tmp_path):
    """A machine with a CUDA device, with gsplat or without, that has compiled nothing yet."""

    def machine(*, device=True, version="1.5.3"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: device)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
        monkeypatch.setattr(gsplat_core, "gsplat_version", lambda: version)
        monkeypatch.setattr(gsplat_build, "gsplat_version", lambda: version)
        monkeypatch.setattr(gsplat_core, "get_default_build_root", lambda: str(tmp_path))
        monkeypatch.setattr(gsplat_core, "_loaded", {})
        return tmp_path

    return machine


def test_every_no_has_its_reason(pretend):
    pretend(device=False)
    assert "needs a CUDA device" in (gsplat_core.why_not_gsplat() or "")
    pretend(version=None)
    assert "not installed; pip install 'persona-avatar[cuda]'" in gsplat_core.why_not_gsplat()
    pretend()
    assert "not compiled" in gsplat_core.why_not_gsplat()
    assert "persona doctor --build-cuda" in gsplat_core.why_not_gsplat()
    file = gsplat_core.extension_file("1.5.3")
    assert not file.parent.exists(), "asking must not build, nor leave folders"
    file.parent.mkdir(parents=True)
    file.touch()
    assert gsplat_core.why_not_gsplat() is None


def test_gsplat_does_not_draw_where_triton_cannot_sort(pretend, monkeypatch):
    pretend()
    monkeypatch.setattr(gsplat_core, "why_not_gsplat", lambda: None)
    monkeypatch.setattr(triton_core, "_usable", set())
    monkeypatch.setattr(triton_core, "is_available", lambda _: False)
    with pytest.raises(BackendError) as caught:
        implementation("rasterize", CUDA)
    assert "the package triton is not installed" in caught.value.why


def test_an_extension_of_another_torch_or_device_is_not_taken_for_ours(pretend, monkeypatch):
    pretend()
    here = gsplat_core.build_folder("1.5.3")
    assert gsplat_core.build_folder("1.6.0") != here
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    assert gsplat_core.build_folder("1.5.3") != here


def test_a_damaged_extension_is_an_error_that_says_how_to_build_it(pretend):
    pretend()
    file = gsplat_core.extension_file("1.5.3")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no library")
    with pytest.raises(BackendError, match="do not load") as caught:
        gsplat_core.gsplat_library()
    assert "--build-cuda" in caught.value.fix


def test_drawing_on_cuda_without_gsplat_is_refused_rather_than_slow(pretend):
    pretend(version=None)
    with pytest.raises(BackendError, match="no backend for rasterize on cuda") as caught:
        implementation("rasterize", CUDA)
    assert "native does not run on cuda; the package gsplat is not installed" in caught.value.why
    # The reference is there for who asks for it, and for what gsplat does not compute in.
    asked = implementation("rasterize", CUDA, backend=Backend.REFERENCE)
    assert asked is implementation("rasterize", CUDA, torch.float64)


def test_gsplat_is_refused_on_the_cpu_and_in_double(make_scene):
    with pytest.raises(BackendError, match="asked for gsplat") as caught:
        implementation("rasterize", torch.device("cpu"), backend=Backend.GSPLAT)
    assert "gsplat does not run on cpu" in caught.value.why
    with pytest.raises(BackendError) as caught:
        implementation("rasterize", CUDA, torch.float64, backend=Backend.GSPLAT)
    assert "gsplat does not compute in torch.float64" in caught.value.why


def test_the_environment_binds_only_what_the_backend_implements(monkeypatch):
    monkeypatch.setenv("PERSONA_BACKEND", "gsplat")
    assert "native" in implementation("pose_gaussians", torch.device("cpu")).__module__
    with pytest.raises(BackendError, match="asked for gsplat"):
        implementation("rasterize", torch.device("cpu"))
    assert all(c.device_types == ("cuda",) for c in _of_gsplat())


def _of_gsplat():
    return [c for entries in CANDIDATES.values() for c in entries if c.backend is Backend.GSPLAT]


@pytest.mark.parametrize("part", ["gsplat", "a CUDA device", "include/cuda_runtime.h", "ninja"])
def test_building_names_the_part_that_is_missing(part, pretend, monkeypatch, tmp_path):
    pretend(device=part != "a CUDA device", version=None if part == "gsplat" else "1.5.3")
    for file in {"bin/nvcc", "include/cuda_runtime.h"} - {part}:
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    monkeypatch.setattr(gsplat_build.cpp_extension, "CUDA_HOME", str(tmp_path))
    monkeypatch.setattr(gsplat_build.cpp_extension, "is_ninja_available", lambda: part != "ninja")
    with pytest.raises(MissingPartError, match=f"{part} is missing") as caught:
        gsplat_build.build_gsplat()
    assert caught.value.exit_code == 3
    assert caught.value.fix


FORWARD, BACKWARD = "RasterizeToPixels3DGSFwd.cu", "RasterizeToPixels3DGSBwd.cu"


def package(folder: Path, *, without: str = "") -> Path:
    """A package with as much of gsplat's sources as is changed, and lines for channel counts."""
    (folder / "csrc").mkdir(parents=True)
    for name in (FORWARD, BACKWARD):
        texts = [
            text
            for file, text, _, times in gsplat_core.ADAPTATIONS
            for _ in range(times)
            if file == name and text != without
        ]
        counts = "".join(f"\n__INS__({count})" for count in (3, 17, 32, 33))
        (folder / "csrc" / name).write_text("\n".join(texts) + counts + "\n")
    (folder / "csrc" / "Rasterization.cpp").write_text("  __LAUNCH_KERNEL__(513)\n")
    (folder / "_wrapper.py").write_text("")
    return folder


def test_sources_are_copied_with_our_rules_and_few_channels(tmp_path):
    original = package(tmp_path / "package")
    gsplat_build.adapt_sources(original, tmp_path / "ours")
    ours = tmp_path / "ours" / "csrc"
    forward, backward = (ours / FORWARD).read_text(), (ours / BACKWARD).read_text()
    assert "min(0.99f, " in forward
    assert "<= 0.99f" in backward
    assert "0.999f" not in forward + backward
    assert "sigma < 0.f" not in forward + backward
    # Twelve channels in place of seventeen, and none above thirty-two.
    assert forward.endswith("__INS__(3)\n__INS__(12)\n__INS__(32)\n")
    assert (ours / "Rasterization.cpp").read_text() == ""
    # What the changes call is there, and included.
    header = (ours / gsplat_core.HEADER.name).read_text()
    for text in (forward, backward):
        assert f'#include "{gsplat_core.HEADER.name}"' in text
        called = set(re.findall(r"persona::(\w+)", text))
        assert len(called) == 3
        assert all(f" {name}(" in header for name in called)
    assert not list((tmp_path / "ours").glob("*.py"))
    assert "0.999f" in (original / "csrc" / FORWARD).read_text()


def test_sources_that_are_not_those_we_know_are_refused(tmp_path):
    original = package(tmp_path / "package", without="min(0.999f, ")
    with pytest.raises(BackendError, match=r"holds 'min\(0.999f, ' 0 times instead of 1"):
        gsplat_build.adapt_sources(original, tmp_path / "ours")


def test_boxes_hold_every_pixel_that_is_drawn(make_scene):
    scene = make_scene(0, count=400, width=64, height=48)
    means2d, conics, depths = project_oriented(*scene.leaves[:3], scene.camera)
    half = radii(conics, scene.opacities)
    for index in range(0, 400, 7):
        one = [v[index : index + 1] for v in (means2d, conics, scene.opacities)]
        alpha = rasterize(*one, torch.ones(1, 1), depths[:1], width=64, height=48)[1]
        rows, columns = torch.nonzero(alpha, as_tuple=True)
        reach = torch.stack([columns + 0.5, rows + 0.5], 1) - means2d[index]
        assert (reach.abs() <= half[index]).all()


def test_boxes_of_what_cannot_be_drawn_are_empty():
    conics = torch.tensor(
        [[0.0, 0, 0], [1, 2, 1], [-1, 0, -1], [1, 0, 1], [1, 0, 1], [1e-30, 0, 1]]
    )
    opacities = torch.tensor([1.0, 1, 1, 0, 0.0039, 1])
    assert radii(conics, opacities).tolist() == [[0, 0]] * 5 + [[FAR, 4]]
    assert radii(conics[:0], opacities[:0]).shape == (0, 2)


def test_keys_have_the_order_of_depths_in_their_bits():
    depths = torch.tensor([-1e30, -2.0, -1e-40, -0.0, 0.0, 1e-40, 0.5, 2.0, 1e30])
    keys = order_keys(depths).view(torch.int32).long() & 0xFFFFFFFF
    assert keys[3] == keys[4]
    assert (keys.diff()[[0, 1, 2, 4, 5, 6, 7]] > 0).all()


# --- on a GPU ---------------------------------------------------------------------------------


def ellipses(scene, device, dtype=torch.float32):
    """The scene's ellipses, rounded to float32 so that both backends see the same numbers."""
    projected = project_oriented(*scene.double().leaves[:3], scene.camera)
    inputs = (*projected[:2], scene.opacities, scene.features, projected[2])
    return [value.detach().float().to(device, dtype) for value in inputs]


def values_and_gradients(inputs, size, backend, upstream):
    leaves = [value.clone().requires_grad_() for value in inputs[:4]]
    window = dict(zip(("width", "height", "left", "top"), size, strict=True))
    image, alpha = rasterize(*leaves, inputs[4], **window, backend=backend)
    loss = (image * upstream[0].to(image)).sum() + (alpha * upstream[1].to(image)).sum()
    gradients = torch.autograd.grad(loss, leaves)
    return [value.detach().double().cpu() for value in (image, alpha, *gradients)]


def assert_agrees(scene, decided, gpu, *, left=0, top=0):
    """Compare at the pixels that rounding cannot tip over a cut-off."""
    camera = scene.camera
    exact = ellipses(scene, "cpu", torch.float64)
    size = (camera.width, camera.height, left, top)
    sure = decided(exact[0], exact[1], exact[2], exact[4], (left, top, camera.width, camera.height))
    g = torch.Generator().manual_seed(0)
    upstream = torch.randn(scene.features.shape[1], camera.height, camera.width, generator=g)
    weights = (upstream * sure, torch.randn(camera.height, camera.width, generator=g) * sure)
    got = values_and_gradients(ellipses(scene, gpu), size, Backend.GSPLAT, weights)
    wanted = values_and_gradients(exact, size, Backend.REFERENCE, weights)
    for value, expected in zip(got[:2], wanted[:2], strict=True):
        assert float(((value - expected) * sure).abs().max()) <= COLOR_TOLERANCE
    for value, expected in zip(got[2:], wanted[2:], strict=True):
        assert_same_direction(value, expected)
    return sure


def assert_same_direction(value, expected):
    assert value.shape == expected.shape
    assert torch.isfinite(value).all()
    if float(expected.norm()) < 1e-9:
        assert float(value.norm()) < 1e-6
        return
    cosine = torch.nn.functional.cosine_similarity(value.flatten(), expected.flatten(), dim=0)
    assert float(cosine) >= COSINE
    assert float(value.norm() / expected.norm()) == pytest.approx(1, abs=1e-2)


@pytest.mark.gpu
class TestOnGpu:
    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("size", [(53, 37), (64, 48), (1, 1), (17, 130)], ids=str)
    def test_random_scenes(self, gpu, seed, size, make_scene, decided):
        scene = make_scene(seed, count=300, width=size[0], height=size[1])
        assert_agrees(scene, decided, gpu)

    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 20, 32])
    def test_any_channel_count(self, gpu, channels, make_scene, decided):
        assert_agrees(make_scene(3, count=80, channels=channels), decided, gpu)

    def test_features_at_any_address(self, gpu, make_scene):
        scene = make_scene(3, count=80, channels=4)
        inputs = ellipses(scene, gpu)
        shifted = torch.cat([inputs[3].new_zeros(1), inputs[3].flatten()])[1:].view(80, 4)
        assert shifted.data_ptr() % 16
        size = {"width": scene.camera.width, "height": scene.camera.height}
        plain = rasterize(*inputs, **size)[0]
        assert torch.equal(rasterize(*inputs[:3], shifted, inputs[4], **size)[0], plain)

    @pytest.mark.parametrize("seed", range(3))
    def test_needles(self, gpu, seed, make_scene, decided):
        scene = make_scene(seed, count=120)
        scales = scene.scales * torch.tensor([8.0, 0.02, 0.02])
        assert_agrees(replace(scene, scales=scales), decided, gpu)

    def test_one_gaussian_at_opacity_one_and_zero(self, gpu, make_scene, decided):
        scene = make_scene(1, count=1, size=0.5)
        for opacity in (0.0, 1.0, 0.995):
            assert_agrees(replace(scene, opacities=torch.tensor([opacity])), decided, gpu)

    def test_opaque_stacks_finish_early(self, gpu, make_scene, decided):
        scene = make_scene(7, count=900, width=30, height=30, spread=0.1, size=0.2)
        assert_agrees(replace(scene, opacities=torch.ones(900)), decided, gpu)

    def test_everything_behind_the_camera(self, gpu, make_scene, decided):
        scene = make_scene(0)
        behind = replace(scene, means=scene.means * 0.1 + torch.tensor([0.3, 0.2, 6.0]))
        assert ellipses(behind, "cpu")[1].abs().sum() == 0
        assert_agrees(behind, decided, gpu)

    def test_a_window_beyond_the_picture(self, gpu, make_scene, decided):
        assert_agrees(make_scene(2), decided, gpu, left=-20, top=11)

    def test_nobody(self, gpu):
        features = torch.zeros(0, 3, device=gpu, requires_grad=True)
        flat = [torch.zeros(0, k, device=gpu) for k in (2, 3)]
        none = torch.zeros(0, device=gpu)
        image, alpha = rasterize(*flat, none, features, none, width=17, height=5)
        assert image.shape == (3, 5, 17)
        assert float(image.abs().sum() + alpha.abs().sum()) == 0
        image.sum().backward()
        assert features.grad.shape == (0, 3)

    def test_equal_and_negative_depths_are_drawn_in_order(self, gpu):
        means2d = torch.full((4, 2), 4.5, device=gpu)
        conics = torch.tensor([[0.1, 0.0, 0.1]] * 4, device=gpu)
        depths = torch.tensor([2.0, -1.0, 2.0, -3.0], device=gpu)
        opacities = torch.full((4,), 0.5, device=gpu)
        image, _ = rasterize(
            means2d, conics, opacities, torch.eye(4, device=gpu), depths, width=9, height=9
        )
        assert image[:, 4, 4].tolist() == pytest.approx([0.125, 0.25, 0.0625, 0.5])
