"""Shapes that explain offsets linearly: the base of the network, and what it is baked into."""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.avatar.correctives import Correctives
from persona.avatar.pose_features import POSE_COUNT, heard

RIDGE: Final = 1e-2
"""Price of a weight, beside the mean square of its feature [-]."""


def fit_correctives(
    features: Float[Tensor, "t f"],
    offsets: Float[Tensor, "t k 3"],
    joints: Int[Tensor, " k"],
    still: Float[Tensor, "1 f"],
    *,
    rank: int,
) -> Correctives:
    """Fit shapes to offsets by ridge regression, each node hearing the joints near it.

    Every node's offset becomes a linear function of the features it hears, zero in the photo's
    pose; all these functions together are then cut to their ``rank`` strongest combinations, as
    they are used in the given frames.

    Args:
        features: What `pose_features` says of each frame.
        offsets: Where the nodes are there [m].
        joints: The joint that carries most of each node.
        still: Features of the photo's pose at rest.
        rank: Shapes kept; no more than there are frames.

    References:
        Lewis, Cordner and Fong, "Pose space deformation", SIGGRAPH 2000; Kry, James and Pai,
        "EigenSkin", SCA 2002, for the cut.
    """
    known, told = (features - still).double(), offsets.flatten(1).double()
    owners, of_node = joints.unique(return_inverse=True)
    audible = heard(owners, with_rates=features.shape[1] > POSE_COUNT)
    weights = torch.zeros(
        known.shape[1], *offsets.shape[1:], dtype=torch.float64, device=known.device
    )
    for owner in range(len(owners)):
        use, ids = audible[owner].nonzero()[:, 0], (of_node == owner).nonzero()[:, 0]
        mine = known[:, use]
        price = RIDGE * len(known) * torch.eye(len(use), dtype=torch.float64, device=known.device)
        answer = mine.T @ told.unflatten(1, (-1, 3))[:, ids].flatten(1)
        found = torch.linalg.solve(mine.T @ mine + price, answer)
        weights[use[:, None], ids[None]] = found.unflatten(1, (-1, 3))
    dense = weights.flatten(1)
    used = known @ dense
    # The strongest directions of what the frames call for, from their small matrix of products.
    powers, frames = torch.linalg.eigh(used @ used.T)
    keep = min(rank, len(known), int((powers > 1e-12 * powers[-1]).sum()))
    shapes = torch.nn.functional.normalize(frames[:, -keep:].T @ used, dim=1)
    mixes = dense @ shapes.T
    return Correctives(
        shapes=shapes.unflatten(1, (-1, 3)).float(),
        weights=mixes.T.float().contiguous(),
        anchor=(still.double() @ mixes)[0].float(),
    )
