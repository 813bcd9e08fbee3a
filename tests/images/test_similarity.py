"""Similarity: against direct formulas, laws, gradients and refusals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from persona.core.errors import InputError
from persona.images.similarity import gmsd, ms_ssim, person_box, psnr, ssim

METRICS = (psnr, ssim, ms_ssim, gmsd)


def pair(height=200, width=180, *, noise=0.1, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=g, dtype=dtype)
    picture = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    picture = picture.permute(1, 2, 0).contiguous()
    noisy = picture + noise * torch.randn(picture.shape, generator=g, dtype=dtype)
    return picture, noisy.clamp(0, 1)


def direct_ssim(a, b):
    """The formula of the paper, window by window, in numpy."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line)
    window /= window.sum()
    total, count = 0.0, 0
    for channel in range(a.shape[2]):
        for top in range(a.shape[0] - 10):
            for left in range(a.shape[1] - 10):
                x = a[top : top + 11, left : left + 11, channel]
                y = b[top : top + 11, left : left + 11, channel]
                mx, my = (window * x).sum(), (window * y).sum()
                vx = (window * (x - mx) ** 2).sum()
                vy = (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                c1, c2 = 0.01**2, 0.03**2
                total += ((2 * mx * my + c1) * (2 * cov + c2)) / (
                    (mx**2 + my**2 + c1) * (vx + vy + c2)
                )
                count += 1
    return total / count


def test_ssim_is_the_formula_of_the_paper():
    a, b = pair(24, 32)
    expected = direct_ssim(a.numpy(), b.numpy())
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-12)
    assert ssim(a.float(), b.float()).item() == pytest.approx(expected, abs=2e-6)


def test_psnr_of_a_known_error():
    a = torch.full((8, 9, 3), 0.5)
    assert psnr(a, a + 0.1).item() == pytest.approx(20.0, abs=1e-4)
    assert psnr(a, a).item() == math.inf


def test_equal_pictures_are_alike_and_damage_counts():
    a, mild = pair(noise=0.03)
    _, bad = pair(noise=0.3)
    assert ssim(a, a).item() == pytest.approx(1.0)
    assert ms_ssim(a, a).item() == pytest.approx(1.0)
    assert gmsd(a, a).item() < 1e-5
    for better in (psnr, ssim, ms_ssim):
        assert better(a, mild) > better(a, bad)
    assert gmsd(a, mild) < gmsd(a, bad)


@given(seed=st.integers(0, 1000))
@settings(max_examples=3, deadline=None)
def test_comparing_is_symmetric_and_blind_to_mirrors_and_channel_order(seed):
    a, b = pair(176, 176, seed=seed)
    for metric in METRICS:
        value = metric(a, b).item()
        assert metric(b, a).item() == pytest.approx(value, rel=1e-9)
        assert metric(a.flip(1), b.flip(1)).item() == pytest.approx(value, rel=1e-9)
        if metric is not gmsd:  # it sees grey
            assert metric(a.flip(2), b.flip(2)).item() == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_a_mask_looks_only_where_it_is_set(metric):
    a, b = pair(200, 190)
    mask = torch.zeros(200, 190)
    mask[:, :95] = 1
    spoilt = b.clone()
    spoilt[:, 95 + 16 * 11 // 2 :] = 1 - spoilt[:, 95 + 16 * 11 // 2 :]  # beyond every window
    assert metric(a, spoilt, mask=mask).item() == pytest.approx(
        metric(a, b, mask=mask).item(), rel=1e-6
    )
    assert metric(a, b, mask=torch.ones(200, 190) > 0).item() == pytest.approx(
        metric(a, b).item(), rel=1e-9
    )
    with pytest.raises(InputError, match="no pixel of the mask"):
        metric(a, b, mask=torch.zeros(200, 190))


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_are_those_of_finite_differences(metric):
    size = 176 if metric is ms_ssim else 16
    a, b = pair(size, size, noise=0.2)
    a.requires_grad_()
    (slope,) = torch.autograd.grad(metric(a, b), a)
    g = torch.Generator().manual_seed(1)
    direction = torch.randn(a.shape, generator=g, dtype=a.dtype)
    step = 1e-6
    with torch.no_grad():
        rise = metric(a + step * direction, b) - metric(a - step * direction, b)
    assert (slope * direction).sum().item() == pytest.approx(rise.item() / (2 * step), rel=1e-4)


@pytest.mark.parametrize("metric", [ssim, ms_ssim, gmsd])
def test_gradients_stay_finite_where_pictures_are_equal_flat_or_opposite(metric):
    flat = torch.full((180, 180, 3), 0.5, requires_grad=True)
    opposite = (torch.arange(180)[:, None, None] % 2).expand(180, 180, 3).float()
    for target in (flat.detach(), opposite, 1 - opposite):
        (slope,) = torch.autograd.grad(metric(flat, target), flat)
        assert torch.isfinite(slope).all()


def test_what_cannot_be_compared_is_refused():
    a, b = pair(24, 32)
    # In tests the annotation is the check of shapes; in production the door's own.
    with pytest.raises((InputError, TypeCheckError), match=r"target|pictures have shapes"):
        ssim(a, b[:-1])
    with pytest.raises((InputError, TypeCheckError), match="mask"):
        psnr(a, b, mask=torch.ones(3, 3))
    with pytest.raises(InputError, match="need at least 11 x 11"):
        ssim(a[:10], b[:10])
    with pytest.raises(InputError, match="need at least 176 x 176"):
        ms_ssim(a, b)
    with pytest.raises(InputError, match="need at least 6 x 6"):
        gmsd(a[:5], b[:5])


def test_a_box_around_the_person_keeps_a_margin_inside_the_picture():
    mask = torch.zeros(40, 60)
    mask[5:20, 30:50] = 1
    assert person_box(mask, margin=7) == (slice(0, 27), slice(23, 57))
    with pytest.raises(InputError, match="no pixel"):
        person_box(mask * 0)
