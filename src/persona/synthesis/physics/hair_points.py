"""Where long hair hangs, from a photo that shows it from the front."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.geometry.cameras import photo_camera
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation, Part
from persona.synthesis.physics.hair_sheet import hair_at_rest

MOST_PIXELS = 4000
"""Pixels of hair that are looked at."""
TURNS = 7
"""Places on the quarter circle from beside the neck to behind it."""
FADE_M = 0.12
"""Height over which hair passes from the head to the trunk [m]."""


def seen_hair(body: SmplxBody, fit: BodyFit, observation: Observation) -> Float[ndarray, "n 3"]:
    """Bring what the photo shows of hair to T-pose, with what must lie behind the neck.

    A pixel of hair is taken to lie as deep as the neck; hair that hangs beside a neck goes round
    behind it, so that each pixel is turned about the neck's axis from its side to the back. How far
    it stands off in depth is a guess: as far as sideways.

    Args:
        body: The body of the fit.
        fit: The naked body in the photo.
        observation: Whose parts show hair.

    Returns:
        Points in the person's T-pose [m]; none where no hair is seen.
    """
    with torch.no_grad():
        posed = body.forward(
            fit.params,
            joint_offsets=fit.identity.joint_offsets,
            vertex_offsets=fit.identity.vertex_offsets,
        )
    camera = photo_camera(*fit.image_size, fit.focal_px)
    rows, columns = np.nonzero((observation.parts == Part.HAIR).numpy())
    every = slice(None, None, 1 + len(rows) // MOST_PIXELS)
    pixels = np.stack([columns[every], rows[every]], 1) + 0.5
    neck = posed.joints[JOINT_IDS["neck"]]
    depth = camera.to_camera(neck[None])[0, 2].expand(len(pixels))
    beside = camera.unproject(torch.from_numpy(pixels).float(), depth)
    off = beside[:, 0] - neck[0]
    turns = torch.linspace(0, torch.pi / 2, TURNS)
    x = neck[0] + off[:, None] * torch.cos(turns)
    y = beside[:, 1:2].expand_as(x)
    # The person looks against the world's z, at the camera: behind them is where z falls.
    z = beside[:, 2:3] - off.abs()[:, None] * torch.sin(turns)
    points = torch.stack([x, y, z], -1).reshape(-1, 3)
    head = posed.joints[JOINT_IDS["head"], 1]
    below = ((head - points[:, 1]) / FADE_M).clamp(0, 1)
    weights = torch.zeros(len(points), 55)
    weights[:, JOINT_IDS["head"]], weights[:, JOINT_IDS["spine3"]] = 1 - below, below
    return hair_at_rest(points, weights, posed.T_posed_rest)
