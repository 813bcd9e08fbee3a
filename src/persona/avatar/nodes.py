"""Choose the nodes of an avatar: places enough to say how its cloth moves."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.binding import Binding
from persona.body.skeleton import JOINT_IDS
from persona.core.errors import InputError
from persona.records.nodes import Nodes

HOLDERS: Final = 4
"""Nodes that carry a Gaussian together."""
BLUR_M: Final = 0.004
"""Distance within which nodes count alike [m]."""
APART_M: Final = 0.25
"""How far away another limb counts: inner thighs touch at rest and move on their own [m]."""
LIMBS: Final = (
    ("left_hip", "left_knee", "left_ankle", "left_foot"),
    ("right_hip", "right_knee", "right_ankle", "right_foot"),
    ("left_shoulder", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow", "right_wrist"),
)
"""Limbs that nodes do not reach across."""
STEPS: Final = 40
"""Halvings in search of a spacing; finer than a float."""


def place_nodes(
    means: Float[Tensor, "n 3"], binding: Binding, moves: Bool[Tensor, " n"], *, count: int
) -> Nodes:
    """Spread nodes evenly over what may move.

    One node for every cube of a grid that holds Gaussians, at the one nearest to their middle; the
    grid is as fine as ``count`` allows. Limbs have grids of their own.

    Args:
        means: Gaussians at rest [m].
        binding: What carries them.
        moves: Which of them may be moved at all.
        count: Most nodes.

    Raises:
        InputError: Nothing moves, or no node is allowed.
    """
    rows = moves.nonzero()[:, 0]
    if not len(rows) or count < 1:
        raise InputError(
            f"{count} nodes were asked for over {len(rows)} Gaussians that move",
            why="there is nothing to place them on",
            fix="ask for at least one, on an avatar that wears something",
        )
    apart = _apart(means, binding)[rows].double().numpy()
    low, high = 1e-4, 4.0
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        if len(np.unique(np.floor(apart / middle), axis=0)) > count:
            low = middle
        else:
            high = middle
    cells = np.unique(np.floor(apart / high), axis=0, return_inverse=True)[1].ravel()
    chosen = _nearest_to_middle(apart, cells)
    found = cKDTree(apart[chosen]).query(apart, min(HOLDERS, len(chosen)))
    distance = torch.from_numpy(np.reshape(found[0], (len(rows), -1))).float()
    near = 1 / (distance + BLUR_M).square()
    shares = torch.zeros(len(means), near.shape[1])
    shares[rows] = near / near.sum(1, keepdim=True)
    ids = torch.zeros(len(means), near.shape[1], dtype=torch.int64)
    ids[rows] = torch.from_numpy(np.reshape(found[1], (len(rows), -1)))
    at = rows[torch.from_numpy(chosen)]
    main = binding.bone_weights[at].argmax(1, keepdim=True)
    return Nodes(
        points=means[at],
        joints=binding.bone_ids[at].gather(1, main)[:, 0],
        holder_ids=ids,
        shares=shares,
    )


def _apart(means: Tensor, binding: Binding) -> Tensor:
    """Append how much each limb carries of a Gaussian to its place, so that limbs lie apart."""
    places = [means]
    for limb in LIMBS:
        joints = torch.tensor([JOINT_IDS[name] for name in limb])
        share = (binding.bone_weights * torch.isin(binding.bone_ids, joints)).sum(1, keepdim=True)
        places.append(APART_M * share)
    return torch.cat(places, 1)


def _nearest_to_middle(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Pick the row of each cell that lies nearest to the mean of its rows."""
    sizes = np.bincount(cells)
    middles = np.stack([np.bincount(cells, column) / sizes for column in points.T], 1)
    off = np.square(points - middles[cells]).sum(1)
    order = np.lexsort((off, cells))
    return order[np.concatenate([[0], np.cumsum(sizes)[:-1]])]
