"""Linear blend skinning: the joint chain, and the points and covariances that bones carry."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import PARENTS, depth_levels

_LEVELS = depth_levels()
_ORDER = [joint for level in _LEVELS for joint in level]
_PLACE = [_ORDER.index(joint) for joint in range(len(_ORDER))]
_PARENT_PLACES = [[_PLACE[PARENTS[joint]] for joint in level] for level in _LEVELS[1:]]


def bone_transforms(
    rotations: Float[Tensor, "b 55 3 3"], rest_joints: Float[Tensor, "b 55 3"]
) -> Float[Tensor, "b 55 4 4"]:
    """Chain the joints' rotations into transforms that take rest points to posed points.

    Args:
        rotations: Each joint relative to its parent.
        rest_joints: Joint positions in the rest pose [m].

    Returns:
        ``T_posed_rest``: the root turns about its own rest position; no translation is added.
    """
    if rotations.is_cuda:
        return chain_by_doubling(rotations, rest_joints)
    parents = [max(parent, 0) for parent in PARENTS]
    bones = rest_joints - rest_joints[:, parents]
    turn, at = rotations[:, :1], rest_joints[:, :1]
    # A whole level at a time: eleven small products instead of fifty-five.
    for level, above in zip(_LEVELS[1:], _PARENT_PLACES, strict=True):
        base = turn[:, above]
        at = torch.cat([at, at[:, above] + (base @ bones[:, level, :, None])[..., 0]], 1)
        turn = torch.cat([turn, base @ rotations[:, level]], 1)
    turn, at = turn[:, _PLACE], at[:, _PLACE]
    shift = at - (turn @ rest_joints[..., None])[..., 0]
    top = torch.cat([turn, shift[..., None]], -1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def chain_by_doubling(
    rotations: Float[Tensor, "b 55 3 3"], rest_joints: Float[Tensor, "b 55 3"]
) -> Float[Tensor, "b 55 4 4"]:
    """Do as `bone_transforms` in four rounds: every joint swallows as many ancestors as it has.

    Four times the arithmetic and an eighth of the steps, which on a GPU are what takes time.
    """
    root, *rounds = _ancestors(rotations.device)
    bones = rest_joints - torch.cat([rest_joints, torch.zeros_like(rest_joints[:, :1])], 1)[:, root]
    chained = _rigid(rotations, bones)
    nobody = torch.eye(4, dtype=chained.dtype, device=chained.device).expand(len(chained), 1, 4, 4)
    chained = torch.cat([chained, nobody], 1)
    for ancestors in rounds:
        chained = chained[:, ancestors] @ chained
    turn, at = chained[:, :-1, :3, :3], chained[:, :-1, :3, 3]
    return _rigid(turn, at - (turn @ rest_joints[..., None])[..., 0])


@lru_cache(maxsize=8)
def _ancestors(device: torch.device) -> tuple[Tensor, ...]:
    """Give every joint's parent, then its ancestor 1, 2, 4 and 8 steps up; past the root, 55."""
    nobody = len(PARENTS)
    up = torch.tensor([*(parent if parent >= 0 else nobody for parent in PARENTS), nobody])
    found = [up[:-1], up]
    while 1 << (len(found) - 1) < len(_LEVELS):
        found.append(found[-1][found[-1]])
    return tuple(entry.to(device) for entry in found)


def _rigid(turn: Float[Tensor, "b j 3 3"], shift: Float[Tensor, "b j 3"]) -> Tensor:
    """Put rotation and shift into transforms, without a constant from the CPU."""
    top = torch.cat([turn, shift[..., None]], -1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1.0
    return torch.cat([top, bottom], -2)


def blend_transforms(
    T_posed_rest: Float[Tensor, "*batch j 4 4"], weights: Float[Tensor, "n j"]
) -> tuple[Float[Tensor, "*batch n 3 3"], Float[Tensor, "*batch n 3"]]:
    """Mix bones by skinning weights: the linear part and the shift of every point."""
    rows = T_posed_rest[..., :3, :].flatten(-2)
    mixed = (weights @ rows).unflatten(-1, (3, 4))
    return mixed[..., :3], mixed[..., 3]


def skin_points(
    rest_points: Float[Tensor, "*#batch n 3"],
    T_posed_rest: Float[Tensor, "*batch j 4 4"],
    weights: Float[Tensor, "n j"],
) -> Float[Tensor, "*batch n 3"]:
    """Carry rest points along with their bones.

    A point shared by several bones moves by the weighted mean of their transforms, which loses
    volume near strongly bent joints; pose correctives give it back.

    Args:
        rest_points: Positions in the rest pose [m].
        T_posed_rest: Bones, rest to posed.
        weights: Share of each bone, rows sum to one.
    """
    linear, shift = blend_transforms(T_posed_rest, weights)
    return (linear @ rest_points[..., None])[..., 0] + shift


def skin_covariances(
    rest_covariances: Float[Tensor, "*#batch n 3 3"],
    T_posed_rest: Float[Tensor, "*batch j 4 4"],
    weights: Float[Tensor, "n j"],
) -> Float[Tensor, "*batch n 3 3"]:
    """Carry covariances along with their bones by the blended linear part, ``A S A^T``.

    Exact where the weights are constant; where they vary, the deformation gradient has a further
    term, which the avatar adds.
    """
    linear, _ = blend_transforms(T_posed_rest, weights)
    return linear @ rest_covariances @ linear.mT
