"""Bend a body in plain torch, bones and flesh: the specification."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from persona.geometry.rotations import axis_angle_to_matrix

if TYPE_CHECKING:
    from persona.kernels.posed_drawing import Puppet, PuppetPose


def bend_puppet(puppet: "Puppet", pose: "PuppetPose") -> tuple[Tensor, Tensor]:
    """Bend one joint after the other; see `persona.kernels.posed_drawing.bend_puppet`."""
    rotations = axis_angle_to_matrix(pose.rotations)
    joints = puppet.rest_joints + puppet.joint_dirs @ pose.expression
    bones = bend_bones(puppet.parents, joints, rotations, pose.translation)
    return bend_flesh(puppet, pose, rotations), bones


def bend_bones(
    parents: Tensor, rest_joints: Tensor, rotations: Tensor, translation: Tensor
) -> Tensor:
    """Chain joints: each turns about its own rest position, then follows its parent (j, 4, 4)."""
    world = torch.eye(4).to(rest_joints)
    world[:3, 3] = translation
    bones: list[Tensor] = []
    for parent, joint, turn in zip(parents.tolist(), rest_joints, rotations, strict=True):
        bone = torch.eye(4).to(rest_joints)
        bone[:3, :3], bone[:3, 3] = turn, joint - turn @ joint
        bones.append((bones[parent] if parent >= 0 else world) @ bone)
    return torch.stack(bones)


def bend_flesh(puppet: "Puppet", pose: "PuppetPose", rotations: Tensor) -> Tensor:
    """Add up what expression, bent joints and offsets do to the rest skin (v, 3)."""
    flesh = puppet.expression_dirs @ pose.expression
    turns = (rotations - torch.eye(3).to(rotations)).flatten(1)
    bent = puppet.corrective_directions @ turns[puppet.corrective_joints][..., None]
    flesh = flesh.index_add(0, puppet.corrective_vertices, bent[..., 0])
    return flesh if pose.vertex_offsets is None else flesh + pose.vertex_offsets
