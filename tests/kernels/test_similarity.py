"""SSIM of planes: known answers, laws, refusals, gradients, and agreement with others."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from persona.core.errors import BackendError, InputError
from persona.images.similarity import ssim
from persona.kernels import Backend, ssim_planes
from persona.kernels.native_core import Workspace, address, check_status, isa_code, native_library

SHAPES = [(1, 11, 11), (3, 12, 26), (2, 43, 11), (4, 33, 53), (16, 21, 27), (3, 75, 267)]
"""From one place to several tiles of the core (32 x 256), with odd ends."""


def pair(shape, *, noise=0.1, seed=0, dtype=torch.float32):
    """A soft picture with a white ground and, first, the same seen badly; both within [0, 1]."""
    channels, height, width = shape
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, height // 8 + 1, width // 8 + 1, generator=g)
    target = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    target[..., : width // 3] = 1.0
    picture = (target + noise * torch.randn(shape, generator=g)).clamp(0, 1)
    picture[:, : height // 2, : width // 3] = 1.0
    return picture.to(dtype), target.to(dtype)


def value_and_gradient(picture, target, **options):
    leaf = picture.clone().requires_grad_()
    value = ssim_planes(leaf, target, **options)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def assert_agree(got, expected, *, value=1e-6, gradient=1e-4):
    """Compare values absolutely, gradients by the largest of them."""
    assert (got[0] - expected[0]).abs() < value
    assert (got[1] - expected[1]).abs().max() <= gradient * expected[1].abs().max()


@pytest.mark.parametrize("noise", [0.001, 0.1, 0.5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_native_agrees_with_the_exact_reference_in_value_and_gradient(isa, shape, noise):
    picture, target = pair(shape, noise=noise)
    exact = value_and_gradient(picture.double(), target.double(), backend=Backend.REFERENCE)
    assert_agree(value_and_gradient(picture, target, backend=Backend.NATIVE), exact)


@pytest.mark.parametrize("channels", range(1, 17))
def test_every_number_of_channels_agrees(isa, channels):
    picture, target = pair((channels, 35, 40), seed=channels)
    exact = value_and_gradient(picture.double(), target.double(), backend=Backend.REFERENCE)
    assert_agree(value_and_gradient(picture, target, backend=Backend.NATIVE), exact)


@pytest.mark.parametrize("box", [(0, 0, 11, 50), (5, 7, 268, 33), (289, 0, 11, 80)], ids=str)
def test_boxes_agree_with_the_exact_reference(isa, box):
    picture, target = pair((3, 80, 300))
    options = {"box": box, "backend": Backend.REFERENCE}
    exact = value_and_gradient(picture.double(), target.double(), **options)
    assert_agree(value_and_gradient(picture, target, box=box, backend=Backend.NATIVE), exact)


@given(
    seed=st.integers(0, 10_000),
    left=st.integers(0, 40),
    top=st.integers(0, 30),
    width=st.integers(11, 60),
    height=st.integers(11, 50),
)
@settings(max_examples=25, deadline=None)
def test_a_box_is_the_cut_out_picture_and_nothing_around_it_counts(seed, left, top, width, height):
    picture, target = pair((2, 80, 100), seed=seed)
    value, gradient = value_and_gradient(picture, target, box=(left, top, width, height))
    inside = (slice(None), slice(top, top + height), slice(left, left + width))
    alone = value_and_gradient(picture[inside], target[inside])
    assert torch.equal(value, alone[0])
    assert torch.equal(gradient[inside], alone[1])
    gradient[inside] = 0
    assert not gradient.any()


@pytest.mark.parametrize("backend", [Backend.REFERENCE, Backend.NATIVE])
def test_the_reference_is_the_metric_of_the_reports(backend):
    picture, target = pair((3, 40, 50))
    expected = ssim(picture.permute(1, 2, 0), target.permute(1, 2, 0))
    assert ssim_planes(picture, target, backend=backend).item() == pytest.approx(
        expected.item(), abs=2e-6
    )


@pytest.mark.parametrize("shape", [(3, 96, 80), (1, 64, 300), (3, 460, 180)], ids=str)
def test_the_mirrored_rim_gives_the_number_of_torchmetrics(isa, shape):
    from torchmetrics.functional.image import structural_similarity_index_measure

    picture, target = pair(shape)
    leaf = picture.double().requires_grad_()
    value = structural_similarity_index_measure(
        leaf[None],
        target.double()[None],
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=11,
        data_range=1.0,
    )
    expected = value.detach(), torch.autograd.grad(value, leaf)[0]
    got = value_and_gradient(picture, target, reflect=True, backend=Backend.NATIVE)
    assert_agree(got, expected)
    around = [torch.nn.functional.pad(planes, (3, 4, 5, 6)) for planes in (picture, target)]
    boxed = ssim_planes(*around, box=(3, 5, shape[2], shape[1]), reflect=True)
    assert torch.equal(boxed, got[0])


def test_without_the_rim_it_is_the_inner_part_of_torchmetrics_map(isa):
    from torchmetrics.functional.image import structural_similarity_index_measure

    picture, target = pair((3, 70, 60))
    leaf = picture.double().requires_grad_()
    _, places = structural_similarity_index_measure(
        leaf[None], target.double()[None], data_range=1.0, return_full_image=True
    )
    value = places[..., 5:-5, 5:-5].mean()
    expected = value.detach(), torch.autograd.grad(value, leaf)[0]
    assert_agree(value_and_gradient(picture, target, backend=Backend.NATIVE), expected)


def test_equal_pictures_are_exactly_alike_and_pull_nowhere(isa):
    for picture in pair((3, 60, 300)):
        value, gradient = value_and_gradient(picture, picture, backend=Backend.NATIVE)
        assert value.item() == 1.0
        assert not gradient.any()


@pytest.mark.parametrize("backend", [Backend.REFERENCE, Backend.NATIVE])
def test_black_on_white_is_nearly_zero(backend):
    # Both flat: only the stabilisers are left, C1 / (1 + C1).
    value = ssim_planes(torch.zeros(1, 20, 20), torch.ones(1, 20, 20), backend=backend)
    assert value.item() == pytest.approx(1e-4 / 1.0001, rel=1e-3)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_comparing_is_symmetric_and_blind_to_mirrors_and_channel_order(seed):
    a, b = pair((3, 47, 70), seed=seed)
    value = ssim_planes(a, b).item()
    assert ssim_planes(b, a).item() == pytest.approx(value, abs=1e-6)
    for axis in (0, 1, 2):
        assert ssim_planes(a.flip(axis), b.flip(axis)).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("reflect", [False, True])
def test_gradients_of_the_reference_are_those_of_finite_differences(reflect):
    picture, target = pair((2, 14, 16), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda leaf: ssim_planes(leaf, target, box=(1, 2, 13, 12), reflect=reflect),
        picture.requires_grad_(),
    )


def test_any_number_of_threads_gives_the_same_bits(isa):
    picture, target = pair((3, 150, 300))
    options = {"box": (7, 3, 281, 140), "backend": Backend.NATIVE}
    alone = value_and_gradient(picture, target, threads=1, **options)
    for threads in (2, 3, 8):
        together = value_and_gradient(picture, target, threads=threads, **options)
        assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_gradient_changes_no_value_and_is_scaled_by_what_comes_in():
    picture, target = pair((3, 40, 50))
    value, gradient = value_and_gradient(picture, target)
    assert torch.equal(ssim_planes(picture, target), value)
    leaf = picture.clone().requires_grad_()
    (3.0 * (1.0 - ssim_planes(leaf, target))).backward()
    torch.testing.assert_close(leaf.grad, -3.0 * gradient)


def test_scattered_memory_is_read_right():
    picture, target = pair((3, 40, 50))
    expected = value_and_gradient(picture, target)
    leaf = picture.permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_()
    assert not leaf.is_contiguous()
    value = ssim_planes(leaf, target.mT.contiguous().mT)
    assert torch.equal(value.detach(), expected[0])
    assert torch.equal(torch.autograd.grad(value, leaf)[0], expected[1])


def test_two_forward_passes_keep_their_own_way_back():
    pairs = [pair((3, 40, 50), seed=seed) for seed in (0, 1)]
    expected = [value_and_gradient(*pictures)[1] for pictures in pairs]
    leaves = [picture.clone().requires_grad_() for picture, _ in pairs]
    values = [ssim_planes(leaf, pairs[i][1]) for i, leaf in enumerate(leaves)]
    for _ in range(2):  # the second time over a kept graph
        for value, leaf, wanted in zip(values, leaves, expected, strict=True):
            got = torch.autograd.grad(value, leaf, retain_graph=True)[0]
            assert torch.equal(got, wanted)


def test_far_outside_the_range_nothing_becomes_infinite(isa):
    picture, target = pair((1, 40, 50))
    value, gradient = value_and_gradient(1e4 * picture, 1e4 * target, backend=Backend.NATIVE)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("backend", [Backend.REFERENCE, Backend.NATIVE])
@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 10, 20), "the box is 10 x 20 pixels"),
        ((0, 0, 20, 0), "the box is 20 x 0 pixels"),
        ((-1, 0, 20, 20), r"from \(-1, 0\) to \(19, 20\) reaches out"),
        ((0, 21, 20, 20), r"to \(20, 41\) reaches out"),
        ((31, 0, 20, 20), r"to \(51, 20\) reaches out"),
    ],
)
def test_a_box_that_does_not_fit_is_refused(backend, box, message):
    with pytest.raises(InputError, match=message):
        ssim_planes(*pair((3, 40, 50)), box=box, backend=backend)


def test_pictures_smaller_than_the_window_are_refused():
    with pytest.raises(InputError, match="needs at least 11 x 11"):
        ssim_planes(torch.zeros(3, 10, 40), torch.zeros(3, 10, 40))
    with pytest.raises(InputError, match="needs at least 6 x 6"):
        ssim_planes(torch.zeros(3, 40, 5), torch.zeros(3, 40, 5), reflect=True)
    assert ssim_planes(torch.zeros(3, 6, 6), torch.zeros(3, 6, 6), reflect=True).item() == 1.0


def test_what_does_not_fit_is_refused():
    picture, target = pair((3, 40, 50))
    # In tests the annotation is the check of shapes; in production the door's own.
    with pytest.raises((InputError, TypeCheckError), match="target"):
        ssim_planes(picture, target[:, :-1])
    with pytest.raises((InputError, TypeCheckError), match="picture"):
        ssim_planes(picture[0], target[0])
    with pytest.raises(InputError, match=r"picture is torch\.float16"):
        ssim_planes(picture.half(), target.half())
    with pytest.raises(InputError, match=r"target is torch\.float64"):
        ssim_planes(picture, target.double())
    for bad in (float("nan"), float("inf")):
        spoilt = picture.clone()
        spoilt[1, 2, 3] = bad
        with pytest.raises(InputError, match="picture holds 1 entries that are not finite"):
            ssim_planes(spoilt, target)
        with pytest.raises(InputError, match="target holds 1 entries that are not finite"):
            ssim_planes(target, spoilt)
    with pytest.raises(InputError, match="33 channels"):
        ssim_planes(torch.zeros(33, 20, 20), torch.zeros(33, 20, 20))
    with pytest.raises(InputError, match="0 channels"):
        ssim_planes(torch.zeros(0, 20, 20), torch.zeros(0, 20, 20))
    with pytest.raises(InputError, match="0 threads"):
        ssim_planes(picture, target, threads=0)


@pytest.mark.parametrize("backend", [Backend.REFERENCE, Backend.NATIVE])
def test_a_gradient_of_the_target_is_refused(backend):
    picture, target = pair((3, 40, 50))
    with pytest.raises(InputError, match="gradient of the target") as caught:
        ssim_planes(picture, target.clone().requires_grad_(), backend=backend)
    assert "exchange the two" in caught.value.fix
    with torch.no_grad():
        ssim_planes(picture, target.clone().requires_grad_(), backend=backend)


def test_double_precision_is_the_reference_and_never_the_core():
    picture, target = pair((3, 20, 20), dtype=torch.float64)
    assert ssim_planes(picture, target).dtype == torch.float64
    with pytest.raises(BackendError, match="native does not compute in"):
        ssim_planes(picture, target, backend=Backend.NATIVE)


def test_the_core_itself_refuses_what_would_read_other_memory():
    picture, target = pair((3, 20, 20))
    result = torch.zeros(3, 20, 20)

    def status(function, *box, channels=3, workspace=None):
        last = {"forward": (True, address(result)), "backward": (address(result), address(result))}
        return getattr(native_library(), f"persona_ssim_{function}")(
            (workspace or Workspace()).handle,
            isa_code(),
            1,
            *(channels, 20, 20, address(picture), address(target), *box),
            *last[function],
        )

    used = Workspace()
    assert status("forward", 0, 0, 20, 20, workspace=used) == 0
    assert status("backward", 0, 0, 20, 20, workspace=used) == 0
    for box in [(0, 0, 21, 20), (-1, 0, 20, 20), (0, 10, 20, 11), (0, 0, 10, 20)]:
        assert status("forward", *box) == status("backward", *box) == 7
    assert status("forward", 0, 0, 20, 20, channels=33) == 4
    assert status("backward", 0, 0, 19, 20, workspace=used) == 5
    with pytest.raises(BackendError, match="compared part"):
        check_status(7)
