"""Bend a body on CUDA, bones and flesh in one launch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, no_type_check
from weakref import WeakKeyDictionary

import torch
import triton
import triton.language as tl
from torch import Tensor

from persona.geometry.rotations import SMALL_ANGLE_SQUARED
from persona.kernels.triton_algebra import dot, load3, store3
from persona.kernels.triton_core import BLOCK, program_grid

if TYPE_CHECKING:
    from persona.kernels.posed_drawing import Puppet, PuppetPose


@dataclass(frozen=True, eq=False)
class Columns:
    """A body column by column, so that neighbouring threads read neighbouring numbers."""

    ancestors: Tensor
    """Int32 (deepest, j): each joint, its parent, that one's parent; -1 past the root."""
    joints: Tensor
    """Float (3 + 3 e, j): joints at rest, and their change per expression coefficient."""
    expression: Tensor
    """Float (3 e, v): change of the skin per expression coefficient."""
    heeded: Tensor
    """Int32 (most, v): joints whose rotation reshapes a vertex; -1 where there are fewer."""
    directions: Tensor
    """Float (27 most, v): by what, per coordinate and entry of ``R - I``."""


_columns: "WeakKeyDictionary[Puppet, Columns]" = WeakKeyDictionary()
"""Turning takes as long as many frames, and a puppet is bent in many."""


def bend_puppet(puppet: "Puppet", pose: "PuppetPose") -> tuple[Tensor, Tensor]:
    """Bend all joints at once; see `persona.kernels.posed_drawing.bend_puppet`.

    Nobody waits for a parent: every joint goes through its ancestors by itself. Up to as many times
    the arithmetic as it has of them, which is nothing beside a launch.
    """
    columns = columns_of(puppet)
    joint_count, vertex_count = puppet.rig.bone_count, puppet.rig.vertex_count
    given = {name: value.detach().contiguous() for name, value in pose.tensors.items()}
    rotations = given["rotations"]
    flesh, bones = rotations.new_empty(vertex_count, 3), rotations.new_empty(joint_count, 4, 4)
    offsets = given.get("vertex_offsets")
    # The first program bends the bones, the others the flesh.
    _bend[(1 + program_grid(vertex_count)[0],)](
        rotations,
        given["expression"],
        given["translation"],
        columns.ancestors,
        columns.joints,
        columns.expression,
        columns.heeded,
        columns.directions,
        flesh if offsets is None else offsets,
        flesh,
        bones,
        joint_count,
        columns.ancestors.shape[0],
        vertex_count,
        columns.heeded.shape[0],
        given["expression"].shape[0],
        WITH_OFFSETS=offsets is not None,
        SMALL=SMALL_ANGLE_SQUARED,
        JOINTS=triton.next_power_of_2(joint_count),
        BLOCK=BLOCK,
    )
    return flesh, bones


def columns_of(puppet: "Puppet") -> Columns:
    """Give a puppet's body as the kernel reads it, turned at the first call."""
    columns = _columns.get(puppet)
    if columns is None:
        columns = _columns[puppet] = turn(puppet)
    return columns


def turn(puppet: "Puppet") -> Columns:
    """Lay a body out by columns, and list each joint's ancestors and each vertex's joints."""
    joints, skin = puppet.joint_dirs.flatten(1), puppet.expression_dirs.flatten(1)
    heeded, directions = _by_vertex(puppet)
    return Columns(
        ancestors=_ancestors(puppet.parents),
        joints=torch.cat([puppet.rest_joints, joints], 1).detach().T.contiguous(),
        expression=skin.detach().T.contiguous(),
        heeded=heeded,
        directions=directions,
    )


def _ancestors(parents: Tensor) -> Tensor:
    """Follow all joints up to their roots: (deepest, j)."""
    names = [*parents.tolist(), -1]
    rows = [list(range(len(names) - 1))]
    while any(names[joint] >= 0 for joint in rows[-1]):
        rows.append([names[joint] for joint in rows[-1]])
    return torch.tensor(rows, dtype=torch.int32, device=parents.device)


def _by_vertex(puppet: "Puppet") -> tuple[Tensor, Tensor]:
    """List the correctives of each vertex below each other: joints and directions."""
    vertex_count, device = puppet.rig.vertex_count, puppet.rest_joints.device
    vertices, order = torch.sort(puppet.corrective_vertices.long(), stable=True)
    counts = torch.bincount(vertices, minlength=vertex_count)
    most = int(counts.max()) if len(counts) else 0
    slot = torch.arange(len(vertices), device=device) - (counts.cumsum(0) - counts)[vertices]
    heeded = torch.full((most, vertex_count), -1, dtype=torch.int32, device=device)
    heeded[slot, vertices] = puppet.corrective_joints[order].int()
    entries = puppet.corrective_directions.detach().flatten(1)[order]
    directions = entries.new_zeros(most, vertex_count, 27)
    directions[slot, vertices] = entries
    return heeded, directions.transpose(1, 2).reshape(27 * most, vertex_count).contiguous()


@triton.jit
@no_type_check
def _turn(rotations, joint, inside, SMALL: tl.constexpr):
    """Give the rows of ``R - I = a K + b (v v^T - t^2 I)`` of an axis-angle v of t radians."""
    x, y, z = load3(rotations, joint, inside)
    square = x * x + y * y + z * z
    small = square < SMALL
    safe = tl.where(small, 1.0, square)
    angle = tl.sqrt(safe)
    a = tl.where(small, 1 - square / 6, tl.sin(angle) / angle)
    b = tl.where(small, 0.5 - square / 24, (1 - tl.cos(angle)) / safe)
    top = b * (x * x - square), b * x * y - a * z, b * x * z + a * y
    middle = b * x * y + a * z, b * (y * y - square), b * y * z - a * x
    low = b * x * z - a * y, b * y * z + a * x, b * (z * z - square)
    return top, middle, low


@triton.jit
@no_type_check
def _add_turned(v, top, middle, low):
    """Turn a vector by ``R``, given ``R - I``."""
    return v[0] + dot(top, v), v[1] + dot(middle, v), v[2] + dot(low, v)


@triton.jit
@no_type_check
def _rest_joint(joints, expression, joint, joint_count, expression_count, inside):
    """Give where joints are at rest, in an expression."""
    at = joints + joint
    x = tl.load(at, mask=inside, other=0.0)
    y = tl.load(at + joint_count, mask=inside, other=0.0)
    z = tl.load(at + 2 * joint_count, mask=inside, other=0.0)
    for k in range(expression_count):
        much = tl.load(expression + k)
        x += much * tl.load(at + (3 + k) * joint_count, mask=inside, other=0.0)
        y += much * tl.load(at + (3 + expression_count + k) * joint_count, mask=inside, other=0.0)
        z += much * tl.load(
            at + (3 + 2 * expression_count + k) * joint_count, mask=inside, other=0.0
        )
    return x, y, z


@triton.jit
@no_type_check
def _bend_bones(
    rotations,
    expression,
    translation,
    ancestors,
    joints,
    bones,
    joint_count,
    deepest,
    expression_count,
    SMALL: tl.constexpr,
    JOINTS: tl.constexpr,
):
    j = tl.arange(0, JOINTS)
    inside = j < joint_count
    zero = tl.zeros((JOINTS,), tl.float32)
    # Columns of the transform, which starts as one that changes nothing.
    xx, xy, xz = zero + 1.0, zero, zero
    yx, yy, yz = zero, zero + 1.0, zero
    zx, zy, zz = zero, zero, zero + 1.0
    tx, ty, tz = zero, zero, zero
    for level in range(deepest):
        joint = tl.load(ancestors + level * joint_count + j, mask=inside, other=-1)
        there = inside & (joint >= 0)
        # Past the root the rotation is read as zero, and nothing changes.
        top, middle, low = _turn(rotations, joint, there, SMALL)
        at = _rest_joint(joints, expression, joint, joint_count, expression_count, there)
        xx, xy, xz = _add_turned((xx, xy, xz), top, middle, low)
        yx, yy, yz = _add_turned((yx, yy, yz), top, middle, low)
        zx, zy, zz = _add_turned((zx, zy, zz), top, middle, low)
        # About the joint: R (t - J) + J.
        tx, ty, tz = _add_turned((tx - at[0], ty - at[1], tz - at[2]), top, middle, low)
        tx, ty, tz = tx + at[0], ty + at[1], tz + at[2]
    to = bones + 16 * j
    _store4(to, inside, xx, yx, zx, tx + tl.load(translation))
    _store4(to + 4, inside, xy, yy, zy, ty + tl.load(translation + 1))
    _store4(to + 8, inside, xz, yz, zz, tz + tl.load(translation + 2))
    _store4(to + 12, inside, zero, zero, zero, zero + 1.0)


@triton.jit
@no_type_check
def _store4(pointer, inside, x, y, z, w):
    tl.store(pointer, x, mask=inside)
    tl.store(pointer + 1, y, mask=inside)
    tl.store(pointer + 2, z, mask=inside)
    tl.store(pointer + 3, w, mask=inside)


@triton.jit
@no_type_check
def _column_dot(at, step, turn, inside):
    """Multiply nine numbers, each ``step`` from the one before, with the rows of ``R - I``."""
    total = tl.load(at, mask=inside, other=0.0) * turn[0][0]
    total += tl.load(at + step, mask=inside, other=0.0) * turn[0][1]
    total += tl.load(at + 2 * step, mask=inside, other=0.0) * turn[0][2]
    total += tl.load(at + 3 * step, mask=inside, other=0.0) * turn[1][0]
    total += tl.load(at + 4 * step, mask=inside, other=0.0) * turn[1][1]
    total += tl.load(at + 5 * step, mask=inside, other=0.0) * turn[1][2]
    total += tl.load(at + 6 * step, mask=inside, other=0.0) * turn[2][0]
    total += tl.load(at + 7 * step, mask=inside, other=0.0) * turn[2][1]
    total += tl.load(at + 8 * step, mask=inside, other=0.0) * turn[2][2]
    return total


@triton.jit
@no_type_check
def _bend_flesh(
    i,
    rotations,
    expression,
    skin,
    heeded,
    directions,
    offsets,
    flesh,
    count,
    most,
    expression_count,
    WITH_OFFSETS: tl.constexpr,
    SMALL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    inside = i < count
    zero = tl.zeros((BLOCK,), tl.float32)
    x, y, z = zero, zero, zero
    if WITH_OFFSETS:
        x, y, z = load3(offsets, i, inside)
    for k in range(expression_count):
        much = tl.load(expression + k)
        x += much * tl.load(skin + k * count + i, mask=inside, other=0.0)
        y += much * tl.load(skin + (expression_count + k) * count + i, mask=inside, other=0.0)
        z += much * tl.load(skin + (2 * expression_count + k) * count + i, mask=inside, other=0.0)
    for slot in range(most):
        joint = tl.load(heeded + slot * count + i, mask=inside, other=-1)
        there = inside & (joint >= 0)
        turn = _turn(rotations, joint, there, SMALL)
        at = directions + 27 * slot * count + i
        x += _column_dot(at, count, turn, there)
        y += _column_dot(at + 9 * count, count, turn, there)
        z += _column_dot(at + 18 * count, count, turn, there)
    store3(flesh, i, inside, x, y, z)


@triton.jit
@no_type_check
def _bend(
    rotations,
    expression,
    translation,
    ancestors,
    joints,
    skin,
    heeded,
    directions,
    offsets,
    flesh,
    bones,
    joint_count,
    deepest,
    vertex_count,
    most,
    expression_count,
    WITH_OFFSETS: tl.constexpr,
    SMALL: tl.constexpr,
    JOINTS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    program = tl.program_id(0)
    if program == 0:
        _bend_bones(
            rotations,
            expression,
            translation,
            ancestors,
            joints,
            bones,
            joint_count,
            deepest,
            expression_count,
            SMALL,
            JOINTS,
        )
    else:
        i = (program - 1) * BLOCK + tl.arange(0, BLOCK)
        _bend_flesh(
            i,
            rotations,
            expression,
            skin,
            heeded,
            directions,
            offsets,
            flesh,
            vertex_count,
            most,
            expression_count,
            WITH_OFFSETS,
            SMALL,
            BLOCK,
        )
