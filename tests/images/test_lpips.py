"""LPIPS: the real layout in both formats, laws, gradients, and files that are something else."""

import pytest
import torch
from safetensors.torch import save_file

from persona.core.errors import FileFormatError
from persona.images.lpips import STAGES, Lpips, load_lpips


@pytest.fixture(scope="module")
def weights():
    """Random weights of the real layout, with what classifies things left in."""
    g = torch.Generator().manual_seed(0)
    vgg = {"classifier.6.bias": torch.zeros(1000)}
    for number, taken, given in (entry for stage in STAGES for entry in stage):
        spread = (2 / (9 * taken)) ** 0.5
        vgg[f"features.{number}.weight"] = spread * torch.randn(given, taken, 3, 3, generator=g)
        vgg[f"features.{number}.bias"] = 0.1 * torch.randn(given, generator=g)
    linear = {
        f"lin{k}.model.1.weight": torch.rand(1, stage[-1][2], 1, 1, generator=g)
        for k, stage in enumerate(STAGES)
    }
    return vgg, linear


@pytest.fixture(scope="module")
def lpips(weights):
    return Lpips(*weights)


def pictures(seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(3, 40, 32, generator=g), torch.rand(3, 40, 32, generator=g)


def test_equal_pictures_are_at_no_distance_and_others_are_alike_both_ways(lpips):
    one, other = pictures()
    assert float(lpips(one, one)) == 0
    assert float(lpips(one, other)) > 0
    torch.testing.assert_close(lpips(one, other), lpips(other, one))


def test_more_noise_is_farther_away(lpips):
    one, noise = pictures(1)
    distances = [float(lpips(one, one + amount * (noise - one))) for amount in (0.1, 0.3, 0.9)]
    assert distances == sorted(distances)


def test_the_first_stage_is_what_the_paper_says(weights):
    """All other stages silenced: unit features of two convolutions, squared, weighted, averaged."""
    vgg, linear = weights
    only = {name: value * (name.startswith("lin0")) for name, value in linear.items()}
    one, other = pictures(2)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

    def features(picture):
        x = ((picture - mean) / deviation)[None]
        for number in (0, 2):
            weight, bias = vgg[f"features.{number}.weight"], vgg[f"features.{number}.bias"]
            x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
        return torch.nn.functional.normalize(x, dim=1)[0]

    apart = (features(one) - features(other)).square()
    expected = (apart * only["lin0.model.1.weight"][0]).sum(0).mean()
    torch.testing.assert_close(Lpips(vgg, only)(one, other), expected)


def test_its_gradient_leads_towards_the_target(lpips):
    one, other = pictures(3)
    one.requires_grad_()
    before = lpips(one, other)
    before.backward()
    with torch.no_grad():
        closer = one - 0.02 * one.grad / one.grad.norm()
        assert lpips(closer, other) < before
    assert not any(p.requires_grad for p in lpips.parameters())


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_files_of_the_real_layout_are_read_in_both_formats(weights, lpips, tmp_path, ending):
    write = torch.save if ending == "pth" else save_file
    write(weights[0], tmp_path / f"vgg16.{ending}")
    write(weights[1], tmp_path / f"lpips_vgg.{ending}")
    one, other = pictures(4)
    torch.testing.assert_close(load_lpips(tmp_path)(one, other), lpips(one, other))


def test_missing_damaged_and_foreign_files_are_refused(weights, tmp_path):
    with pytest.raises(FileFormatError, match=r"holds none of vgg16\.safetensors"):
        load_lpips(tmp_path)
    few = {"features.0.weight": torch.zeros(64, 3, 3, 3)}
    save_file(few, tmp_path / "vgg16.safetensors")
    with pytest.raises(FileFormatError, match=r"lacks features\.0\.bias"):
        load_lpips(tmp_path)
    (tmp_path / "vgg16.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(FileFormatError, match="could not be read"):
        load_lpips(tmp_path)
    (tmp_path / "vgg16.safetensors").unlink()
    (tmp_path / "vgg16.pth").write_bytes(b"PK" + b"\x00" * 200)
    with pytest.raises(FileFormatError, match=r"vgg16\.pth"):
        load_lpips(tmp_path)


def test_numbers_that_are_not_finite_are_refused(weights, tmp_path):
    vgg, linear = weights
    save_file(
        {**vgg, "features.0.bias": torch.full((64,), float("nan"))}, tmp_path / "vgg16.safetensors"
    )
    save_file(linear, tmp_path / "lpips_vgg.safetensors")
    with pytest.raises(FileFormatError, match="not finite"):
        load_lpips(tmp_path)
