"""The solver finds known minima, each start for itself, and says why it stopped."""

import pytest
import torch

from persona.core.errors import FitError
from persona.fitting.solver import Residual, minimize


def line(target, *, robust=None):
    """A linear least-squares problem: unknowns equal the target."""
    size = target.shape[-1]

    def objective(unknowns):
        value = (unknowns - target)[:, :, None]
        eye = torch.eye(size)[None, :, None].expand(len(unknowns), size, 1, size)
        return [Residual(name="line", value=value, jacobian=eye, robust=robust)]

    return objective


def test_finds_the_minimum_of_a_linear_problem():
    target = torch.tensor([1.0, -2.0, 3.0])
    found = minimize(line(target), torch.zeros(2, 3), [0, 1, 2], iterations=20)
    torch.testing.assert_close(found.unknowns, target.expand(2, 3), atol=1e-3, rtol=0)
    assert found.stop == "converged"


def test_columns_that_are_not_listed_stay():
    found = minimize(line(torch.ones(3)), torch.zeros(1, 3), [1], iterations=20)
    torch.testing.assert_close(found.unknowns, torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-3, rtol=0)


def test_never_ends_worse_than_it_began():
    def rosenbrock(unknowns):
        x, y = unknowns.unbind(1)
        value = torch.stack([10 * (y - x * x), 1 - x], 1)[..., None]
        zero = torch.zeros_like(x)
        rows = [torch.stack([-20 * x, zero + 10], 1), torch.stack([zero - 1, zero], 1)]
        jacobian = torch.stack(rows, 1)[:, :, None]
        return [Residual(name="valley", value=value, jacobian=jacobian)]

    start = torch.tensor([[-1.2, 1.0], [3.0, -4.0], [0.0, 0.0]])
    before = rosenbrock(start)[0].cost()
    found = minimize(rosenbrock, start, [0, 1], iterations=100)
    assert (found.cost <= before).all()
    torch.testing.assert_close(found.unknowns, torch.ones(3, 2), atol=1e-2, rtol=0)


def test_robust_terms_let_outliers_go():
    def mean_of(values, robust):
        def objective(unknowns):
            value = (unknowns[:, :1] - values)[..., None]
            ones = torch.ones(len(unknowns), len(values), 1, 1)
            return [Residual(name="mean", value=value, jacobian=ones, robust=robust)]

        return minimize(objective, torch.zeros(1, 1), [0], iterations=50).unknowns.item()

    values = torch.tensor([0.9, 1.0, 1.1, 1.0, 50.0])
    assert mean_of(values, None) == pytest.approx(10.8, abs=0.01)
    assert mean_of(values, 2.0) == pytest.approx(1.0, abs=0.02)


def test_a_term_that_is_not_finite_is_named():
    def objective(unknowns):
        value = torch.full((1, 1, 1), float("nan"))
        return [Residual(name="broken", value=value, jacobian=torch.ones(1, 1, 1, 1))]

    with pytest.raises(FitError, match="broken"):
        minimize(objective, torch.zeros(1, 1), [0], iterations=1)
