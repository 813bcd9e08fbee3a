"""Terms of the fit: what each believes, in which unit, how strongly, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.fitting.evidence import Evidence
from persona.fitting.kinematics import Posed, pose_points
from persona.fitting.parameters import Unknowns
from persona.fitting.points import FitPoints
from persona.fitting.solver import Objective, Residual

Graded = tuple[Float[Tensor, "starts r d"], Float[Tensor, "starts r d unknowns"] | None]
"""Residuals and their derivative by the unknowns."""


@dataclass(frozen=True)
class State:
    """One evaluation: the unknowns and the points they pose."""

    unknowns: Unknowns
    """One row per start."""
    posed: Posed
    """All points of the model."""
    points: FitPoints
    """Which row is what."""
    evidence: Evidence
    """What was measured."""

    @property
    def graded(self) -> bool:
        """Whether derivatives are wanted."""
        return self.posed.jacobian is not None

    def places(self, rows: Sequence[int] | slice | Tensor) -> Graded:
        """World positions of some points [m]."""
        jacobian = self.posed.jacobian
        return self.posed.points[:, rows], None if jacobian is None else jacobian[:, rows]

    def pixels(self, rows: Sequence[int] | slice | Tensor) -> Graded:
        """Picture positions of some points [px]; the photo's camera stands at the origin."""
        points, jacobian = self.places(rows)
        focal, center = self.evidence.focal_px, self.evidence.center_px
        # A start behind the camera must lose, not divide by zero.
        inverse = -1.0 / points[..., 2].clamp(max=-0.1)
        x = center[0] + focal * points[..., 0] * inverse
        y = center[1] - focal * points[..., 1] * inverse
        pixels = torch.stack([x, y], -1)
        if jacobian is None:
            return pixels, None
        pull = (pixels - pixels.new_tensor(center)) * inverse[..., None]
        flat = (focal * inverse)[..., None, None] * jacobian[..., :2, :]
        flat = flat * flat.new_tensor([1.0, -1.0])[:, None]
        return pixels, flat + pull[..., None] * jacobian[..., 2:, :]

    def constant(self, rows: Float[Tensor, "r d unknowns"]) -> Tensor | None:
        """Repeat a constant derivative for every start; None when none is wanted."""
        return rows.expand(len(self.unknowns), *rows.shape) if self.graded else None


@dataclass(frozen=True, kw_only=True)
class Term:
    """One belief about the body behind a photo."""

    name: str
    """Key in reports."""
    sigma: float
    """Expected size of a residual [`unit`]."""
    unit: str
    """What the residual is measured in."""
    because: str
    """Why the term exists."""
    residual: Callable[[State], Graded]
    """Residuals in `unit`, confidences multiplied in."""
    robust: float | None = None
    """Residual length, in sigmas, from which a row is taken for an outlier."""


def build_objective(points: FitPoints, evidence: Evidence, terms: Sequence[Term]) -> Objective:
    """Turn terms into the function that the solver lowers."""

    def objective(unknowns: Unknowns) -> list[Residual]:
        posed = pose_points(points.model, unknowns)
        state = State(unknowns, posed, points, evidence)
        residuals = []
        for term in terms:
            value, jacobian = term.residual(state)
            residuals.append(
                Residual(
                    name=term.name,
                    value=value / term.sigma,
                    jacobian=None if jacobian is None else jacobian / term.sigma,
                    robust=term.robust,
                )
            )
        return residuals

    return objective


def weigh(graded: Graded, weights: Float[Tensor, " r"]) -> Graded:
    """Multiply rows by the square roots of their weights."""
    value, jacobian = graded
    root = weights.sqrt()
    value = value * root[:, None]
    return value, None if jacobian is None else jacobian * root[:, None, None]


def subtract(graded: Graded, target: Tensor) -> Graded:
    """Subtract what was measured."""
    return graded[0] - target, graded[1]
