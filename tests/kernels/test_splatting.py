"""Splatting: known answers, laws, gradients, and agreement of the backends."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import BackendError, InputError
from persona.kernels import Backend, project_oriented, rasterize

ON_CPU = (Backend.REFERENCE, Backend.NATIVE)


def ellipses(scene, dtype=torch.float32):
    """The scene's ellipses, rounded to float32 so that both backends see the same numbers."""
    means2d, conics, depths = project_oriented(*scene.leaves[:3], scene.camera)
    inputs = (means2d, conics, scene.opacities, scene.features, depths)
    return [value.detach().float().to(dtype) for value in inputs]


def draw(inputs, camera, backend=None, **window):
    window = {"width": camera.width, "height": camera.height} | window
    return rasterize(*inputs, **window, backend=backend)


def values_and_gradients(inputs, camera, backend, upstream):
    leaves = [value.clone().requires_grad_() for value in inputs[:4]]
    image, alpha = draw([*leaves, inputs[4]], camera, backend)
    loss = (image * upstream[0].to(image)).sum() + (alpha * upstream[1].to(image)).sum()
    return image.detach(), alpha.detach(), *torch.autograd.grad(loss, leaves)


def assert_backends_agree(scene, decided, seed=0):
    camera = scene.camera
    exact = ellipses(scene, torch.float64)
    window = (0, 0, camera.width, camera.height)
    sure = decided(exact[0], exact[1], exact[2], exact[4], window)
    g = torch.Generator().manual_seed(seed)
    upstream = torch.randn(scene.features.shape[1], camera.height, camera.width, generator=g)
    upstream_alpha = torch.randn(camera.height, camera.width, generator=g)
    weights = (upstream * sure, upstream_alpha * sure)
    got = values_and_gradients(ellipses(scene), camera, Backend.NATIVE, weights)
    expected = values_and_gradients(exact, camera, Backend.REFERENCE, weights)
    assert float(((got[0].double() - expected[0]) * sure).abs().max()) <= 1e-5
    assert float(((got[1].double() - expected[1]) * sure).abs().max()) <= 1e-5
    for value, wanted in zip(got[2:], expected[2:], strict=True):
        error = (value.double() - wanted).norm() / wanted.norm().clamp_min(1e-6)
        assert float(error) <= 1e-4
    return sure


@pytest.mark.parametrize("seed", range(8))
def test_native_agrees_with_the_reference_in_value_and_gradient(isa, seed, make_scene, decided):
    sure = assert_backends_agree(make_scene(seed), decided, seed)
    assert sure.float().mean() > 0.5


@given(
    seed=st.integers(0, 100_000),
    count=st.integers(1, 80),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    size=st.sampled_from([0.0, 0.01, 0.1, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_backends_agree_on_any_scene(seed, count, width, height, size, make_scene, decided):
    scene = make_scene(seed, count=count, width=width, height=height, size=size)
    assert_backends_agree(scene, decided, seed)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 8, 9, 12, 13, 16, 20, 24, 25, 32])
def test_any_channel_count_is_drawn(channels, make_scene, decided):
    scene = make_scene(5, count=60, channels=channels, width=30, height=20)
    assert_backends_agree(scene, decided)


def test_many_gaussians_on_one_tile_are_drawn_in_order(isa, make_scene, decided):
    """More than one batch of the native core, with pixels that finish early and late."""
    scene = make_scene(7, count=900, width=14, height=14, spread=0.1)
    assert_backends_agree(scene, decided)


@pytest.mark.parametrize("backend", ON_CPU)
def test_one_gaussian_has_the_known_profile(backend):
    inputs = [
        torch.tensor([[8.5, 6.5]]),
        torch.tensor([[0.25, 0.0, 1.0]]),
        torch.tensor([0.8]),
        torch.tensor([[2.0, -1.0]]),
        torch.tensor([1.0]),
    ]
    image, alpha = rasterize(*inputs, width=20, height=12, backend=backend)
    expected = 0.8 * math.exp(-0.5 * (0.25 * 9 + 1.0 * 1))
    assert alpha[6, 8].item() == pytest.approx(0.8, rel=1e-6)
    assert alpha[7, 11].item() == pytest.approx(expected, rel=1e-5)
    assert image[:, 7, 11].tolist() == pytest.approx([2 * expected, -expected], rel=1e-5)
    # 0.8 exp(-y^2 / 2) falls under 1/255 between 3 and 4 pixels.
    assert alpha[9, 8] > 0
    assert alpha[10, 8] == 0


@pytest.mark.parametrize("backend", ON_CPU)
def test_the_nearer_one_covers_the_farther_one(backend):
    means2d = torch.full((2, 2), 4.5)
    conics = torch.tensor([[0.1, 0.0, 0.1]] * 2)
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    image, alpha = rasterize(
        means2d,
        conics,
        torch.ones(2),
        features,
        torch.tensor([2.0, 1.0]),
        width=9,
        height=9,
        backend=backend,
    )
    # Alpha is held at 0.99, so the farther one gets a hundredth; 1e-4 is not left to anybody.
    assert image[:, 4, 4].tolist() == pytest.approx([0.0, 0.99], abs=1e-6)
    assert alpha[4, 4].item() == pytest.approx(0.99)


def test_the_reference_passes_gradcheck(make_scene):
    scene = make_scene(2, count=10, channels=2, width=7, height=6, size=0.3)
    exact = ellipses(scene, torch.float64)
    leaves = [value.requires_grad_() for value in exact[:4]]
    torch.autograd.gradcheck(
        lambda *inputs: draw([*inputs, exact[4]], scene.camera, Backend.REFERENCE), leaves
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_does_not_matter(seed, make_scene):
    scene = make_scene(seed)
    inputs = ellipses(scene)
    shuffle = torch.randperm(len(inputs[4]), generator=torch.Generator().manual_seed(seed))
    image, alpha = draw(inputs, scene.camera)
    again, alpha_again = draw([value[shuffle] for value in inputs], scene.camera)
    assert torch.equal(image, again)
    assert torch.equal(alpha, alpha_again)


@given(
    seed=st.integers(0, 10_000),
    left=st.integers(-20, 60),
    top=st.integers(-20, 40),
    width=st.integers(1, 50),
    height=st.integers(1, 50),
)
@settings(max_examples=25, deadline=None)
def test_a_window_is_a_part_of_the_picture(seed, left, top, width, height, make_scene, decided):
    scene = make_scene(seed, count=60)
    inputs = ellipses(scene)
    window = {"left": left, "top": top, "width": width, "height": height}
    image, alpha = draw(inputs, scene.camera, **window)
    whole, whole_alpha = draw(inputs, scene.camera, left=-20, top=-20, width=130, height=110)
    rows = slice(top + 20, top + 20 + height)
    columns = slice(left + 20, left + 20 + width)
    exact = [value.double() for value in inputs]
    sure = decided(exact[0], exact[1], exact[2], exact[4], (left, top, width, height))
    assert float(((image - whole[:, rows, columns]) * sure).abs().max()) < 1e-5
    assert float(((alpha - whole_alpha[rows, columns]) * sure).abs().max()) < 1e-5


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_two_coincident_halves_make_the_whole(seed, make_scene):
    """Opacity 1 - sqrt(1 - o) twice lets as much light through as o once, at the mean."""
    g = torch.Generator().manual_seed(seed)
    opacity = 0.9 * torch.rand(1, generator=g) + 0.05
    half = 1 - (1 - opacity).sqrt()
    mean, conic = torch.full((1, 2), 5.5), torch.tensor([[0.3, 0.1, 0.2]])
    feature, depth = torch.rand(1, 3, generator=g), torch.ones(1)
    whole, _ = rasterize(mean, conic, opacity, feature, depth, width=11, height=11)
    twice, _ = rasterize(
        mean.repeat(2, 1),
        conic.repeat(2, 1),
        half.repeat(2),
        feature.repeat(2, 1),
        depth.repeat(2),
        width=11,
        height=11,
    )
    torch.testing.assert_close(twice[:, 5, 5], whole[:, 5, 5])


def test_any_thread_count_gives_the_same_bits(isa, make_scene):
    scene = make_scene(4, count=9000, width=200, height=150)
    results = []
    for threads in (1, 2, 3, 8):
        leaves = [value.clone().requires_grad_() for value in ellipses(scene)]
        image, alpha = rasterize(*leaves, width=200, height=150, threads=threads)
        loss = image.square().sum() + alpha.sum()
        results.append([image, alpha, *torch.autograd.grad(loss, leaves[:4])])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.parametrize("backend", ON_CPU)
def test_an_empty_scene_is_an_empty_picture(backend):
    features = torch.zeros(0, 3, requires_grad=True)
    empty = (torch.zeros(0, 2), torch.zeros(0, 3), torch.zeros(0), features, torch.zeros(0))
    image, alpha = rasterize(*empty, width=17, height=5, backend=backend)
    assert image.shape == (3, 5, 17)
    assert image.abs().sum() == 0
    assert alpha.abs().sum() == 0
    image.sum().backward()
    assert features.grad.shape == (0, 3)


@pytest.mark.parametrize("backend", ON_CPU)
@pytest.mark.parametrize(
    "spoil",
    [
        {"conic": [0.0, 0.0, 0.0]},
        {"conic": [1.0, 2.0, 1.0]},
        {"conic": [-1.0, 0.0, -1.0]},
        {"opacity": 0.0},
        {"opacity": 0.0039},
        {"mean": [1e30, 1e30]},
        {"mean": [-1e9, 3.0]},
    ],
    ids=str,
)
def test_what_cannot_be_drawn_draws_nothing_and_gets_no_gradient(backend, spoil):
    leaves = [
        torch.tensor([spoil.get("mean", [3.0, 3.0])]),
        torch.tensor([spoil.get("conic", [0.5, 0.0, 0.5])]),
        torch.tensor([spoil.get("opacity", 0.7)]),
        torch.ones(1, 3),
    ]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    image, alpha = rasterize(*leaves, torch.ones(1), width=8, height=8, backend=backend)
    assert image.abs().sum() == 0
    (image.sum() + alpha.sum()).backward()
    assert leaves[3].grad.abs().sum() == 0
    assert leaves[2].grad.abs().sum() == 0


def test_a_needle_across_the_picture_is_drawn_like_the_reference(isa):
    """A long thin diagonal ellipse: its conic's terms cancel to a millionth."""
    angle, long, short = 0.7, 150.0, 0.6
    c, s = math.cos(angle), math.sin(angle)
    inverse = (1 / long**2, 1 / short**2)
    conic = [
        c * c * inverse[0] + s * s * inverse[1],
        c * s * (inverse[0] - inverse[1]),
        s * s * inverse[0] + c * c * inverse[1],
    ]
    inputs = [
        torch.tensor([[101.3, 77.7]]),
        torch.tensor([conic]),
        torch.tensor([0.9]),
        torch.ones(1, 1),
        torch.ones(1),
    ]
    image, _ = rasterize(*inputs, width=200, height=160)
    exact, _ = rasterize(
        *[value.double() for value in inputs], width=200, height=160, backend=Backend.REFERENCE
    )
    difference = (image - exact).abs()
    away_from_the_cut = (exact > 1.01 / 255) | (exact == 0)
    assert float((difference * away_from_the_cut).max()) < 1e-4
    assert float(exact.max()) > 0.85


def test_two_forward_passes_keep_their_own_way_back(make_scene):
    scenes = [make_scene(seed) for seed in (0, 1)]

    def leaves_of(scene):
        inputs = ellipses(scene)
        return [value.requires_grad_() for value in inputs[:4]], inputs[4]

    def gradient(leaves, image):
        return torch.autograd.grad(image.square().sum(), leaves, retain_graph=True)

    alone = []
    for scene in scenes:
        leaves, depths = leaves_of(scene)
        alone.append(gradient(leaves, draw([*leaves, depths], scene.camera)[0]))
    together = [leaves_of(scene) for scene in scenes]
    images = [
        draw([*leaves, depths], scene.camera)[0]
        for (leaves, depths), scene in zip(together, scenes, strict=True)
    ]
    for _ in range(2):  # the second time over a kept graph
        for (leaves, _), image, expected in zip(together, images, alone, strict=True):
            for got, wanted in zip(gradient(leaves, image), expected, strict=True):
                assert torch.equal(got, wanted)


def test_scattered_memory_is_read_right(make_scene):
    scene = make_scene(2)
    inputs = ellipses(scene)
    strided = [torch.stack([value, value], -1)[..., 0] for value in inputs]
    assert not strided[0].is_contiguous()
    leaves = [value.requires_grad_() for value in strided[:4]]
    image, _ = draw([*leaves, strided[4]], scene.camera)
    assert torch.equal(image.detach(), draw(inputs, scene.camera)[0])
    # A gradient that arrives as a turned view must be read by its strides too.
    turned = torch.randn(scene.camera.height, scene.camera.width, image.shape[0]).permute(2, 0, 1)
    got = torch.autograd.grad(image, leaves[3], turned, retain_graph=True)[0]
    assert torch.equal(got, torch.autograd.grad(image, leaves[3], turned.contiguous())[0])


def test_what_does_not_fit_is_refused_before_native_code(make_scene):
    inputs = ellipses(make_scene(0, count=8))

    def call(position, value, **window):
        changed = list(inputs)
        changed[position] = value
        return rasterize(*changed, **({"width": 8, "height": 8} | window))

    with pytest.raises(InputError, match=r"conics is torch\.float64"):
        call(1, inputs[1].double())
    with pytest.raises(InputError, match=r"depths is .* on meta"):
        call(4, inputs[4].to("meta"))
    for position in range(5):
        bad = inputs[position].clone()
        bad.view(-1)[3] = math.inf
        with pytest.raises(InputError, match="1 entries that are not finite"):
            call(position, bad)
    with pytest.raises(InputError, match="33 channels"):
        call(3, torch.zeros(8, 33))
    with pytest.raises(InputError, match="0 x 8 pixels"):
        call(3, inputs[3], width=0)
    with pytest.raises(InputError, match="20000 x 8 pixels"):
        call(3, inputs[3], width=20_000)
    with pytest.raises(InputError, match="-2 threads"):
        call(3, inputs[3], threads=-2)


def test_wrong_shapes_are_refused_without_the_shape_checker():
    """In production annotations are not executed; the door itself must hold."""
    from persona.kernels.checks import check_floats

    with pytest.raises(InputError, match=r"conics has shape \(7, 3\)"):
        check_floats(means2d=(torch.zeros(8, 2), (None, 2)), conics=(torch.zeros(7, 3), (8, 3)))
    with pytest.raises(InputError, match=r"opacities is torch\.int64"):
        check_floats(means2d=(torch.zeros(8, 2), (None, 2)), opacities=(torch.ones(8).long(), (8,)))
    with pytest.raises(InputError, match=r"means2d has shape \(8,\)"):
        check_floats(means2d=(torch.zeros(8), (None, 2)))


def test_a_large_finite_sum_is_not_taken_for_infinity():
    from persona.kernels.checks import check_floats

    check_floats(means=(torch.full((4, 3), 3e38), (None, 3)))


def test_double_precision_is_the_reference_and_never_the_core(make_scene):
    inputs = ellipses(make_scene(0, count=8), torch.float64)
    image, _ = rasterize(*inputs, width=8, height=8)
    assert image.dtype == torch.float64
    with pytest.raises(BackendError, match="native does not compute in"):
        rasterize(*inputs, width=8, height=8, backend=Backend.NATIVE)
