"""Linear light: there and back, and known values of the standard."""

import pytest
import torch

from persona.images.colors import from_linear, luminance, to_linear


def test_there_and_back():
    srgb = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(from_linear(to_linear(srgb)), srgb, atol=1e-5)


def test_known_values():
    assert to_linear(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx(
        [0, 0.21404, 1], abs=1e-4
    )
    assert from_linear(torch.tensor([-1.0, 0.001, 3.0])).tolist() == pytest.approx(
        [0, 0.01292, 1], abs=1e-4
    )
    assert luminance(torch.ones(1, 3)).item() == pytest.approx(1, abs=1e-5)
