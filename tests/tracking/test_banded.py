"""The chain's solver gives what a dense solver gives."""

import pytest
import torch

from persona.tracking.banded import Chain


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 8])
def test_it_agrees_with_a_dense_solver(frames):
    size, draw = 3, torch.Generator().manual_seed(frames)

    def numbers(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    chain = Chain.empty(frames, size)
    root = numbers(frames, size, size)
    chain.own = root @ root.mT + 20 * torch.eye(size).double()
    chain.next, chain.second = numbers(*chain.next.shape), numbers(*chain.second.shape)
    chain.slope = numbers(frames, size)
    dense = torch.zeros(frames, size, frames, size, dtype=torch.float64)
    for k in range(frames):
        dense[k, :, k] = chain.own[k]
        if k + 1 < frames:
            dense[k + 1, :, k], dense[k, :, k + 1] = chain.next[k], chain.next[k].mT
        if k + 2 < frames:
            far = torch.diag(chain.second[k])
            dense[k + 2, :, k], dense[k, :, k + 2] = far, far
    flat = dense.reshape(frames * size, -1)
    flat = flat + torch.diag(0.1 * flat.diagonal() + 1e-6)
    expected = torch.linalg.solve(flat, -chain.slope.flatten()).reshape(frames, size)
    torch.testing.assert_close(chain.step(0.1), expected)
