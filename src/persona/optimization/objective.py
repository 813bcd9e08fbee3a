"""The table of terms by which Gaussians are fitted to the photo: weight, unit, reason."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import OptimizationError

S = TypeVar("S")
"""What the terms of a table look at: `State` here, `joint_objective.JointState` with frames."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What the terms look at: one drawn picture, and how far everything has moved."""

    drawn: Float[Tensor, "3 h w"]
    """Colours, premultiplied."""
    alpha: Float[Tensor, "h w"]
    """Coverage."""
    target: Float[Tensor, "3 h w"]
    """The photo, its colours continued beyond the outline."""
    mask: Float[Tensor, "h w"]
    """The person."""
    shift: Float[Tensor, "n 3"]
    """How far each Gaussian has left its surface [m]."""
    growth: Float[Tensor, "n 3"]
    """Natural logarithm of how much it has grown along each axis."""
    recolor: Float[Tensor, "n 3"]
    """How far its colour has left the first guess [sRGB]."""
    tether: Float[Tensor, " n"]
    """How firmly the guess is held: more, the more the surface turns away [-]."""
    pairs: tuple[Tensor, Tensor]
    """Neighbours."""


@dataclass(frozen=True, kw_only=True)
class Term(Generic[S]):
    """One belief about a good avatar."""

    name: str
    """Key in logs and reports."""
    weight: float
    """Price of one unit of residual [loss per unit]."""
    unit: str
    """What the residual is measured in."""
    because: str
    """Why this term exists; the report prints it."""
    residual: Callable[[S], Float[Tensor, ""]]
    """Mean absolute or squared error of the current state."""
    every: int = 1
    """Evaluated at every so many steps, at so many times its weight."""
    needs: tuple[str, ...] = ()
    """Fields of the state; where one is None, the term is left out."""


def _image_difference(state: State) -> Tensor:
    # Measured against what alpha covers, not against the mask: else colours at the rim would make
    # up for an outline that is a little too wide, in the opposite tone.
    return state.drawn - state.alpha * state.target


def _apart(values: Tensor, pairs: tuple[Tensor, Tensor]) -> Tensor:
    # Not values[ids]: its gradient adds in the order in which threads come by.
    first, second = (values.index_select(0, ids) for ids in pairs)
    return (first - second).square().sum(1).mean()


PHOTO_TERMS: tuple[Term[State], ...] = (
    Term(
        name="image",
        weight=0.5,
        unit="sRGB",
        because="the avatar looks like the photo where the photo shows it",
        residual=lambda s: _image_difference(s).abs().mean(),
    ),
    Term(
        name="image_squared",
        weight=5.0,
        unit="sRGB^2",
        because="a few wrong pixels (an eye, a print) weigh more than grain",
        residual=lambda s: _image_difference(s).square().mean(),
    ),
    Term(
        name="mask",
        weight=0.5,
        unit="coverage",
        because="the outline is the person's",
        residual=lambda s: (s.alpha - s.mask).abs().mean(),
    ),
    Term(
        name="color_guess",
        weight=0.02,
        unit="sRGB^2",
        because="a surface that turns away is seen by few pixels, and those are mixed",
        residual=lambda s: (s.tether * s.recolor.square().sum(1)).mean(),
    ),
    Term(
        name="tie",
        weight=400.0,
        unit="m^2",
        because="neighbours on a cloth move together",
        residual=lambda s: _apart(s.shift, s.pairs),
        every=4,
    ),
    Term(
        name="stay",
        weight=30.0,
        unit="m^2",
        because="the fitted surface is right until the photo says otherwise",
        residual=lambda s: s.shift.square().sum(1).mean(),
        every=4,
    ),
    Term(
        name="size",
        weight=0.004,
        unit="log^2",
        because="Gaussians of a surface are alike: no holes when it bends",
        residual=lambda s: _apart(s.growth, s.pairs) + s.growth.square().sum(1).mean(),
        every=4,
    ),
)
"""What a single photo asks for. Frames of a generator bring terms of their own."""


@lru_cache(maxsize=64)
def _prices(prices: tuple[float, ...], device: torch.device) -> Float[Tensor, " t"]:
    return torch.tensor(prices, device=device)


def evaluate_terms(
    terms: tuple[Term[S], ...], state: S, step: int, *, frame: str = "the photo"
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Sum the terms that are due at a step.

    Args:
        terms: The table.
        state: What they look at.
        step: Iterations done so far.
        frame: What is being learned from, for errors.

    Returns:
        The loss, and each due term's residual in its own unit.

    Raises:
        OptimizationError: A term is not finite; it is named, and the frame with it.
    """
    due = [
        (term, term.residual(state))
        for term in terms
        if step % term.every == 0 and all(getattr(state, name) is not None for name in term.needs)
    ]
    # Read all at once: each reading would make a GPU wait.
    values = torch.stack([value.detach() for _, value in due]).tolist()
    residuals = {term.name: value for (term, _), value in zip(due, values, strict=True)}
    for name, value in residuals.items():
        if value != value or value in (float("inf"), float("-inf")):
            raise OptimizationError(
                f"the term {name} became {value} at step {step}, on {frame}",
                why="the next step would spread it to every Gaussian",
                fix="report the photo; another --seed or --preset may do",
            )
    prices = _prices(tuple(term.weight * term.every for term, _ in due), due[0][1].device)
    return torch.stack([value for _, value in due]) @ prices, residuals
