"""LPIPS: the real layout in both formats, laws, gradients, and files that are something else."""

import pytest
import torch
from safetensors.torch import save_file

from persona.core.errors import FileFormatError, InputError
from persona.images.lpips import ALEX, VGG, Lpips, Trunk, has_lpips, load_lpips


def random_weights(trunk: Trunk):
    """Random weights of the real layout, with what classifies things left in."""
    g = torch.Generator().manual_seed(0)
    found = {"classifier.6.bias": torch.zeros(1000)}
    for layer in (layer for stage in trunk.stages for layer in stage):
        spread = (2 / (layer.side**2 * layer.taken)) ** 0.5
        shape = (layer.given, layer.taken, layer.side, layer.side)
        found[f"features.{layer.number}.weight"] = spread * torch.randn(shape, generator=g)
        found[f"features.{layer.number}.bias"] = 0.1 * torch.randn(layer.given, generator=g)
    linear = {
        f"lin{k}.model.1.weight": torch.rand(1, stage[-1].given, 1, 1, generator=g)
        for k, stage in enumerate(trunk.stages)
    }
    return found, linear


@pytest.fixture(scope="module")
def weights():
    return random_weights(VGG)


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


def test_alexnet_is_cut_where_the_paper_cuts_it():
    """Against the layers of torchvision's AlexNet, written out one by one."""
    found, linear = random_weights(ALEX)
    g = torch.Generator().manual_seed(5)
    one, other = torch.rand(3, 96, 80, generator=g), torch.rand(3, 96, 80, generator=g)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    nn = torch.nn.functional

    def stages(picture):
        def conv(x, number, **how):
            weight, bias = found[f"features.{number}.weight"], found[f"features.{number}.bias"]
            return nn.conv2d(x, weight, bias, **how).relu()

        a = conv(((picture - mean) / deviation)[None], 0, stride=4, padding=2)
        b = conv(nn.max_pool2d(a, 3, 2), 3, padding=2)
        c = conv(nn.max_pool2d(b, 3, 2), 6, padding=1)
        d = conv(c, 8, padding=1)
        return [nn.normalize(x, dim=1)[0] for x in (a, b, c, d, conv(d, 10, padding=1))]

    expected = sum(
        ((x - y).square() * linear[f"lin{k}.model.1.weight"][0]).sum(0).mean()
        for k, (x, y) in enumerate(zip(stages(one), stages(other), strict=True))
    )
    torch.testing.assert_close(Lpips(found, linear, trunk=ALEX)(one, other), expected)


def test_alexnet_is_read_from_its_own_files_and_refuses_what_is_too_small(tmp_path):
    found, linear = random_weights(ALEX)
    assert not has_lpips(tmp_path, ALEX)
    with pytest.raises(FileFormatError, match="LPIPS needs AlexNet"):
        load_lpips(tmp_path, ALEX)
    torch.save(found, tmp_path / "alexnet-owt-7be5be79.pth")
    torch.save(linear, tmp_path / "alex.pth")
    assert has_lpips(tmp_path, ALEX)
    lpips = load_lpips(tmp_path, ALEX)
    side = ALEX.least_side
    assert float(lpips(torch.rand(3, side, side), torch.rand(3, side, side))) > 0
    with pytest.raises(InputError, match="AlexNet needs at least"):
        lpips(torch.rand(3, side - 1, 60), torch.rand(3, side - 1, 60))
