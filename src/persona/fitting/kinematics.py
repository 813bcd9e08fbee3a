"""Pose chosen body points together with their exact derivative by every unknown.

Linear blend skinning has a closed derivative: turning joint j moves a point by the cross product
of the turn with the skinned, weighted lever arms of all bones below j. That is two small matrix
products for all points at once, about a hundred times cheaper than differentiating the body by
automatic means, and it is what makes a Levenberg-Marquardt fit from many starts affordable.
Pose correctives are left out: they move skin by millimetres, landmarks hardly at all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.fitting.parameters import Layout, Unknowns
from persona.geometry.rotations import axis_angle_to_matrix, skew


@dataclass(frozen=True)
class PointModel:
    """Rest points of one body and what carries them; rows may be mixtures of vertices."""

    layout: Layout
    """Where the unknowns sit."""
    points: Float[Tensor, "n 3"]
    """Template positions [m]."""
    point_directions: Float[Tensor, "n 3 c"]
    """Change by betas and expression [m]."""
    weights: Float[Tensor, "n 55"]
    """Skinning weights, rows sum to one."""
    stretch: Float[Tensor, "n 55"]
    """Share of every joint's rest offset that a point follows."""
    joints: Float[Tensor, "55 3"]
    """Template joints [m]."""
    joint_directions: Float[Tensor, "55 3 c"]
    """Change of the joints by betas and expression [m]."""
    groups: Float[Tensor, "55 g"]
    """Which bone scale stretches the bone that ends at each joint."""
    parents: Int[Tensor, " 55"]
    """Parent of each joint; the root points to itself."""
    levels: tuple[tuple[int, ...], ...]
    """Joints by distance from the root."""
    ancestors: Float[Tensor, "55 55"]
    """Row j has ones at j and everything above it."""


@dataclass(frozen=True)
class Posed:
    """Posed points and their derivative."""

    points: Float[Tensor, "starts n 3"]
    """Positions in the world [m]."""
    jacobian: Float[Tensor, "starts n 3 unknowns"] | None
    """Derivative of the positions by the unknowns; None when it was not asked for."""

    def rows(self, rows: slice) -> "Posed":
        """Keep a range of points."""
        jacobian = None if self.jacobian is None else self.jacobian[:, rows]
        return Posed(self.points[:, rows], jacobian)


@dataclass(frozen=True)
class _Rest:
    """Rest shape of every start."""

    joints: Tensor
    bones: Tensor
    points: Tensor


@dataclass(frozen=True)
class _RestSlopes:
    """Its derivative by betas, expression and bone scales."""

    bones: Tensor
    joints: Tensor
    points: Tensor


@dataclass(frozen=True)
class _Chain:
    """Posed skeleton of every start."""

    turn: Tensor
    centers: Tensor
    by_bone: Tensor
    """Where each bone would carry each point, times its weight."""


def rest_joints(model: PointModel, unknowns: Unknowns) -> Float[Tensor, "starts 55 3"]:
    """Give the rest joints after bone scales [m]."""
    return _rest(model, unknowns).joints


def joint_offsets(model: PointModel, unknowns: Unknowns) -> Float[Tensor, "starts 55 3"]:
    """Give what the bone scales add to the shaped rest joints [m]."""
    return rest_joints(model, unknowns) - _plain_joints(model, unknowns)


def _plain_joints(model: PointModel, unknowns: Unknowns) -> Tensor:
    shape = unknowns[:, model.layout.shape]
    return model.joints + torch.einsum("jdc,bc->bjd", model.joint_directions, shape)


def _factors(model: PointModel, unknowns: Unknowns) -> Tensor:
    return (unknowns[:, model.layout.scales] @ model.groups.T).exp()[..., None]


def _rest(model: PointModel, unknowns: Unknowns) -> _Rest:
    """Shape the rest pose and stretch its bones."""
    plain = _plain_joints(model, unknowns)
    bones = (plain - plain[:, model.parents]) * _factors(model, unknowns)
    joints = plain[:, :1] + model.ancestors @ bones
    shape = unknowns[:, model.layout.shape]
    points = model.points + torch.einsum("ndc,bc->bnd", model.point_directions, shape)
    return _Rest(joints, bones, points + model.stretch @ (joints - plain))


def _rest_slopes(model: PointModel, unknowns: Unknowns, rest: _Rest) -> _RestSlopes:
    """Differentiate the rest pose."""
    plain, shape_count = model.joint_directions, model.joint_directions.shape[2]
    by_shape = (plain - plain[model.parents]) * _factors(model, unknowns)[..., None]
    by_scale = rest.bones[..., None] * model.groups[:, None, :]
    bones = torch.cat([by_shape, by_scale], -1)
    root = torch.nn.functional.pad(plain, (0, model.groups.shape[1]))
    joints = root[:1] + (model.ancestors @ bones.flatten(2)).reshape(bones.shape)
    moved = (model.stretch @ (joints - root).flatten(2)).unflatten(2, bones.shape[2:])
    moved[..., :shape_count] += model.point_directions
    return _RestSlopes(bones, joints, moved)


def _globals(model: PointModel, local: Tensor) -> Tensor:
    """Chain the local rotations down the tree, one level at a time."""
    world = [local[:, :1]] * local.shape[1]
    for level in model.levels:
        ids = list(level)
        if ids == [0]:
            world[0] = local[:, 0]
            continue
        above = torch.stack([world[int(model.parents[j])] for j in ids], 1)
        turned = above @ local[:, ids]
        for place, joint in enumerate(ids):
            world[joint] = turned[:, place]
    return torch.stack(world, 1)


def pose_points(model: PointModel, unknowns: Unknowns, *, derivatives: bool = True) -> Posed:
    """Pose all points of the model.

    Args:
        model: Points and skeleton.
        unknowns: One row per start.
        derivatives: Whether the Jacobian is wanted too; it costs most of the time.
    """
    rest = _rest(model, unknowns)
    turn = _globals(model, axis_angle_to_matrix(model.layout.pose_of(unknowns)))
    steps = turn[:, model.parents] @ rest.bones[..., None]
    centers = rest.joints[:, :1] + model.ancestors @ steps[..., 0]
    shift = centers - (turn @ rest.joints[..., None])[..., 0]
    by_bone = torch.einsum("bkij,bnj->bnki", turn, rest.points) + shift[:, None]
    weighted = model.weights[..., None] * by_bone
    points = weighted.sum(2) + unknowns[:, None, model.layout.transl]
    if not derivatives:
        return Posed(points, None)
    chain = _Chain(turn, centers, weighted)
    return Posed(points, _jacobian(model, unknowns, rest, chain))


def _jacobian(model: PointModel, unknowns: Unknowns, rest: _Rest, chain: _Chain) -> Tensor:
    """Differentiate the posed points by every unknown."""
    layout, turn = model.layout, chain.turn
    starts, count = chain.by_bone.shape[:2]
    jacobian = unknowns.new_zeros(starts, count, 3, layout.size)
    below = model.ancestors.T
    held = (model.weights @ model.ancestors)[..., None] * chain.centers[:, None]
    lever = below @ chain.by_bone - held
    axes = turn @ _right_jacobian(layout.pose_of(unknowns))
    turned = torch.linalg.cross(axes.mT[:, None], lever[:, :, :, None, :], dim=-1)
    jacobian[..., layout.pose] = turned.flatten(2, 3).mT
    slopes = _rest_slopes(model, unknowns, rest)
    steps = turn[:, model.parents] @ slopes.bones
    d_centers = slopes.joints[:, :1] + (model.ancestors @ steps.flatten(2)).reshape(steps.shape)
    d_shift = d_centers - turn @ slopes.joints
    carried = torch.einsum("nk,bkij->bnij", model.weights, turn) @ slopes.points
    shifted = (model.weights @ d_shift.flatten(2)).reshape(carried.shape)
    jacobian[..., layout.shape.start : layout.scales.stop] = carried + shifted
    jacobian[..., layout.transl] = torch.eye(3, dtype=jacobian.dtype)
    return jacobian


def _right_jacobian(axis_angle: Tensor) -> Tensor:
    """Give how a small change of an axis-angle turns the rotation in its own frame.

    ``R(a + d) = R(a) R(J d)`` to first order (Chirikjian, "Stochastic models, information theory,
    and Lie groups", 2012, section 10.3).
    """
    square = (axis_angle * axis_angle).sum(-1)
    small = square < 1e-4
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)
    second = torch.where(small, 1 / 6 - square / 120, (angle - angle.sin()) / (safe * angle))
    cross = skew(axis_angle)
    eye = torch.eye(3, dtype=axis_angle.dtype)
    return eye - first[..., None, None] * cross + second[..., None, None] * (cross @ cross)
