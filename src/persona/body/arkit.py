"""The 52 facial shapes of ARKit in terms of a body's own expression coefficients and its jaw."""

from dataclasses import replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.smplx import SmplxBody
from persona.records.body_params import rest_params

JAW_UNIT: Final = 0.15
"""Turn of the jaw that is as large a change as one expression unit [rad]."""
SPREAD: Final = 1.5
"""How far coefficients go for one shape at full strength; farther costs more [-]."""
SKIN_ERROR: Final = 0.001
"""How closely shapes are met where coefficients can [m]."""


def arkit_matrix(body: SmplxBody) -> Float[Tensor, "u c"]:
    """Say what each ARKit shape at full strength is in expression coefficients and jaw.

    Ridge regression over the skin. Ten coefficients cannot form 52 shapes: a smile and an open
    mouth come out well, a single nostril does not come out at all.

    Returns:
        A row for each of ``body.face_units.names``; a column for each expression coefficient, then
        the turn of the jaw about its x axis [rad]. No rows for a body without named shapes.
    """
    units = body.face_units
    width = body.exprdirs.shape[2] + 1
    if not units.names:
        return torch.zeros(0, width)
    opened = replace(rest_params(), jaw_pose=torch.tensor([JAW_UNIT, 0.0, 0.0]))
    drop = body.forward(opened).vertices - body.forward(rest_params()).vertices
    face = units.dense().abs().amax((1, 2)) > 0
    ways = torch.cat([body.exprdirs, drop[..., None]], -1)[face].flatten(0, 1).double()
    wanted = units.dense()[face].flatten(0, 1).double()
    # Thousands of neighbours err together; counted each, they would leave no say to the ridge.
    trust = 1 / (SKIN_ERROR**2 * int(face.sum()))
    price = torch.eye(width, dtype=torch.float64) / SPREAD**2
    solved = torch.linalg.solve(trust * ways.mT @ ways + price, trust * ways.mT @ wanted)
    solved[-1] *= JAW_UNIT
    return solved.mT.float()
