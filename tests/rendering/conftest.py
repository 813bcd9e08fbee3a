"""A ball of surfels to look at."""

import math

import pytest
import torch

from persona.records.gaussians import Gaussians


def ball_of(count=2000, *, radius=0.5, seed=0):
    """Surfels all over a sphere at the origin, coloured by where they face."""
    i = torch.arange(count) + 0.5
    up = torch.acos(1 - 2 * i / count)
    round_ = math.pi * (1 + math.sqrt(5)) * i
    normals = torch.stack(
        [torch.cos(round_) * torch.sin(up), torch.cos(up), torch.sin(round_) * torch.sin(up)], 1
    )
    spacing = radius * math.sqrt(4 * math.pi / count)
    # Flat along the normal: a variance of spacing^2 across, a hundredth of it along.
    outer = normals[:, :, None] * normals[:, None, :]
    full = spacing**2 * (torch.eye(3) - 0.99 * outer)
    return Gaussians(
        means=radius * normals,
        covariances=full[:, (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)],
        opacities=torch.full((count,), 0.95),
        colors=0.5 + 0.5 * normals,
        normals=normals,
    )


@pytest.fixture(scope="session")
def ball():
    return ball_of()
