"""The skeleton of an avatar in glTF: fifty-five nodes, a skin, and motions as animations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES, PARENTS
from persona.export.gltf.document import VERTICES, GltfDocument
from persona.geometry.rotations import axis_angle_to_quaternion
from persona.records.body_params import rest_params
from persona.records.motion import Motion

JAW: Final = JOINT_IDS["jaw"]
SLOTS: Final = 4
"""Bones in one JOINTS attribute."""
FLOOR_SHARE: Final = 0.001
"""Share of all Gaussians that may be below the floor in the stored pose."""
FINEST: Final = 1e-6
"""A joint that an expression moves by less stays where it is [m]."""
STILL: Final = 1e-6
"""A joint that turns less than this from where it rests is left out of an animation [rad]."""


@dataclass(frozen=True, kw_only=True)
class GltfRig:
    """A skeleton that stands in a document.

    It is stored in T-pose with its feet on the floor: everything lies ``lift`` higher than in the
    body's own frame. Animated, it is where `Avatar.pose` puts it.
    """

    rest_joints: Float[Tensor, "55 3"]
    """With the photo's face, in the body's frame [m]."""
    parted: Callable[[Motion], Float[Tensor, "t 55 3"]]
    """How far a motion's expressions move each joint from there [m]."""
    lift: float
    """How much higher the stored pose is [m]."""
    nodes: tuple[int, ...]
    """The joints' nodes, in SMPL-X order."""
    skin: int
    """The skin of all of them, in SMPL-X order."""

    def lifted(self, points: Float[Tensor, "n 3"]) -> NDArray[np.float32]:
        """Give points of the body's frame as the file stores them."""
        return (points + points.new_tensor([0.0, self.lift, 0.0])).float().numpy()


def add_rig(document: GltfDocument, avatar: Avatar) -> GltfRig:
    """Write the person's own skeleton, their photo's jaw, and a skin for it."""
    photo = avatar.photo_params.expression
    joints = avatar.rest_joints_with(photo)

    def parted(motion: Motion) -> Float[Tensor, "t 55 3"]:
        return torch.stack([avatar.rest_joints_with(e) for e in motion.params.expression]) - joints

    heights = avatar.pose(rest_params()).means[:, 1]
    lift = -float(heights.kthvalue(max(1, round(FLOOR_SHARE * avatar.count))).values)
    stored = joints + joints.new_tensor([0.0, lift, 0.0])
    jaw = _xyzw(avatar.photo_params.jaw_pose[None])[0]
    nodes: list[int] = []
    items: list[dict[str, Any]] = []
    for joint, (name, parent) in enumerate(zip(JOINT_NAMES, PARENTS, strict=True)):
        at = stored[joint] - (stored[parent] if parent >= 0 else 0)
        item = {"name": name, "translation": at.tolist()}
        if joint == JAW:
            item["rotation"] = jaw.tolist()
        items.append(item)
        nodes.append(document.add("nodes", item))
        if parent >= 0:
            items[parent].setdefault("children", []).append(nodes[joint])
    document.show(nodes[0])
    inverse = torch.eye(4).repeat(len(JOINT_NAMES), 1, 1)
    inverse[:, :3, 3] = -stored
    # glTF stores matrices by columns.
    binding = document.add_array(inverse.mT.reshape(-1, 16).numpy(), "MAT4")
    skin = {
        "name": "SMPL-X",
        "joints": nodes,
        "skeleton": nodes[0],
        "inverseBindMatrices": binding,
    }
    return GltfRig(
        rest_joints=joints,
        parted=parted,
        lift=lift,
        nodes=tuple(nodes),
        skin=document.add("skins", skin),
    )


def add_skin_weights(
    document: GltfDocument, bone_ids: Int[Tensor, "n k"], weights: Float[Tensor, "n k"]
) -> dict[str, int]:
    """Write who carries each point; give the attributes, as many sets of four as are needed."""
    order = weights.argsort(1, descending=True)
    weights, bone_ids = weights.gather(1, order), bone_ids.gather(1, order)
    sets = -(-weights.shape[1] // SLOTS)
    missing = sets * SLOTS - weights.shape[1]
    weights = torch.nn.functional.pad(weights, (0, missing))
    # A bone that carries nothing is to be the first one.
    ids = torch.where(weights > 0, torch.nn.functional.pad(bone_ids, (0, missing)), 0)
    attributes: dict[str, int] = {}
    for k, columns in enumerate(torch.arange(sets * SLOTS).split(SLOTS)):
        rows = ids[:, columns].to(torch.uint8).numpy()
        attributes[f"JOINTS_{k}"] = document.add_array(rows, "VEC4", target=VERTICES)
        shares = weights[:, columns].float().numpy()
        attributes[f"WEIGHTS_{k}"] = document.add_array(shares, "VEC4", target=VERTICES)
    return attributes


def add_animation(
    document: GltfDocument,
    rig: GltfRig,
    motion: Motion,
    *,
    faces: Sequence[tuple[int, NDArray[np.float32]]] = (),
) -> int:
    """Write a motion as rotations of all joints that turn, and the pelvis' way.

    Between frames glTF goes the shorter way, as we do.

    Args:
        document: Where to.
        rig: Who moves.
        motion: What they do.
        faces: Nodes with morph targets, and their weights (frames x targets).
    """
    times = (torch.arange(motion.frame_count, dtype=torch.float64) / motion.fps).float().numpy()
    keys = document.add_array(times, "SCALAR", bounds=True)
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []

    def move(node: int, path: str, output: int) -> None:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": keys, "output": output, "interpolation": "LINEAR"})

    pose = motion.params.full_pose
    quats = _xyzw(pose)
    # The jaw is stored as the photo has it, so an animation must say where it is.
    turning = (pose.norm(dim=-1).amax(0) > STILL).tolist()
    for joint, node in enumerate(rig.nodes):
        if turning[joint] or joint == JAW:
            rows = _continuous(quats[:, joint]).numpy()
            move(node, "rotation", document.add_array(rows, "VEC4"))
    for joint, way in _ways(rig, motion).items():
        move(rig.nodes[joint], "translation", document.add_array(way.float().numpy(), "VEC3"))
    for node, weights in faces:
        move(node, "weights", document.add_array(weights.reshape(-1), "SCALAR"))
    extras = {"fps": motion.fps, "loops": motion.loops}
    item = {"name": motion.name, "channels": channels, "samplers": samplers, "extras": extras}
    return document.add("animations", item)


def named_apart(motions: Sequence[Motion]) -> list[Motion]:
    """Give motions names that differ: engines find animations by them."""
    seen: dict[str, int] = {}
    found = []
    for motion in motions:
        seen[motion.name] = seen.get(motion.name, 0) + 1
        count = seen[motion.name]
        found.append(motion if count == 1 else replace(motion, name=f"{motion.name}_{count}"))
    return found


def _ways(rig: GltfRig, motion: Motion) -> dict[int, Float[Tensor, "t 3"]]:
    """Give the places of the joints that move: the pelvis, and what an expression moves."""
    parted = rig.parted(motion)
    parents = [max(parent, 0) for parent in PARENTS]
    bones = rig.rest_joints - rig.rest_joints[parents]
    apart = parted - parted[:, parents]
    ways = {0: motion.params.transl + rig.rest_joints[0] + parted[:, 0]}
    moved = (apart.norm(dim=-1).amax(0) > FINEST).nonzero()[:, 0].tolist()
    return ways | {joint: bones[joint] + apart[:, joint] for joint in moved if joint}


def _xyzw(axis_angles: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    quats = axis_angle_to_quaternion(axis_angles.double())
    return quats[..., [1, 2, 3, 0]].float()


def _continuous(quats: Float[Tensor, "t 4"]) -> Float[Tensor, "t 4"]:
    """Choose signs so that no frame lies on the other side of the one before."""
    flips = (quats[1:] * quats[:-1]).sum(1) < 0
    odd = torch.cat([flips.new_zeros(1), flips]).long().cumsum(0) % 2
    return torch.where(odd[:, None] == 1, -quats, quats)
