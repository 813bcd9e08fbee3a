"""Levenberg-Marquardt on several starts at once, with robust terms and a stop reason.

Each start has its own damping and its own verdict on every step; they share only the batched
linear algebra (Levenberg 1944, Marquardt 1963). Robust terms are reweighted at every step
(Geman and McClure 1987 with the scale given by the term).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import FitError
from persona.fitting.parameters import Unknowns


@dataclass(frozen=True, kw_only=True)
class Residual:
    """One term at the current unknowns, already divided by its expected size."""

    name: str
    """Key in reports."""
    value: Float[Tensor, "starts r d"]
    """Residuals in standard deviations; the ``d`` numbers of a row are judged together."""
    jacobian: Float[Tensor, "starts r d unknowns"] | None
    """Their derivative; None once it was used."""
    robust: float | None = None
    """Row length [standard deviations] at which trust is half gone; None for plain squares."""

    def cost(self) -> Float[Tensor, " starts"]:
        """Sum the loss over all rows."""
        square = self.value.square().sum(-1)
        if self.robust is not None:
            square = square / (1 + square / self.robust**2)
        return square.sum(-1)

    def trust(self) -> Float[Tensor, "starts r"]:
        """Weight of each row in the next step: the slope of the loss."""
        square = self.value.square().sum(-1)
        if self.robust is None:
            return torch.ones_like(square)
        return (1 + square / self.robust**2).square().reciprocal()


Objective = Callable[[Unknowns], list[Residual]]
"""Unknowns to all terms."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where the solver stopped, for every start."""

    unknowns: Unknowns
    """Best point seen."""
    cost: Float[Tensor, " starts"]
    """Total loss there."""
    terms: dict[str, Float[Tensor, " starts"]]
    """Loss by term."""
    iterations: int
    """Steps tried."""
    stop: str
    """"converged" or "iterations"."""


QUIET_STEPS = 3
"""Steps without progress that end the search."""
DAMPING_START = 1e-2
"""First damping, relative to the diagonal of the normal matrix."""
DAMPING_MIN, DAMPING_MAX = 1e-6, 1e6
"""Bounds of the damping; a start at the upper bound is stuck."""


def minimize(
    objective: Objective,
    start: Unknowns,
    columns: Sequence[int],
    *,
    iterations: int,
    tolerance: float = 1e-4,
) -> Solution:
    """Lower the sum of all terms over the chosen columns of the unknowns.

    Args:
        objective: The terms.
        start: One row per start; columns that are not listed stay as they are.
        columns: Unknowns to move.
        iterations: Steps at most.
        tolerance: Stop when no start improved by this share of its loss `QUIET_STEPS` times.

    Raises:
        FitError: A term is not finite at the start.
    """
    here = start
    terms = objective(here)
    cost = _total(terms)
    _check_finite(terms)
    matrix, slope = normal_equations(terms, columns)
    damping = torch.full_like(cost, DAMPING_START)
    quiet, done = 0, 0
    while quiet < QUIET_STEPS and done < iterations:
        done += 1
        step = _step(matrix, slope, damping)
        trial = here.clone()
        trial[:, columns] += step
        new_terms = objective(trial)
        new_cost = _total(new_terms)
        better = new_cost < cost
        gain = torch.where(better, (cost - new_cost) / cost.clamp(min=1e-9), 0.0)
        damping = torch.where(better, damping / 5, damping * 6).clamp(DAMPING_MIN, DAMPING_MAX)
        here = torch.where(better[:, None], trial, here)
        cost = torch.where(better, new_cost, cost)
        terms = _choose(better, new_terms, terms)
        if bool(better.any()):
            new_matrix, new_slope = normal_equations(new_terms, columns)
            matrix = torch.where(better[:, None, None], new_matrix, matrix)
            slope = torch.where(better[:, None], new_slope, slope)
        quiet = quiet + 1 if float(gain.max()) < tolerance else 0
    return Solution(
        unknowns=here,
        cost=cost,
        terms={term.name: term.cost() for term in terms},
        iterations=done,
        stop="converged" if quiet == QUIET_STEPS else "iterations",
    )


def _total(terms: Sequence[Residual]) -> Tensor:
    """Sum all terms; a start that left the numbers counts as infinitely bad."""
    total = torch.stack([term.cost() for term in terms]).sum(0)
    return torch.where(torch.isfinite(total), total, torch.inf)


def _check_finite(terms: Sequence[Residual]) -> None:
    """Name the term that is not finite."""
    for term in terms:
        if not torch.isfinite(term.value).all():
            raise FitError(
                f"the term {term.name!r} of the fit is not finite at the start",
                why="a start behind the camera, or an empty measurement, cannot be improved",
                fix="report the photo; try --allow-partial or another crop",
            )


def normal_equations(terms: Sequence[Residual], columns: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Gather J'WJ and J'Wr over all terms [double precision]."""
    rows, values = [], []
    for term in terms:
        assert term.jacobian is not None
        root = term.trust().sqrt()[..., None]
        rows.append((term.jacobian[..., columns] * root[..., None]).flatten(1, 2))
        values.append((term.value * root).flatten(1))
    jacobian, value = torch.cat(rows, 1), torch.cat(values, 1)
    transposed = jacobian.transpose(1, 2)
    matrix = (transposed @ jacobian).double()
    return matrix, (transposed @ value[..., None])[..., 0].double()


def _step(matrix: Tensor, slope: Tensor, damping: Tensor) -> Tensor:
    """Solve the damped normal equations."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    damped = matrix + torch.diag_embed(damping[:, None].double() * diagonal + 1e-6)
    factor, _ = torch.linalg.cholesky_ex(damped)
    return -torch.cholesky_solve(slope[..., None], factor)[..., 0].float()


def _choose(better: Tensor, new: Sequence[Residual], old: Sequence[Residual]) -> list[Residual]:
    """Keep, for every start, the values of the point that was kept."""
    return [
        Residual(
            name=a.name,
            value=torch.where(better[:, None, None], a.value, b.value),
            jacobian=None,
            robust=a.robust,
        )
        for a, b in zip(new, old, strict=True)
    ]
