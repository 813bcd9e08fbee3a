"""The graph Laplacian: known answers, and the sparse product against gathering."""

import pytest
import torch

from persona.optimization.laplacian import Laplacian, laplacian_reference, nearest


def test_a_constant_has_none_and_a_spike_stands_out():
    neighbors, gap = nearest(torch.arange(8.0)[:, None] * torch.tensor([[1.0, 0.0, 0.0]]))
    assert neighbors.shape == (8, 6)
    assert gap > 1
    laplacian = Laplacian(neighbors)
    torch.testing.assert_close(laplacian(torch.ones(8, 2)), torch.zeros(8, 2))
    spike = torch.zeros(8, 1)
    spike[3] = 6.0
    assert float(laplacian(spike)[3]) == pytest.approx(6.0)
    assert float(laplacian(spike)[2]) == pytest.approx(-1.0)


@pytest.mark.parametrize("count", [2, 5, 300])
def test_the_product_agrees_with_gathering_in_value_and_gradient(count):
    g = torch.Generator().manual_seed(count)
    neighbors, _ = nearest(torch.randn(count, 3, generator=g))
    towards = torch.randn(count, 5, generator=g)
    found = []
    for apply in (Laplacian(neighbors), lambda v: laplacian_reference(v, neighbors)):
        values = torch.randn(count, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
        answer = apply(values)
        (answer * towards).sum().backward()
        found.append((answer.detach(), values.grad))
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-5)
