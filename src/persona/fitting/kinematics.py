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
    """Rest shape of every start, and its derivative by shape and bone scales."""

    joints: Tensor
    bones: Tensor
    points: Tensor
    d_bones: Tensor | None
    d_joints: Tensor | None
    d_points: Tensor | None


def rest_joints(model: PointModel, unknowns: Unknowns) -> Float[Tensor, "starts 55 3"]:
    """Give the rest joints after bone scales [m]."""
    return _rest(model, unknowns, derivatives=False).joints


def joint_offsets(model: PointModel, unknowns: Unknowns) -> Float[Tensor, "starts 55 3"]:
    """Give what the bone scales add to the shaped rest joints [m]."""
    shape = unknowns[:, model.layout.shape]
    plain = model.joints + torch.einsum("jdc,bc->bjd", model.joint_directions, shape)
    return rest_joints(model, unknowns) - plain


def _rest(model: PointModel, unknowns: Unknowns, *, derivatives: bool) -> _Rest:
    """Shape the rest pose and stretch its bones."""
    shape, scales = unknowns[:, model.layout.shape], unknowns[:, model.layout.scales]
    plain = model.joints + torch.einsum("jdc,bc->bjd", model.joint_directions, shape)
    factor = (scales @ model.groups.T).exp()[..., None]
    bones = (plain - plain[:, model.parents]) * factor
    joints = plain[:, :1] + model.ancestors @ bones
    moved = joints - plain
    points = model.points + torch.einsum("ndc,bc->bnd", model.point_directions, shape)
    points = points + model.stretch @ moved
    if not derivatives:
        return _Rest(joints, bones, points, None, None, None)
    starts, shape_count = shape.shape
    d_plain = model.joint_directions
    by_shape = (d_plain - d_plain[model.parents]) * factor[..., None]
    by_scale = bones[..., None] * model.groups[:, None, :]
    d_bones = torch.cat([by_shape, by_scale], -1)
    wide = d_bones.flatten(2)
    d_root = torch.nn.functional.pad(d_plain, (0, model.groups.shape[1]))
    d_joints = d_root[:1] + (model.ancestors @ wide).reshape(d_bones.shape)
    d_points = (model.stretch @ (d_joints - d_root).flatten(2)).reshape(
        starts, -1, *d_bones.shape[2:]
    )
    d_points[..., :shape_count] += model.point_directions
    return _Rest(joints, bones, points, d_bones, d_joints, d_points)


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
    pose = model.layout.pose_of(unknowns)
    rest = _rest(model, unknowns, derivatives=derivatives)
    turn = _globals(model, axis_angle_to_matrix(pose))
    turn_above = turn[:, model.parents]
    chain = model.ancestors @ (turn_above @ rest.bones[..., None])[..., 0]
    centers = rest.joints[:, :1] + chain
    shift = centers - (turn @ rest.joints[..., None])[..., 0]
    by_bone = torch.einsum("bkij,bnj->bnki", turn, rest.points) + shift[:, None]
    weighted = model.weights[..., None] * by_bone
    transl = unknowns[:, None, model.layout.transl]
    points = weighted.sum(2) + transl
    if not derivatives:
        return Posed(points, None)
    starts, count = points.shape[:2]
    jacobian = torch.zeros(starts, count, 3, model.layout.size, dtype=points.dtype)
    below = model.ancestors.T
    lever = below @ weighted - (model.weights @ below.T)[..., None] * centers[:, None]
    axes = turn @ _right_jacobian(pose)
    turned = torch.linalg.cross(
        axes.transpose(-1, -2)[:, None], lever[:, :, :, None, :], dim=-1
    )  # starts, points, joints, axis, xyz
    jacobian[..., model.layout.pose] = turned.flatten(2, 3).transpose(-1, -2)
    d_centers = _d_centers(model, rest, turn_above)
    d_shift = d_centers - turn @ rest.d_joints
    carried = torch.einsum("nk,bkij->bnij", model.weights, turn)
    d_points = carried @ rest.d_points + (model.weights @ d_shift.flatten(2)).reshape(
        starts, count, 3, -1
    )
    jacobian[..., model.layout.shape.start : model.layout.scales.stop] = d_points
    jacobian[..., model.layout.transl] = torch.eye(3, dtype=points.dtype)
    return Posed(points, jacobian)


def _d_centers(model: PointModel, rest: _Rest, turn_above: Tensor) -> Tensor:
    """Differentiate the posed joint centres by shape and bone scales."""
    assert rest.d_bones is not None and rest.d_joints is not None
    turned = turn_above @ rest.d_bones
    chained = (model.ancestors @ turned.flatten(2)).reshape(turned.shape)
    return rest.d_joints[:, :1] + chained


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
