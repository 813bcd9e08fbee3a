"""Bend a body, pose, project and draw its Gaussians in one call of the C++ core."""

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from persona.geometry.cameras import Camera
from persona.kernels.native_core import (
    BodyStruct,
    PoseStruct,
    RigStruct,
    Workspace,
    address,
    check_status,
    isa_code,
    native_library,
    thread_count,
)
from persona.kernels.posing_native import BLOCK, blocks_of, columns
from persona.kernels.projection_native import camera_struct

if TYPE_CHECKING:
    from persona.kernels.posed_drawing import Puppet, PuppetPose


@dataclass(frozen=True, eq=False)
class PackedPuppet:
    """A puppet as the core reads it; the structures point into the tensors."""

    body: BodyStruct
    rig: RigStruct
    tensors: tuple[Tensor, ...]


_packed: "WeakKeyDictionary[Puppet, PackedPuppet]" = WeakKeyDictionary()
"""Packing takes as long as many frames, and a puppet is drawn in many."""


def draw_posed(
    puppet: "Puppet",
    pose: "PuppetPose",
    camera: Camera,
    *,
    max_stretch: float,
    eps2d: float,
    near: float,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a pose; see `persona.kernels.posed_drawing.draw_posed`."""
    packed = _packed.get(puppet)
    if packed is None:
        packed = _packed[puppet] = pack(puppet)
    given = {name: value.detach().contiguous() for name, value in pose.tensors.items()}
    names = ("rotations", "expression", "vertex_offsets", "gaussian_offsets", "gaussian_slopes")
    posed = PoseStruct(
        *(address(given.get(name)) for name in names),
        translation=tuple(given["translation"].tolist()),
        max_stretch=max_stretch,
    )
    view = camera_struct(camera, eps2d, near)
    size = camera.height, camera.width
    image = torch.empty(puppet.features.shape[1], *size)
    alpha, means = torch.empty(size), torch.empty_like(puppet.rig.means, requires_grad=False)
    workspace = Workspace()
    status = native_library().persona_draw_posed(
        workspace.handle,
        isa_code(),
        thread_count(threads),
        *map(ctypes.addressof, (packed.body, packed.rig, posed, view)),
        camera.width,
        camera.height,
        *map(address, (means, image, alpha)),
    )
    check_status(status)
    return image, alpha, means


def pack(puppet: "Puppet") -> PackedPuppet:
    """Lay a puppet out in blocks of sixteen vertices and sixteen Gaussians."""
    blocks, expressions = blocks_of(puppet.rig), puppet.expression_dirs.shape[2]
    begin, joints, bends = pack_bends(puppet)
    body = (
        puppet.parents.int().contiguous(),
        puppet.rest_joints.detach().contiguous(),
        puppet.joint_dirs.detach().contiguous(),
        columns(puppet.expression_dirs.detach().reshape(-1, 3 * expressions)),
        begin,
        joints,
        bends,
    )
    rig = (blocks.rest, blocks.corners, blocks.share_begin, blocks.share_bones, blocks.shares)
    look = puppet.opacities.detach().contiguous(), puppet.features.detach().contiguous()
    count, channels = puppet.features.shape
    return PackedPuppet(
        BodyStruct(
            puppet.rig.vertex_count, puppet.rig.bone_count, expressions, *map(address, body)
        ),
        RigStruct(count, channels, *map(address, (*rig, *look))),
        (*body, *rig, *look),
    )


def pack_bends(puppet: "Puppet") -> tuple[Tensor, Tensor, Tensor]:
    """Sort the correctives by blocks of vertices; each block lists the joints it heeds once."""
    joint_count, vertices = puppet.rig.bone_count, puppet.corrective_vertices.long()
    block_count = -(-puppet.rig.vertex_count // BLOCK)
    keys, place = torch.unique(
        vertices // BLOCK * joint_count + puppet.corrective_joints.long(), return_inverse=True
    )
    directions = puppet.corrective_directions.detach().flatten(1)
    bends = directions.new_zeros(len(keys), BLOCK, 27)
    # A joint may be listed twice for one vertex.
    bends.index_put_((place, vertices % BLOCK), directions, accumulate=True)
    per_block = torch.bincount(keys // joint_count, minlength=block_count)
    begin = torch.cat([per_block.new_zeros(1), per_block.cumsum(0)])
    return begin.int(), (keys % joint_count).int(), bends.transpose(1, 2).contiguous()
